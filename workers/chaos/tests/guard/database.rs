//! What a worker says to PostgreSQL, counted message by message.

use std::collections::{BTreeMap, BTreeSet};

use orderly_chaos::proxy::{Label, Passed, Way};

/// What a batch asks of the database: a transaction, from the word that begins it until the connection is idle
/// again; or by itself a statement that claims messages, together with one before it that looks at orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// Statements executed, by the server's word.
    pub(crate) statements: usize,
    /// How often the client waited for answers before it went on.
    pub(crate) trips: usize,
    /// Statements prepared.
    pub(crate) prepares: usize,
    /// Commits, by the server's word.
    pub(crate) commits: usize,
    has_begun: bool,
    claims: bool,
    looks: bool,
}

/// All that was said on all connections.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// Transactions, in the order of their ends.
    pub(crate) transactions: Vec<Transaction>,
    /// Statements executed outside of transactions.
    pub(crate) beside: usize,
    /// Statements that were prepared twice on a connection that runs transactions.
    pub(crate) repeated: BTreeSet<String>,
}

/// A connection, as far as it has come.
#[derive(Default)]
struct Connection {
    /// What it is doing since it was last idle.
    current: Transaction,
    /// How many answers the server owes: each ends with the word that it is ready.
    owed: usize,
    /// Whether the client has said something since it last heard all it waited for.
    is_speaking: bool,
    prepared: BTreeSet<String>,
    /// The names of prepared statements that claim messages.
    claiming: BTreeSet<Vec<u8>>,
    /// The names of those that look at orders, and lock none.
    looking: BTreeSet<Vec<u8>>,
    repeated: BTreeSet<String>,
    runs_transactions: bool,
}

impl Conversation {
    /// What `passed` comes to.
    pub(crate) fn of(passed: &[Passed]) -> Self {
        let mut all = Self::default();
        let mut connections: BTreeMap<u64, Connection> = BTreeMap::new();
        for Passed { connection, way, unit } in passed {
            let Label::Postgres { tag, text } = &unit.label else { continue };
            let connection = connections.entry(*connection).or_default();
            match way {
                Way::ToServer => connection.ask(*tag, text, &unit.bytes),
                Way::ToClient => {
                    let ended = connection.answer(*tag, text, &unit.bytes).unwrap_or_default();
                    if ended.has_begun || ended.claims {
                        all.transactions.push(ended);
                    } else {
                        all.beside += ended.statements;
                    }
                }
            }
        }
        let connections = connections.into_values().filter(|one| one.runs_transactions);
        all.repeated = connections.flat_map(|one| one.repeated).collect();
        all
    }
}

impl Connection {
    /// The client says something.
    fn ask(&mut self, tag: u8, text: &str, bytes: &[u8]) {
        if !std::mem::replace(&mut self.is_speaking, true) {
            self.current.trips += 1;
        }
        match tag {
            b'Q' | b'S' => self.owed += 1,
            b'P' => {
                self.current.prepares += 1;
                if !self.prepared.insert(text.to_owned()) {
                    self.repeated.insert(text.to_owned());
                }
                if text.contains("INTO inbox") {
                    self.claiming.insert(string(bytes, 0));
                }
                if text.contains("FROM orders WHERE") && !text.contains("FOR UPDATE") {
                    self.looking.insert(string(bytes, 0));
                }
            }
            // Which portal it is for, and by what name the statement was prepared.
            b'B' => {
                let name = string(bytes, 1);
                self.current.claims |= self.claiming.contains(&name);
                self.current.looks |= self.looking.contains(&name);
            }
            _ => {}
        }
    }

    /// The server says something; what has ended with it.
    fn answer(&mut self, tag: u8, text: &str, bytes: &[u8]) -> Option<Transaction> {
        match tag {
            // Asked for when a connection lay idle for so long: a matter of the clock.
            b'C' if text == "DISCARD PLANS" => {}
            b'C' => {
                self.current.statements += 1;
                self.current.has_begun |= text == "BEGIN";
                self.runs_transactions |= self.current.has_begun;
                self.current.commits += usize::from(text == "COMMIT");
            }
            b'Z' => {
                self.owed = self.owed.saturating_sub(1);
                self.is_speaking &= self.owed > 0;
                // `ReadyForQuery` says whether a transaction is open.
                let is_idle = bytes.last() == Some(&b'I');
                let Transaction { has_begun, claims, looks, .. } = self.current;
                // What was looked at is about to be saved.
                let goes_on = looks && !claims && !has_begun;
                if is_idle && self.owed == 0 && !goes_on {
                    self.runs_transactions |= claims;
                    self.current.commits += usize::from(claims && !has_begun);
                    return Some(std::mem::take(&mut self.current));
                }
            }
            _ => {}
        }
        None
    }
}

