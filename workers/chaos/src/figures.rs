//! A table of figures, for people: what was done, what came of it, on which machine.

use std::fmt;

use anyhow::Result;
use orderly_devstack::machine;

/// Figures, section by section, and whether anything was violated.
#[derive(Debug, Default)]
pub struct Figures {
    rows: Vec<(String, String, String)>,
    failures: usize,
}

impl Figures {
    /// Adds a figure.
    pub fn add(&mut self, section: &str, what: &str, value: impl fmt::Display) {
        self.rows.push((section.to_owned(), what.to_owned(), value.to_string()));
    }

    /// Takes note of how a section ended; a failure is told, and the other sections go on.
    pub fn end<T>(&mut self, section: &str, outcome: Result<T>) {
        if let Err(error) = outcome {
            self.failures += 1;
            eprintln!("{section}: {error:#}");
            let text = format!("{error:#}");
            self.add(section, "FAILED", text.lines().next().unwrap_or_default());
        }
    }

    /// Whether every section ended well.
    pub fn are_good(&self) -> bool {
        self.failures == 0
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&(String, String, String)) -> usize| self.rows.iter().map(of).max();
        let first = width(|(section, _, _)| section.len()).unwrap_or_default();
        let second = width(|(_, what, _)| what.len()).unwrap_or_default();
        for (section, what, value) in &self.rows {
            writeln!(f, "{section:<first$}  {what:<second$}  {value}")?;
        }
        let verdict = match self.failures {
            0 => "0 violations".to_owned(),
            count => format!("{count} sections FAILED"),
        };
        write!(f, "{verdict}; {}; {}", jiff::Timestamp::now().strftime("%Y-%m-%d"), machine())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_section_is_enough_and_is_shown() {
        let mut figures = Figures::default();
        figures.add("kills", "workers killed", 83);
        figures.end("kills", Ok(()));
        assert!(figures.are_good());
        figures.end::<()>("stops", Err(anyhow::anyhow!("one was lost\nand more")));
        assert!(!figures.are_good());
        let shown = figures.to_string();
        assert!(shown.contains("kills  workers killed  83"), "{shown}");
        assert!(shown.contains("stops  FAILED          one was lost\n"), "{shown}");
        assert!(shown.contains("1 sections FAILED"), "{shown}");
    }
}
