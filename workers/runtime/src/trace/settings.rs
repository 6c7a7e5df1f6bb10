//! What is asked of traces, by the variables that OpenTelemetry has made common.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::sampler::Sampler;
use crate::config::{Address, Reader, decode_percent};

/// Where the standard expects a collector, if an export is asked for and no address is said.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
/// The one way in which spans are sent.
const PROTOCOL: &str = "http/protobuf";

/// Where traces go, and which.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The collector's address for traces, all of it.
    pub endpoint: Address,
    /// Headers to send along, which may be secret.
    pub headers: Vec<(String, SecretString)>,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long a span waits for others at most.
    pub delay: Duration,
    /// The most spans that wait; what comes on top is dropped.
    pub queue: usize,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// Who we are.
    pub resource: Vec<(String, String)>,
}

impl Settings {
    /// The settings of the program `service`, such as `orderly-order`; nothing if no export is asked
    /// for.
    pub fn read(reader: &mut Reader, service: &str) -> Option<Self> {
        let disabled = reader.text("OTEL_SDK_DISABLED");
        if disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        let endpoint = endpoint(reader)?;
        let protocol = either(reader, "PROTOCOL");
        if let Some((name, _)) = protocol.filter(|(_, protocol)| protocol != PROTOCOL) {
            reader.refuse(&name, format_args!("must be {PROTOCOL}, the one that is spoken here"));
        }
        let headers = either(reader, "HEADERS").map(|(name, text)| {
            pairs(&text).unwrap_or_else(|| {
                reader.refuse(&name, "must be pairs such as a=b,c=d");
                vec![]
            })
        });
        let headers = headers.unwrap_or_default().into_iter();
        let timeout =
            either(reader, "TIMEOUT").map_or("OTEL_EXPORTER_OTLP_TIMEOUT".into(), |it| it.0);
        Some(Self {
            endpoint,
            headers: headers.map(|(name, value)| (name, SecretString::from(value))).collect(),
            timeout: reader.millis(&timeout, 10_000),
            delay: reader.millis("OTEL_BSP_SCHEDULE_DELAY", 1_000),
            queue: reader.within("OTEL_BSP_MAX_QUEUE_SIZE", 16_384, 1..=1 << 20),
            sampler: sampler(reader),
            resource: resource(reader, service),
        })
    }
}

fn endpoint(reader: &mut Reader) -> Option<Address> {
    const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
    let exporter = reader.text(EXPORTER);
    if !matches!(exporter.as_deref(), None | Some("otlp" | "none")) {
        reader.refuse(EXPORTER, "must be otlp or none");
    }
    let stated = either(reader, "ENDPOINT");
    let ca_file = either(reader, "CERTIFICATE").map(|(name, file)| (name, PathBuf::from(file)));
    if exporter.as_deref() == Some("none") || (exporter.is_none() && stated.is_none()) {
        return None;
    }
    let default = || ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), DEFAULT_ENDPOINT.to_owned());
    let (name, text) = stated.unwrap_or_else(default);
    // The address of all signals is a base, that of traces is meant as it is.
    let is_base = !name.contains("_TRACES_");
    let text = if is_base { format!("{}/v1/traces", text.trim_end_matches('/')) } else { text };
    let Some(url) = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    else {
        reader.refuse(&name, "must be http://host:port or https://host:port");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        reader.refuse(&name, "must hold no password; OTEL_EXPORTER_OTLP_HEADERS is for that");
        return None;
    }
    if let Some((name, file)) = ca_file.as_ref().filter(|(_, file)| !file.is_file()) {
        reader.refuse(name, format_args!("names no file: {}", file.display()));
    }
    Some(Address { url, password: None, ca_file: ca_file.map(|(_, file)| file) })
}

/// The variable for traces if it is set, else the one for all signals, with its name.
fn either(reader: &mut Reader, what: &str) -> Option<(String, String)> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"];
    let texts = names.map(|prefix| {
        let name = format!("{prefix}{what}");
        reader.text(&name).map(|text| (name, text))
    });
    texts.into_iter().flatten().next()
}

