//! How far a transfer is, for people at a terminal: on stderr, and only there.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::source::Extent;
use super::transfer::Tally;

/// A bar, where the length of the input is known, else a counter. Hidden but on a terminal.
pub struct Progress {
    bar: ProgressBar,
    extent: Extent,
}

impl Progress {
    /// The progress through an input.
    pub fn new(extent: Extent) -> Self {
        let bar = match extent.length {
            Some(length) => ProgressBar::new(length),
            None => ProgressBar::no_length(),
        };
        let template = match extent.length {
            Some(_) => "{elapsed:>4} [{bar:40}] {percent:>3}% {msg}",
            None => "{elapsed:>4} {spinner} {msg}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, extent }
    }

    /// No progress is shown.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), extent: Extent::default() }
    }

    /// Shows how far it is.
    pub fn show(&self, tally: &Tally) {
        if self.bar.is_hidden() {
            return;
        }
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        let rate = tally.confirmed as f64 / seconds;
        let refused = tally.refused;
        self.bar.set_position(self.extent.read());
        self.bar
            .set_message(format!("{} confirmed, {rate:.0}/s, {refused} refused", tally.confirmed));
    }

    /// Says something on stderr, without tearing the bar.
    pub fn remark(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
