//! The way to a collector: one HTTP request at a time, each with a limit. It blocks.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::settings::Settings;
use crate::config::Address;

/// Posts to one address.
pub(super) struct Post {
    agent: Agent,
    url: String,
    headers: Vec<(String, SecretString)>,
}

/// Why a request came to nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It may work later.
    Away(String),
    /// It will never work: the collector doesn't want this.
    Refused(String),
}

impl Post {
    /// The way to the collector of `settings`; an error says what is wrong with its certificates.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("orderly/", env!("CARGO_PKG_VERSION")));
        let config = if settings.endpoint.url.scheme() == "https" {
            config.tls_config(tls(&settings.endpoint)?)
        } else {
            config
        };
        Ok(Self {
            agent: config.build().new_agent(),
            url: settings.endpoint.url.to_string(),
            headers: settings.headers.clone(),
        })
    }

    /// Sends one request.
    pub(super) fn send(&self, body: &[u8]) -> Result<(), Failed> {
        let mut request = self.agent.post(&self.url).content_type("application/x-protobuf");
        for (name, value) in &self.headers {
            request = request.header(name, value.expose_secret());
        }
        let status = match request.send(body) {
            Ok(response) => response.status(),
            // Its text may quote a header.
            Err(ureq::Error::Http(_)) => {
                return Err(Failed::Refused("a header can't be sent as it is".to_owned()));
            }
            Err(error) => return Err(Failed::Away(error.to_string())),
        };
        let text = || format!("the collector answered {status}");
        match status.as_u16() {
            200..300 => Ok(()),
            429 | 502..=504 => Err(Failed::Away(text())),
            _ => Err(Failed::Refused(text())),
        }
    }
}

/// Against the given CA or the system's, as everywhere.
fn tls(address: &Address) -> Result<TlsConfig, String> {
    let certificates: Vec<_> = match &address.ca_file {
        None => {
            let native = rustls_native_certs::load_native_certs().certs;
            native.iter().map(|one| Certificate::from_der(one).to_owned()).collect()
        }
        Some(file) => {
            let unreadable =
                |error: &dyn std::fmt::Display| format!("can't read {}: {error}", file.display());
            let pem = std::fs::read(file).map_err(|error| unreadable(&error))?;
            let items = parse_pem(&pem).map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Ok(Some(certificate)),
                Ok(_) => Ok(None),
                Err(error) => Err(unreadable(&error)),
            });
            items.filter_map(Result::transpose).collect::<Result<_, _>>()?
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .build())
}
