//! Configuration from the environment: every wrong key is named at once, and no secret is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use orderly_contracts::routes::Party;
use secrecy::SecretString;
use url::Url;

use crate::breaker::BreakerLimits;
use crate::effect::EffectLimits;
use crate::intake::BatchLimits;
use crate::letter::LETTER_BODY_MAX;
use crate::retry::{Attempts, Ladder};
use crate::telemetry::{LogFilter, LogFormat};
use crate::trace;

/// Where a server is and how to get in. Its `Debug` shows no password.
#[derive(Clone)]
pub struct Address {
    /// The URL without its password.
    pub url: Url,
    /// The password, from the URL or from a file.
    pub password: Option<SecretString>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}

impl Address {
    /// The host's name.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether the URL asks for a secured transport.
    pub fn is_secured(&self) -> bool {
        let ssl_mode = self.url.query_pairs().find(|(name, _)| name == "sslmode");
        match self.url.scheme() {
            "amqps" | "https" => true,
            "amqp" | "http" => false,
            // Anything but `disable` is taken as `verify-full`: there is no half security here.
            _ => ssl_mode.is_some_and(|(_, mode)| mode != "disable"),
        }
    }
}

/// Everything a worker is told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// The broker.
    pub broker: Address,
    /// The worker's own database.
    pub database: Address,
    /// Where to answer `/livez`, `/readyz` and `/metrics`.
    pub http: SocketAddr,
    /// Whether anything is counted for `/metrics`.
    pub has_metrics: bool,
    /// The bounds of a batch.
    pub batch: BatchLimits,
    /// The longest body that is read at all.
    pub body_bytes_max: usize,
    /// The delays of the retry ladder, and how many attempts each setback is worth.
    pub ladder: Ladder,
    /// When a queue is left alone because too much of it fails.
    pub breaker: BreakerLimits,
    /// The most orders in progress before new ones wait.
    pub in_progress_max: u32,
    /// The most database connections.
    pub database_connections: usize,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// How long the inbox remembers.
    pub inbox_retention: Duration,
    /// How long dead letters are kept that are resolved or archived.
    pub letter_retention: Duration,
    /// How long outputs may be on their way before they are published again.
    pub sweep_after: Duration,
    /// How often due timers are looked for.
    pub timer_period: Duration,
    /// How long a stop may take.
    pub drain_deadline: Duration,
    /// The bounds of calls to the outside.
    pub effects: EffectLimits,
    /// How the log looks.
    pub log_format: LogFormat,
    /// What the log lets through.
    pub log_filter: LogFilter,
    /// Where traces go, if anywhere.
    pub traces: Option<trace::settings::Settings>,
}

/// How much longer than the ladder the inbox has to remember at least: a copy of a message may lie
/// in a queue meanwhile. A dead letter keeps its message's row by itself, however old it is.
const COPY_MAY_LIE: Duration = Duration::from_secs(7 * 24 * 3600);

/// All problems of a configuration, one a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(pub Vec<String>);

/// Variables that belong to other programs of ours and are no mistake here.
const FOREIGN: [&str; 8] = [
    "ORDERLY_MANAGEMENT_URL",
    "ORDERLY_OPERATOR",
    "ORDERLY_TEST_NODES",
    "ORDERLY_AMQP_PORT",
    "ORDERLY_MANAGEMENT_PORT",
    "ORDERLY_DATABASE_PORT",
    "ORDERLY_PROMETHEUS_PORT",
    "ORDERLY_GRAFANA_PORT",
];

impl Config {
    /// Reads the configuration of the worker of `party` from `variables`.
    pub fn read(
        party: Party,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(variables);
        let config = Self::from_reader(party, &mut reader);
        reader.finish()?;
        config.ok_or_else(|| ConfigErrors(vec!["configuration incomplete".to_owned()]))
    }

    /// The names of all variables of ours that the worker of `party` reads.
    pub fn variables(party: Party) -> Vec<String> {
        let mut reader = Reader::new([]);
        // It comes to nothing without addresses, but it asks for every variable.
        let _ = Self::from_reader(party, &mut reader);
        reader.known.retain(|name| name.starts_with(OURS));
        reader.known
    }