fn sampler(reader: &mut Reader) -> Sampler {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let share = reader.within("OTEL_TRACES_SAMPLER_ARG", 1.0, 0.0..=1.0);
    let Some(name) = reader.text(NAME) else { return Sampler::default() };
    Sampler::named(&name, share).unwrap_or_else(|| {
        let names = "always_on, always_off or traceidratio, as it is or after parentbased_";
        reader.refuse(NAME, format_args!("must be {names}"));
        Sampler::default()
    })
}

fn resource(reader: &mut Reader, service: &str) -> Vec<(String, String)> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    const SERVICE: &str = "service.name";
    let text = reader.text(NAME).unwrap_or_default();
    let mut resource = pairs(&text).unwrap_or_else(|| {
        reader.refuse(NAME, "must be pairs such as a=b,c=d");
        vec![]
    });
    let stated = reader.text("OTEL_SERVICE_NAME");
    if stated.is_some() || !resource.iter().any(|(name, _)| name == SERVICE) {
        resource.retain(|(name, _)| name != SERVICE);
        resource.push((SERVICE.to_owned(), stated.unwrap_or_else(|| service.to_owned())));
    }
    resource
}

/// `a=b,c=d`, with percent signs as in URLs; nothing if it is something else.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=')?;
            let name = name.trim();
            (!name.is_empty()).then(|| (name.to_owned(), decode_percent(value.trim())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<String>) {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let mut reader = Reader::new(variables);
        let settings = Settings::read(&mut reader, "orderly-order");
        (settings, reader.finish().err().map(|problems| problems.0).unwrap_or_default())
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/");

    #[test]
    fn nothing_is_exported_unless_it_is_asked_for() {
        let asked = |variables: &[(&str, &str)]| {
            let (settings, problems) = read(variables);
            assert_eq!(problems, Vec::<String>::new());
            settings.map(|settings| settings.endpoint.url.to_string())
        };
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("OTEL_SERVICE_NAME", "shop"), ("OTEL_TRACES_SAMPLER", "x")]), None);
        assert_eq!(asked(&[BASE, ("OTEL_SDK_DISABLED", "True")]), None);
        assert_eq!(asked(&[BASE, ("OTEL_TRACES_EXPORTER", "none")]), None);
        let there = Some("http://localhost:4318/v1/traces".to_owned());
        assert_eq!(asked(&[BASE]), there);
        assert_eq!(asked(&[("OTEL_TRACES_EXPORTER", "otlp")]), there);
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost/own");
        assert_eq!(asked(&[BASE, own]), Some("http://localhost/own".to_owned()));
    }

    #[test]
    fn what_is_said_of_headers_and_of_us_is_understood() {
        let (settings, _) = read(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20c2VjcmV0, x-tenant = shop "),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,service.name=them"),
            ("OTEL_SERVICE_NAME", "us"),
        ]);
        let settings = settings.unwrap();
        assert!(!format!("{settings:?}").contains("secret"), "{settings:?}");
        let headers = settings.headers.iter().map(|(name, value)| (&**name, value.expose_secret()));
        let expected = [("authorization", "Basic c2VjcmV0"), ("x-tenant", "shop")];
        assert_eq!(headers.collect::<Vec<_>>(), expected);
        let resource = [("deployment.environment", "test"), ("service.name", "us")];
        let resource = resource.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings.resource, resource);
    }

    #[test]
    fn every_mistake_is_named_and_no_secret_is_told() {
        let (_, problems) = read(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_TRACES_SAMPLER", "mine"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "nonsense"),
        ]);
        let names = ["PROTOCOL", "HEADERS", "TIMEOUT", "SAMPLER_ARG", "SAMPLER", "ATTRIBUTES"];
        assert_eq!(problems.len(), names.len(), "{problems:?}");
        for (problem, name) in problems.iter().zip(names) {
            assert!(problem.split(' ').next().unwrap().ends_with(name), "{problem}");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
        let (_, problems) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@localhost")]);
        assert_eq!(problems.len(), 1);
        assert!(!problems[0].contains("s3cret"));
    }
}
