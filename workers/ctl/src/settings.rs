//! Where everything is, from the environment: a command learns all that is wrong at once.

use std::collections::BTreeMap;

use orderly_contracts::routes::Party;
use orderly_runtime::config::{Address, Config, ConfigErrors, Reader};
use orderly_runtime::retry::Ladder;
use orderly_runtime::trace;

/// Something a command can't work without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The broker, by `ORDERLY_BROKER_URL`.
    Broker,
    /// A service's database, by `ORDERLY_<SERVICE>_DATABASE_URL`.
    Database(Party),
    /// The retry ladder, by `ORDERLY_RETRY_DELAYS_MS`.
    Ladder,
    /// The broker's management API, by `ORDERLY_MANAGEMENT_URL`; absent is fine, wrong is not.
    Management,
}

const LADDER: &str = "ORDERLY_RETRY_DELAYS_MS";
const CONNECTIONS: &str = "ORDERLY_DATABASE_CONNECTIONS";
const BROKER: &str = "ORDERLY_BROKER";
const MANAGEMENT: &str = "ORDERLY_MANAGEMENT";

/// The variables of this process. Nothing is read or judged before a command asks for it.
#[derive(Clone)]
pub struct Settings {
    variables: BTreeMap<String, String>,
}

impl Settings {
    /// The settings in this process's environment.
    pub fn from_env() -> Self {
        // `vars` panics on anything that isn't Unicode, also where it is none of our business.
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self::from_variables(texts)
    }

    /// The settings in `variables`.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect() }
    }

    /// Checks everything a command needs, so that the error names every wrong variable at once.
    pub fn check(&self, needs: &[Need]) -> Result<(), ConfigErrors> {
        self.read(|reader| {
            let found: Vec<_> = needs
                .iter()
                .filter_map(|need| match need {
                    Need::Broker => broker(reader),
                    Need::Database(party) => database(reader, *party),
                    Need::Management => management(reader, &self.variables),
                    Need::Ladder => {
                        reader.ladder(LADDER);
                        None
                    }
                })
                .collect();
            let plain: Vec<_> =
                found.iter().filter(|one| one.url.scheme() != "https").map(Some).collect();
            reader.check_plaintext(&plain);
        })
    }

    /// Whether the database of `party` is set at all.
    pub fn is_set(&self, party: Party) -> bool {
        let name = format!("ORDERLY_{}_DATABASE_URL", party.name().to_uppercase());
        self.variables.get(&name).is_some_and(|url| !url.is_empty())
    }

    /// The broker.
    pub fn broker(&self) -> Result<Address, ConfigErrors> {
        self.address(Need::Broker, broker)
    }

    /// The database of `party`.
    pub fn database(&self, party: Party) -> Result<Address, ConfigErrors> {
        self.address(Need::Database(party), |reader| database(reader, party))
    }

    /// The broker's management API, if it is set.
    pub fn management(&self) -> Result<Option<Address>, ConfigErrors> {
        self.check(&[Need::Management])?;
        self.read(|reader| management(reader, &self.variables))
    }

    /// The retry ladder that the workers use.
    pub fn ladder(&self) -> Result<Ladder, ConfigErrors> {
        self.read(|reader| reader.ladder(LADDER))
    }

    /// How many connections to its database a replica of a worker takes at most.
    pub fn database_connections(&self) -> Result<u64, ConfigErrors> {
        self.read(|reader| reader.within(CONNECTIONS, 8, 4..=100))
    }

    /// Where traces go, if anywhere.
    pub fn traces(&self) -> Result<Option<trace::settings::Settings>, ConfigErrors> {
        self.read(|reader| {
            let traces = trace::settings::Settings::read(reader, "orderly");
            reader.check_plaintext(&[traces.as_ref().map(|traces| &traces.endpoint)]);
            traces
        })
    }

    fn address(
        &self,
        need: Need,
        read: impl FnOnce(&mut Reader) -> Option<Address>,
    ) -> Result<Address, ConfigErrors> {
        self.check(&[need])?;
        let found = self.read(read)?;
        found.ok_or_else(|| ConfigErrors(vec!["configuration incomplete".to_owned()]))
    }

    fn read<T>(&self, read: impl FnOnce(&mut Reader) -> T) -> Result<T, ConfigErrors> {
        let mut reader = Reader::new(self.variables.clone());
        let value = read(&mut reader);
        // Settings of the workers mean nothing here. They are no mistake where all programs share
        // one environment file; a name that nobody knows is.
        for name in Config::variables(Party::Order) {
            reader.text(&name);
        }
        for suffix in ["PASSWORD_FILE", "CA_FILE"] {
            reader.text(&format!("{MANAGEMENT}_{suffix}"));
        }
        reader.text(&format!("{BROKER}_URL"));
        reader.finish()?;
        Ok(value)
    }
}

fn broker(reader: &mut Reader) -> Option<Address> {
    reader.address(BROKER, &["amqp", "amqps"])
}

fn database(reader: &mut Reader, party: Party) -> Option<Address> {
    let prefix = format!("ORDERLY_{}_DATABASE", party.name().to_uppercase());
    reader.address(&prefix, &["postgres", "postgresql"])
}

fn management(reader: &mut Reader, variables: &BTreeMap<String, String>) -> Option<Address> {
    let url = variables.get(&format!("{MANAGEMENT}_URL"))?;
    if url.is_empty() {
        return None;
    }
    reader.address(MANAGEMENT, &["http", "https"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_workers_are_passed_over_and_unknown_ones_are_not() {
        let set = |name: &str| (name.to_owned(), "1".to_owned());
        let theirs = ["ORDERLY_PREFETCH", "ORDERLY_BREAKER_PAUSE_MS", "ORDERLY_ORDER_HTTP"];
        let settings = Settings::from_variables(theirs.map(set));
        assert!(settings.ladder().is_ok());
        let settings = Settings::from_variables([set("ORDERLY_PREFETSCH")]);
        let errors = settings.ladder().unwrap_err().0;
        assert_eq!(errors, ["ORDERLY_PREFETSCH is no setting of this program"]);
    }

    #[test]
    fn what_is_wrong_is_found_only_where_it_is_needed() {
        let wrong = |name: &str| (name.to_owned(), "nonsense".to_owned());
        let names = ["ORDERLY_STOCK_DATABASE_URL", "ORDERLY_RETRY_DELAYS_MS"];
        let broker = ("ORDERLY_BROKER_URL", "amqp://me:secret@localhost/v");
        let broker = [(broker.0.to_owned(), broker.1.to_owned())];
        let settings = Settings::from_variables(names.map(wrong).into_iter().chain(broker));
        assert_eq!(settings.broker().unwrap().url.path(), "/v");
        assert!(settings.is_set(Party::Stock) && !settings.is_set(Party::Order));
        let needs = [Need::Database(Party::Stock), Need::Ladder, Need::Database(Party::Order)];
        let errors = settings.check(&needs).unwrap_err().0;
        assert_eq!(errors.len(), 3, "{errors:?}");
    }
}
