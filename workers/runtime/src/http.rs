//! What a worker tells over HTTP: `/livez`, `/readyz` and `/metrics`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::health::Health;
use crate::metrics::Exporter;
use crate::telemetry;
use crate::visit::Visits;

/// How often histograms are tidied up, so that a scrape finds little left to do.
const UPKEEP_PERIOD: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Page {
    health: Health,
    /// Nothing where nothing is counted.
    metrics: Option<Exporter>,
}

/// Binds `address`, and serves until the process ends.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Option<Exporter>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_PERIOD).await;
            upkeep.iter().for_each(Exporter::tidy_up);
            telemetry::tell_dropped();
        }
    });
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .with_state(Page { health, metrics });
    tokio::spawn(async move { axum::serve(Visits::new(listener), router).await });
    Ok(bound)
}

async fn readyz(State(page): State<Page>) -> impl IntoResponse {
    let readiness = page.health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let json = serde_json::to_string(&readiness).unwrap_or_default() + "\n";
    (status, [(header::CONTENT_TYPE, "application/json")], json)
}

async fn metrics_page(State(page): State<Page>) -> Response {
    let Some(metrics) = &page.metrics else {
        let text = "nothing is counted: ORDERLY_METRICS is false\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    page.health.tell();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
}

/// Asks a worker on this machine whether it is ready: for containers without a shell.
pub fn ask_ready(address: SocketAddr) -> io::Result<bool> {
    use std::io::{Read, Write};
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let timeout = Duration::from_secs(3);
    let mut stream = std::net::TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_whitespace().nth(1) == Some("200"))
}