    fn from_reader(party: Party, reader: &mut Reader) -> Option<Self> {
        let name = party.name().to_uppercase();
        let broker = reader.address("ORDERLY_BROKER", &["amqp", "amqps"]);
        let database =
            reader.address(&format!("ORDERLY_{name}_DATABASE"), &["postgres", "postgresql"]);
        let http = reader.value(&format!("ORDERLY_{name}_HTTP"), default_http(party));
        let has_metrics = reader.value("ORDERLY_METRICS", true);
        let patience = reader.within("ORDERLY_BATCH_PATIENCE_MS", 50, 0..=1_000);
        let batch = BatchLimits {
            messages: reader.within("ORDERLY_BATCH_MESSAGES", 500, 1..=2_000),
            bytes: reader.within("ORDERLY_BATCH_BYTES", 4 << 20, 1..=256 << 20),
            prefetch: reader.within("ORDERLY_PREFETCH", 1_000, 1..=2_000),
            patience: Duration::from_millis(patience),
            rest: reader.within("ORDERLY_BATCH_REST", 4, 0..=100),
        };
        if usize::from(batch.prefetch) < batch.messages {
            reader.refuse("ORDERLY_PREFETCH", "is smaller than ORDERLY_BATCH_MESSAGES");
        }
        let ladder = reader.ladder("ORDERLY_RETRY_DELAYS_MS").with_attempts(Attempts {
            conflict: reader.within("ORDERLY_RETRY_CONFLICT_ATTEMPTS", 10, 0..=10),
            asked: reader.within("ORDERLY_RETRY_ASKED_ATTEMPTS", 10, 0..=10),
            outside: reader.within("ORDERLY_RETRY_OUTSIDE_ATTEMPTS", 10, 0..=10),
        });
        let inbox_days = reader.within("ORDERLY_INBOX_RETENTION_DAYS", 14u64, 1..=3650);
        let inbox_retention = Duration::from_secs(inbox_days * 24 * 3600);
        if inbox_retention <= ladder.duration() + COPY_MAY_LIE {
            let text = "is not longer than the retry ladder and a week for a copy in a queue";
            reader.refuse("ORDERLY_INBOX_RETENTION_DAYS", text);
        }
        let letter_days = reader.within("ORDERLY_DEAD_RETENTION_DAYS", 30u64, 1..=3650);
        let traces = trace::settings::Settings::read(reader, &format!("orderly-{party}"));
        let collector = traces.as_ref().map(|traces| &traces.endpoint);
        reader.check_plaintext(&[broker.as_ref(), database.as_ref(), collector]);
        Some(Self {
            http,
            has_metrics,
            batch,
            ladder,
            inbox_retention,
            breaker: BreakerLimits {
                failures_percent: reader.within("ORDERLY_BREAKER_FAILURES_PERCENT", 50, 1..=100),
                pause: reader.millis("ORDERLY_BREAKER_PAUSE_MS", 5_000),
                longest: reader.millis("ORDERLY_BREAKER_PAUSE_MAX_MS", 60_000),
            },
            letter_retention: Duration::from_secs(letter_days * 24 * 3600),
            body_bytes_max: reader.within("ORDERLY_BODY_BYTES_MAX", 1 << 20, 1..=LETTER_BODY_MAX),
            in_progress_max: reader.within("ORDERLY_IN_PROGRESS_MAX", 4_000, 10..=1_000_000),
            database_connections: reader.within("ORDERLY_DATABASE_CONNECTIONS", 8, 4..=100),
            statement_timeout: reader.millis("ORDERLY_STATEMENT_TIMEOUT_MS", 10_000),
            sweep_after: reader.millis("ORDERLY_SWEEP_AFTER_MS", 30_000),
            timer_period: reader.millis("ORDERLY_TIMER_PERIOD_MS", 500),
            drain_deadline: reader.millis("ORDERLY_DRAIN_DEADLINE_MS", 10_000),
            effects: EffectLimits {
                calls: reader.within("ORDERLY_EFFECT_CALLS", 32, 1..=1_000),
                timeout: reader.millis("ORDERLY_EFFECT_TIMEOUT_MS", 5_000),
            },
            log_format: reader.value("ORDERLY_LOG_FORMAT", LogFormat::default()),
            log_filter: reader.value("ORDERLY_LOG", LogFilter::default()),
            traces,
            broker: broker?,
            database: database?,
        })
    }
}