/// The `nth` string of a message, behind its type and length.
fn string(bytes: &[u8], nth: usize) -> Vec<u8> {
    let mut strings = bytes.get(5..).unwrap_or_default().split(|byte| *byte == 0);
    strings.nth(nth).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use orderly_chaos::proxy::Unit;

    use super::*;

    /// A conversation: `>` says the client, `<` says the server, then a tag and a text.
    fn conversation(lines: &[&str]) -> Conversation {
        let passed = lines.iter().map(|line| {
            let way = if line.starts_with('>') { Way::ToServer } else { Way::ToClient };
            let (tag, text) = (line.as_bytes()[1], line[2..].to_owned());
            let payload = match tag {
                b'P' => format!("s\0{text}\0"),
                b'B' => "\0s\0".to_owned(),
                _ => text.clone(),
            };
            let bytes = [b"?four", payload.as_bytes()].concat();
            let unit = Unit { bytes, label: Label::Postgres { tag, text } };
            Passed { connection: 0, way, unit }
        });
        Conversation::of(&passed.collect::<Vec<_>>())
    }

    #[test]
    fn a_statement_that_waits_for_no_answer_takes_no_trip() {
        let begin = [">QBEGIN", "<CBEGIN", "<ZT"];
        let insert = [">B", ">E", ">S", "<C", "<ZT"];
        let waiting = [&begin[..], &insert, &insert, &[">QCOMMIT", "<CCOMMIT", "<ZI"]].concat();
        let pipelined = [
            &[">QBEGIN", ">B", ">E", ">S", ">B", ">E", ">S", ">QCOMMIT"][..],
            &["<CBEGIN", "<ZT", "<C", "<ZT", "<C", "<ZT", "<CCOMMIT", "<ZI"],
        ];
        for (lines, trips) in [(waiting, 4), (pipelined.concat(), 1)] {
            let expected = Transaction {
                statements: 4,
                trips,
                prepares: 0,
                commits: 1,
                has_begun: true,
                ..Transaction::default()
            };
            assert_eq!(conversation(&lines).transactions, [expected]);
        }
    }

    #[test]
    fn a_statement_that_claims_is_a_transaction_by_itself() {
        let prepare = [">PWITH a AS (INSERT INTO inbox) SELECT 1", ">D", ">S", "<1", "<ZI"];
        let execute = [">B", ">E", ">S", "<CSELECT 1", "<ZI"];
        let heard = conversation(&[&prepare[..], &execute, &execute].concat());
        let expected = Transaction {
            statements: 1,
            trips: 1,
            commits: 1,
            claims: true,
            ..Transaction::default()
        };
        assert_eq!(heard.transactions, [expected.clone(), expected]);
        assert_eq!(heard.beside, 0);
    }

    #[test]
    fn what_is_looked_at_before_belongs_to_it() {
        let look = [">PSELECT status FROM orders WHERE true", ">D", ">S", "<1", "<ZI"];
        let claim = [">PINSERT INTO inbox", ">D", ">S", "<1", "<ZI"];
        let execute = [">B", ">E", ">S", "<CSELECT 1", "<ZI"];
        // Here both have one name: what is prepared last under it looks and claims.
        let heard = conversation(&[&look[..], &execute, &claim, &execute, &execute].concat());
        let parts = heard.transactions.iter().map(|one| (one.statements, one.trips, one.commits));
        assert_eq!(parts.collect::<Vec<_>>(), [(2, 3, 1), (1, 1, 1)]);
        assert_eq!(heard.beside, 0);
    }

    #[test]
    fn what_is_beside_transactions_and_what_is_prepared_twice_is_seen() {
        let prepare = [">PSELECT 1", ">D", ">S", "<1", "<ZI"];
        let execute = [">B", ">E", ">S", "<C", "<ZI"];
        let transaction = [">QBEGIN", "<CBEGIN", "<ZT", ">QCOMMIT", "<CCOMMIT", "<ZI"];
        let lines = [&prepare[..], &execute, &execute, &transaction, &prepare].concat();
        let heard = conversation(&lines);
        assert_eq!(heard.transactions.len(), 1);
        assert_eq!(heard.beside, 2);
        assert_eq!(heard.repeated, BTreeSet::from(["SELECT 1".to_owned()]));
    }
}
