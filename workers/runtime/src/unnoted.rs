//! Batches whose outputs are out while the database does not know it yet.
//!
//! It costs a statement to note that, so it is noted of many together; but, by default, long before the sweep
//! takes them for left behind.

use std::time::Duration;

use uuid::Uuid;

use crate::clock::Micros;

/// So many are noted together.
const TOGETHER: usize = 8;
/// None waits longer for others, while its lane has something to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// The batches of a lane that are out and not noted.
#[derive(Debug, Default)]
pub struct Unnoted {
    batches: Vec<Uuid>,
    /// Since when the first of them is out.
    since: Micros,
}

impl Unnoted {
    /// Adds batches that are out.
    pub fn add(&mut self, batches: Vec<Uuid>, now: Micros) {
        if self.batches.is_empty() {
            self.since = now;
        }
        self.batches.extend(batches);
    }

    /// All of them.
    pub fn all(&self) -> &[Uuid] {
        &self.batches
    }

    /// All of them, if it is time to note them: there are many, or one has waited long.
    pub fn due(&self, now: Micros) -> &[Uuid] {
        let is_due = self.batches.len() >= TOGETHER || now - self.since >= PATIENCE;
        if is_due { &self.batches } else { &[] }
    }

    /// They are noted.
    pub fn clear(&mut self) {
        self.batches.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_due_when_they_are_many_or_one_has_waited_long() {
        let mut unnoted = Unnoted::default();
        let at = |seconds: i64| Micros(seconds * 1_000_000);
        assert!(unnoted.due(at(100)).is_empty());
        unnoted.add(vec![Uuid::nil()], at(100));
        unnoted.add(vec![Uuid::max()], at(104));
        assert!(unnoted.due(at(104)).is_empty());
        assert_eq!(unnoted.due(at(105)), [Uuid::nil(), Uuid::max()]);
        unnoted.clear();
        unnoted.add(vec![Uuid::nil(); TOGETHER - 1], at(110));
        assert!(unnoted.due(at(110)).is_empty());
        unnoted.add(vec![Uuid::nil()], at(110));
        assert_eq!(unnoted.due(at(110)).len(), TOGETHER);
    }
}
