//! The one way to PostgreSQL connections: with deadlines, keepalives and TLS.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Address, decode_percent};
use crate::postgres::failure::classify;
use crate::store::StoreError;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for a connection of the pool to become free.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged before the connection counts as dead.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A statement is planned once for many batches, not for each: with few messages in a batch, planning
/// costs more than running. Such a plan knows neither the arrays nor how the tables will grow, so what
/// is only good for small tables is ruled out: every statement goes by an index, row by row.
///
/// While a table is next to empty, even so a plan may read all of it, and it would be kept as the table
/// grows: see [`PLAN_LASTS`].
const PLANNED_ONCE: &str = "-c plan_cache_mode=force_generic_plan -c jit=off \
    -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// After a connection was taken so many times its statements are planned anew: rarely enough to cost
/// nothing, and often enough that no plan of a small table outlives that for more than moments. So they are
/// after it lay idle, or a connection that is seldom taken would keep them for hours.
const PLAN_LASTS: usize = 128;
const PLAN_LASTS_IDLE: Duration = Duration::from_secs(1);

/// A pool of at most `connections` connections.
///
/// The settings are made here by hand: deadpool's own configuration drops some of them, and its
/// `Debug` shows the password.
pub fn pool(
    address: &Address,
    name: &str,
    connections: usize,
    statement_timeout: Duration,
) -> Result<Pool, StoreError> {
    let config = settings(address, name, statement_timeout);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if address.is_secured() {
        Manager::from_config(config, tls(address)?, recycling)
    } else {
        Manager::from_config(config, NoTls, recycling)
    };
    Pool::builder(manager)
        .max_size(connections)
        // The one that was used last is the one whose plans and rows the processor's caches still hold.
        .queue_mode(QueueMode::Lifo)
        .post_recycle(Hook::async_fn(|client, metrics| {
            let is_due = (metrics.recycle_count + 1).is_multiple_of(PLAN_LASTS)
                || metrics.last_used() > PLAN_LASTS_IDLE;
            Box::pin(async move {
                if !is_due {
                    return Ok(());
                }
                let discarded = client.batch_execute("DISCARD PLANS");
                match tokio::time::timeout(CONNECT_TIMEOUT, discarded).await {
                    Ok(outcome) => outcome.map_err(HookError::Backend),
                    Err(_) => Err(HookError::message("no answer to DISCARD PLANS")),
                }
            })
        }))
        .timeouts(Timeouts {
            wait: Some(WAIT_TIMEOUT),
            create: Some(CONNECT_TIMEOUT),
            recycle: Some(CONNECT_TIMEOUT),
        })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Misconfigured(error.to_string()))
}

/// A single connection, for tools. It ends with the returned client.
pub async fn client(address: &Address, name: &str) -> Result<Client, StoreError> {
    let config = settings(address, name, Duration::ZERO);
    let connect = async {
        if address.is_secured() {
            let (client, connection) = config.connect(tls(address)?).await.map_err(classify)?;
            tokio::spawn(connection);
            Ok(client)
        } else {
            let (client, connection) = config.connect(NoTls).await.map_err(classify)?;
            tokio::spawn(connection);
            Ok(client)
        }
    };
    let timeout = || StoreError::Unavailable(format!("no connection within {CONNECT_TIMEOUT:?}"));
    let outcome = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
    outcome.unwrap_or_else(|_| Err(timeout())).map_err(|error| located(address, error))
}

/// Adds to an error where the database is; never the password.
pub fn located(address: &Address, error: StoreError) -> StoreError {
    let place = format!("{}{}", place(address), address.url.path());
    match error {
        StoreError::Unavailable(text) => StoreError::Unavailable(format!("{place}: {text}")),
        StoreError::Misconfigured(text) => StoreError::Misconfigured(format!("{place}: {text}")),
        other => other,
    }
}

fn place(address: &Address) -> String {
    format!("{}:{}", address.host(), address.url.port().unwrap_or(5432))
}

fn settings(address: &Address, name: &str, statement_timeout: Duration) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    let user = decode_percent(address.url.username());
    let database = decode_percent(address.url.path().trim_start_matches('/'));
    config
        .host(address.host())
        .port(address.url.port().unwrap_or(5432))
        .user(if user.is_empty() { "postgres" } else { &user })
        .dbname(database)
        .application_name(name)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(SEND_TIMEOUT)
        .keepalives_idle(Duration::from_secs(10))
        .ssl_negotiation(SslNegotiation::Postgres)
        // The default, `prefer`, would fall back to plaintext without a word.
        .ssl_mode(if address.is_secured() { SslMode::Require } else { SslMode::Disable });
    if !statement_timeout.is_zero() {
        let ms = statement_timeout.as_millis();
        // Whoever waits for a lock keeps a whole batch waiting.
        let lock_ms = (ms / 5).max(1);
        config.options(format!(
            "-c statement_timeout={ms} -c lock_timeout={lock_ms} \
             -c idle_in_transaction_session_timeout={} {PLANNED_ONCE}",
            2 * ms
        ));
    }
    if let Some(password) = &address.password {
        config.password(password.expose_secret());
    }
    config
}

/// Verifies the server's certificate and its name, against the given CA or the system's.
fn tls(address: &Address) -> Result<MakeRustlsConnect, StoreError> {
    let wrong = |text: String| StoreError::Misconfigured(text);
    let mut roots = rustls::RootCertStore::empty();
    if let Some(file) = &address.ca_file {
        let unreadable = |error| wrong(format!("can't read {}: {error}", file.display()));
        for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
            roots
                .add(certificate.map_err(unreadable)?)
                .map_err(|error| wrong(error.to_string()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Reader;

    #[test]
    fn whatever_a_name_or_password_holds_may_be_percent_encoded_in_an_address() {
        let url = "postgres://a%40b:c+d%2Be&f%26g@localhost/h%20i";
        let variables = [("ORDERLY_ORDER_DATABASE_URL".to_owned(), url.to_owned())];
        let address = Reader::new(variables).address("ORDERLY_ORDER_DATABASE", &["postgres"]);
        let config = settings(&address.unwrap(), "test", Duration::ZERO);
        assert_eq!(config.get_user(), Some("a@b"));
        assert_eq!(config.get_password(), Some("c+d+e&f&g".as_bytes()));
        assert_eq!(config.get_dbname(), Some("h i"));
    }
}
