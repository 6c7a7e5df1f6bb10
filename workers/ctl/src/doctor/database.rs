//! A service's database: can it be reached, is its schema current, does it keep what it commits.

use orderly_contracts::routes::Party;
use orderly_runtime::postgres::migrate::Standing;

use super::clock;
use super::finding::Finding;
use super::reading::{Database, Reading};
use crate::look::Look;

/// Everything about the databases themselves.
pub(super) fn check(reading: &Reading) -> Vec<Finding> {
    let each = reading.databases.iter();
    each.flat_map(|(party, database)| match database {
        Ok(database) => present(*party, database),
        Err(error) => vec![away(*party, error)],
    })
    .collect()
}

fn away(party: Party, error: &str) -> Finding {
    let check = format!("{party}.database");
    let variable = format!("ORDERLY_{}_DATABASE_URL", party.name().to_uppercase());
    let mend = if error.contains("password authentication") || error.contains("does not exist") {
        format!("check {variable} and its password file; psql \"${variable}\"")
    } else {
        format!("pg_isready -d \"${variable}\"; is PostgreSQL running, and the way there open?")
    };
    Finding::failure(&check, error, mend)
}

fn present(party: Party, database: &Database) -> Vec<Finding> {
    let version = database.server.as_ref().map(|it| it.version.clone()).unwrap_or_default();
    let text = format!("PostgreSQL {version} lets us in, after {:.0?}", database.login);
    let mut findings = vec![Finding::ok(&format!("{party}.database"), text)];
    findings.push(schema(party, &database.standings, &database.has_own_tables));
    findings.push(durability(party, database));
    let check = format!("{party}.clock");
    findings.push(match &database.clock {
        Ok(ahead) => clock::check(&check, &format!("the {party} database"), *ahead),
        Err(error) => Finding::unknown(&check, error, format!("see {party}.database")),
    });
    findings
}

fn schema(party: Party, standings: &Look<[Standing; 2]>, has_own: &Look<bool>) -> Finding {
    let check = format!("{party}.migrations");
    let migrate = format!("orderly migrate --service {party}");
    let standings = match standings {
        Ok(standings) => standings,
        Err(error) => return Finding::unknown(&check, error, migrate),
    };
    let [runtime, own] =
        standings.map(|it| format!("{} of {}", it.found.unwrap_or(0), it.wanted.unwrap_or(0)));
    let numbers = format!("the runtime's {runtime}, its own {own}");
    if standings.iter().any(|it| it.found < it.wanted) {
        let text = format!("migrations are missing: {numbers}");
        return Finding::failure(&check, text, migrate);
    }
    if *has_own == Ok(false) {
        let text = format!("these are not the tables of the {party} service");
        let variable = format!("ORDERLY_{}_DATABASE_URL", party.name().to_uppercase());
        return Finding::failure(&check, text, format!("{variable} names another's database"));
    }
    if standings.iter().any(|it| it.found > it.wanted) {
        let text = format!("newer than this program: {numbers}");
        let mend = "fine during an upgrade; use the `orderly` of the newer version";
        return Finding::warning(&check, text, mend);
    }
    Finding::ok(&check, format!("current: {numbers}"))
}

fn durability(party: Party, database: &Database) -> Finding {
    let check = format!("{party}.durability");
    let server = match &database.server {
        Ok(server) => server,
        Err(error) => return Finding::unknown(&check, error, format!("see {party}.database")),
    };
    if server.unsafe_settings.is_empty() {
        return Finding::ok(&check, "what is committed is on the disk");
    }
    let text = format!(
        "{}: a crash of the server loses what was acknowledged",
        server.unsafe_settings.join(", ")
    );
    let mend = "ALTER SYSTEM RESET ALL of these, or ALTER ROLE ... RESET; SELECT pg_reload_conf()";
    Finding::failure(&check, text, mend)
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::reading::Ahead;
    use super::super::sample;
    use super::*;

    fn wrong(change: impl FnOnce(&mut Database)) -> Vec<(String, State, String)> {
        let mut reading = sample::healthy();
        change(reading.databases.get_mut(&Party::Stock).unwrap().as_mut().unwrap());
        let wrong = check(&reading).into_iter().filter(|it| it.state != State::Ok);
        wrong.map(|it| (it.check, it.state, it.mend.unwrap())).collect()
    }

    #[test]
    fn what_is_wrong_with_a_database_is_named() {
        assert_eq!(wrong(|_| {}), []);
        let standing = |found, wanted| Standing { found, wanted: Some(wanted) };
        let migrate = "orderly migrate --service stock";
        type Change = Box<dyn Fn(&mut Database)>;
        let table: [(Change, &str, State, &str); 7] = [
            (
                Box::new(move |it| it.standings = Ok([standing(Some(4), 5), standing(Some(1), 1)])),
                "stock.migrations",
                State::Failure,
                migrate,
            ),
            (
                Box::new(move |it| it.standings = Ok([standing(None, 5), standing(None, 1)])),
                "stock.migrations",
                State::Failure,
                migrate,
            ),
            (
                Box::new(move |it| it.standings = Ok([standing(Some(6), 5), standing(Some(1), 1)])),
                "stock.migrations",
                State::Warning,
                "newer version",
            ),
            (
                Box::new(|it| it.has_own_tables = Ok(false)),
                "stock.migrations",
                State::Failure,
                "ORDERLY_STOCK_DATABASE_URL",
            ),
            (
                Box::new(|it| {
                    it.server.as_mut().unwrap().unsafe_settings = vec!["fsync=off".to_owned()];
                }),
                "stock.durability",
                State::Failure,
                "RESET",
            ),
            (
                Box::new(|it| it.clock = Ok(Ahead { ms: -3_000, within_ms: 2 })),
                "stock.clock",
                State::Warning,
                "set-ntp",
            ),
            (
                Box::new(|it| it.clock = Err("no answer".to_owned())),
                "stock.clock",
                State::Unknown,
                "stock.database",
            ),
        ];
        for (change, check, state, cure) in table {
            let said = wrong(change);
            assert_eq!(said.len(), 1, "{check}: {said:?}");
            assert_eq!((said[0].0.as_str(), said[0].1), (check, state));
            assert!(said[0].2.contains(cure), "{said:?}");
        }
    }

    #[test]
    fn a_database_that_is_away_and_one_that_refuses_are_told_apart() {
        let mend = |error: &str| away(Party::Order, error).mend.unwrap();
        assert!(mend("no connection within 5s").contains("pg_isready"));
        assert!(mend("password authentication failed for user").contains("password file"));
    }
}
