//! A collector of traces, as small as can be: takes OTLP over HTTP and keeps every span.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Listens on a port of its own until the process ends.
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    spans: Vec<Exported>,
    requests: Vec<String>,
}

/// A span as it was exported.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Who exported it: `service.name`.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// Its kind, as the protocol counts them.
    pub kind: i32,
    /// Its trace, in hex.
    pub trace: String,
    /// Its id, in hex.
    pub id: String,
    /// What led to it, in hex; empty for the beginning of a trace.
    pub parent: String,
    /// Its attributes, numbers as texts.
    pub attributes: BTreeMap<String, String>,
    /// The traces and spans it points at.
    pub links: Vec<(String, String)>,
    /// Whether it tells of a failure.
    pub is_error: bool,
}

impl Collector {
    /// Begins to listen.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let taken = Arc::<Mutex<Taken>>::default();
        let keep = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = keep.clone();
                // A connection that ends badly is its exporter's business, and the test's to notice.
                std::thread::spawn(move || take_all(&stream, &keep));
            }
        });
        Ok(Self { address, taken })
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to say.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Exported> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// The heads of all requests so far, headers included.
    pub fn requests(&self) -> Vec<String> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }
}

fn take_all(stream: &TcpStream, keep: &Mutex<Taken>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while take(&mut reader, keep)? {
        let mut stream = stream;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
    Ok(())
}

/// Takes one request; whether there was one.
fn take(reader: &mut impl BufRead, keep: &Mutex<Taken>) -> Result<bool> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(false);
        }
    }
    ensure!(head.starts_with("POST /v1/traces "), "{head}");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>())?.ok()
    });
    let mut body = vec![0; length.context("a body has a length")?];
    reader.read_exact(&mut body)?;
    let request = ExportTraceServiceRequest::decode(&*body)?;
    let mut taken = keep.lock().unwrap_or_else(PoisonError::into_inner);
    taken.requests.push(head);
    for resource in request.resource_spans {
        let about = attributes(resource.resource.map(|it| it.attributes).unwrap_or_default());
        let service = about.get("service.name").cloned().unwrap_or_default();
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        taken.spans.extend(spans.map(|span| exported(&service, span)));
    }
    Ok(true)
}

fn exported(service: &str, span: Span) -> Exported {
    Exported {
        service: service.to_owned(),
        name: span.name,
        kind: span.kind,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: attributes(span.attributes),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        is_error: span.status.is_some_and(|status| status.code == 2),
    }
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let text = |pair: KeyValue| (pair.key, text(pair.value.and_then(|value| value.value)));
    attributes.into_iter().map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
