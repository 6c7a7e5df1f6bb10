//! How things look, with colours and without: no state is told by colour alone.

use ratatui::style::{Color, Modifier, Style};

/// The styles of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Palette {
    has_colours: bool,
}

impl Palette {
    /// A palette with colours, or without.
    pub(crate) const fn new(has_colours: bool) -> Self {
        Self { has_colours }
    }

    /// What the environment asks for: `NO_COLOR` set to anything, or a terminal that has none.
    pub(crate) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let says_no = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = variable("TERM").unwrap_or_default();
        let is_plain = ["", "dumb", "vt100", "vt102", "vt220"].contains(&terminal.as_str())
            || terminal.ends_with("-mono")
            || terminal.ends_with("-m");
        Self::new(!says_no && !is_plain)
    }

    fn coloured(self, color: Color) -> Style {
        if self.has_colours { Style::new().fg(color) } else { Style::new() }
    }

    /// Titles, and what matters.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Headings of columns, and frames.
    pub(crate) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// All is well.
    pub(crate) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    /// Somebody should look.
    pub(crate) fn warning(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Somebody has to act.
    pub(crate) fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Curves.
    pub(crate) fn curve(self) -> Style {
        self.coloured(Color::Cyan)
    }

    /// The selected line of the pane that has the keys.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_may_ask_for_no_colours() {
        let of = |no_color: Option<&str>, term: &str| {
            let palette = Palette::of_environment(|name| match name {
                "NO_COLOR" => no_color.map(str::to_owned),
                _ => Some(term.to_owned()),
            });
            palette.has_colours
        };
        assert!(of(None, "xterm-256color") && of(Some(""), "screen"));
        assert!(!of(Some("1"), "xterm-256color"));
        assert!(!of(None, "dumb") && !of(None, "xterm-mono") && !of(None, ""));
    }

    #[test]
    fn without_colours_there_are_none() {
        let palette = Palette::new(false);
        let all = [palette.good(), palette.warning(), palette.bad(), palette.curve()];
        assert!(all.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
    }
}