/// Where a worker answers unless told otherwise.
fn default_http(party: Party) -> SocketAddr {
    let port = match party {
        Party::Client => 9100,
        Party::Order => 9101,
        Party::Stock => 9102,
        Party::Payment => 9103,
    };
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// How the names of our variables begin.
const OURS: &str = "ORDERLY_";

/// Reads variables and collects what is wrong with them.
pub struct Reader {
    variables: BTreeMap<String, String>,
    known: Vec<String>,
    problems: Vec<String>,
}

impl Reader {
    /// A reader of all variables that begin with `ORDERLY_`, and of OpenTelemetry's.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_read = |name: &str| name.starts_with(OURS) || name.starts_with("OTEL_");
        let ours = variables.into_iter().filter(|(name, _)| is_read(name));
        Self { variables: ours.collect(), known: vec![], problems: vec![] }
    }

    /// Says what is wrong with a variable. The value is never part of it.
    pub fn refuse(&mut self, name: &str, problem: impl fmt::Display) {
        self.problems.push(format!("{name} {problem}"));
    }

    /// The text of a variable; an empty one counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.known.push(name.to_owned());
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// A value that parses, or the default.
    pub fn value<T: FromStr>(&mut self, name: &str, default: T) -> T
    where
        T::Err: fmt::Display,
    {
        let Some(text) = self.text(name) else { return default };
        text.parse().unwrap_or_else(|error| {
            self.refuse(name, format_args!("can't be read: {error}"));
            default
        })
    }

    /// A number within bounds, or the default.
    pub fn within<T>(&mut self, name: &str, default: T, bounds: std::ops::RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
        T::Err: fmt::Display,
    {
        let value = self.value(name, default);
        if bounds.contains(&value) {
            return value;
        }
        let (min, max) = (bounds.start(), bounds.end());
        self.refuse(name, format_args!("is {value}, allowed are {min} to {max}"));
        default
    }

    /// A duration in milliseconds, between 1 ms and a day.
    pub fn millis(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.within(name, default, 1..=24 * 3_600_000))
    }

    /// The delays of the retry ladder, in milliseconds with commas.
    pub fn ladder(&mut self, name: &str) -> Ladder {
        let Some(text) = self.text(name) else { return Ladder::default() };
        let delays: Result<Vec<u64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        match delays {
            Ok(delays)
                if delays.len() <= 10 && delays.iter().all(|ms| (10..=86_400_000).contains(ms)) =>
            {
                Ladder::new(delays.into_iter().map(Duration::from_millis).collect())
            }
            _ => {
                self.refuse(name, "must be up to 10 delays in ms from 10 to 86400000, with commas");
                Ladder::default()
            }
        }
    }

    /// `<prefix>_URL`, with `<prefix>_PASSWORD_FILE` and `<prefix>_CA_FILE`.
    pub fn address(&mut self, prefix: &str, schemes: &[&str]) -> Option<Address> {
        let name = format!("{prefix}_URL");
        let password_name = format!("{prefix}_PASSWORD_FILE");
        let ca_file = self.text(&format!("{prefix}_CA_FILE")).map(PathBuf::from);
        if let Some(file) = ca_file.as_ref().filter(|file| !file.is_file()) {
            let problem = format!("names no file: {}", file.display());
            self.refuse(&format!("{prefix}_CA_FILE"), problem);
        }
        let file = self.text(&password_name);
        let Some(text) = self.text(&name) else {
            self.refuse(&name, "is missing");
            return None;
        };
        let mut url = match Url::parse(&text) {
            Ok(url) if schemes.contains(&url.scheme()) && url.host().is_some() => url,
            Ok(_) => {
                self.refuse(&name, format_args!("must be {}://host/...", schemes.join(":// or ")));
                return None;
            }
            Err(error) => {
                self.refuse(&name, format_args!("is no URL: {error}"));
                return None;
            }
        };
        let mut password = url.password().map(decode_percent);
        if let Some(file) = file {
            match std::fs::read_to_string(&file) {
                Ok(text) => password = Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => self.refuse(&password_name, format_args!("can't be read: {error}")),
            }
        }
        let _ = url.set_password(None);
        Some(Address { url, password: password.map(SecretString::from), ca_file })
    }

    /// Plaintext to anywhere but this machine needs an explicit word.
    pub fn check_plaintext(&mut self, addresses: &[Option<&Address>]) {
        let is_allowed = self.value("ORDERLY_ALLOW_PLAINTEXT", false);
        for address in addresses.iter().flatten() {
            if !is_allowed && !address.is_secured() && !address.is_loopback() {
                let text = format!(
                    "is unset, but {} is neither on this machine nor secured \
                     (amqps://, or sslmode=verify-full)",
                    address.host()
                );
                self.refuse("ORDERLY_ALLOW_PLAINTEXT", text);
            }
        }
    }

    /// All problems, unknown variables included.
    pub fn finish(mut self) -> Result<(), ConfigErrors> {
        // Of OpenTelemetry's there are many that are meant for other programs.
        for name in self.variables.keys().filter(|name| name.starts_with(OURS)) {
            let is_shared = ["ORDER", "STOCK", "PAYMENT"].iter().any(|party| {
                name.strip_prefix("ORDERLY_").and_then(|name| name.strip_prefix(party)).is_some_and(
                    |rest| {
                        ["_DATABASE_URL", "_DATABASE_PASSWORD_FILE", "_DATABASE_CA_FILE", "_HTTP"]
                            .contains(&rest)
                    },
                )
            });
            if !self.known.contains(name) && !is_shared && !FOREIGN.contains(&name.as_str()) {
                self.problems.push(format!("{name} is no setting of this program"));
            }
        }
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigErrors(self.problems)) }
    }
}

pub(crate) fn decode_percent(text: &str) -> String {
    let pair = format!("p={}", text.replace('+', "%2B").replace('&', "%26"));
    let value = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value);
    value.unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_worker_processes_what_a_letter_could_not_keep() {
        let read = |bytes: usize| {
            let variables = [
                ("ORDERLY_BROKER_URL", "amqp://localhost"),
                ("ORDERLY_ORDER_DATABASE_URL", "postgres://localhost"),
                ("ORDERLY_BODY_BYTES_MAX", &bytes.to_string()),
            ];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Config::read(Party::Order, variables)
        };
        assert_eq!(read(LETTER_BODY_MAX).unwrap().body_bytes_max, LETTER_BODY_MAX);
        let problems = read(LETTER_BODY_MAX + 1).unwrap_err();
        assert!(problems.0[0].starts_with("ORDERLY_BODY_BYTES_MAX is 2097153"), "{problems}");
    }
}
