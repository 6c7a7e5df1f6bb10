//! What a key does: from the state of the screen to its next one, and to an action. Pure.

use orderly_contracts::routes::Party;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use uuid::Uuid;

use super::report::{Doing, Report};
use super::snapshot::Letter;
use super::wrap::wrapped;

/// A part of the screen with lines to select.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    /// The queues.
    Queues,
    /// The workers.
    Workers,
    /// The dead letters.
    Letters,
}

impl Pane {
    const ALL: [Self; 3] = [Self::Queues, Self::Workers, Self::Letters];

    /// How many lines it has.
    fn lines(self, report: &Report) -> usize {
        match self {
            Self::Queues => report.queues.len(),
            Self::Workers => report.workers.len(),
            Self::Letters => report.dead_letters.len(),
        }
    }
}

/// What lies over the panes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing.
    #[default]
    Nothing,
    /// The keys.
    Help,
    /// A question to be answered with yes or no.
    Question(Change),
    /// A dead letter, and how far down its text is scrolled.
    Letter(Letter, usize),
}

/// A change to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Which worker, all replicas of it.
    pub(crate) worker: Party,
    /// Whether it is to be paused, rather than resumed.
    pub(crate) pauses: bool,
}

/// What has to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Leave.
    Quit,
    /// Pause a worker or resume it.
    Change(Change),
    /// Open the latest letter of a group.
    OpenGroup(Party, String),
    /// Open the letter at this place among these.
    Open(Party, Vec<Uuid>, usize),
}

/// The state of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Console {
    /// Where the keys go.
    pub(crate) pane: Pane,
    /// The selected line of every pane.
    selected: [usize; 3],
    /// What lies over the panes.
    pub(crate) over: Over,
    /// Whether the numbers stand still.
    pub(crate) is_frozen: bool,
    /// What came of the last action.
    pub(crate) message: Option<String>,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
}

impl Console {
    /// A screen of this size.
    pub(crate) fn new(size: (u16, u16)) -> Self {
        Self {
            pane: Pane::Queues,
            selected: [0; 3],
            over: Over::Nothing,
            is_frozen: false,
            message: None,
            size,
        }
    }

    /// The selected line of a pane; lines may have gone since it was selected.
    pub(crate) fn selected(&self, pane: Pane, report: &Report) -> usize {
        self.selected[pane as usize].min(pane.lines(report).saturating_sub(1))
    }

    /// How many lines of a letter are seen at once.
    pub(crate) fn page(&self) -> usize {
        usize::from(self.size.1.saturating_sub(2)).max(1)
    }

    /// Shows a letter from its beginning.
    pub(crate) fn show(&mut self, letter: Letter) {
        self.message = None;
        self.over = Over::Letter(letter, 0);
    }

    /// A key was pressed.
    pub(crate) fn press(&mut self, key: KeyEvent, report: &Report) -> Option<Action> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && key.code == KeyCode::Char('c') {
            return Some(Action::Quit);
        }
        match std::mem::take(&mut self.over) {
            Over::Nothing => self.press_in_pane(key.code, report),
            // Whatever it is, it has been read.
            Over::Help => None,
            Over::Question(change) => match key.code {
                KeyCode::Char('y' | 'Y') => Some(Action::Change(change)),
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => None,
                _ => {
                    self.over = Over::Question(change);
                    None
                }
            },
            Over::Letter(letter, top) => self.press_in_letter(key.code, letter, top),
        }
    }

    fn press_in_pane(&mut self, code: KeyCode, report: &Report) -> Option<Action> {
        self.message = None;
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Action::Quit),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.over = Over::Help,
            KeyCode::Char(' ') => self.is_frozen = !self.is_frozen,
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Pane::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.go(report, 1),
            KeyCode::Up | KeyCode::Char('k') => self.go(report, -1),
            KeyCode::PageDown => self.go(report, 10),
            KeyCode::PageUp => self.go(report, -10),
            KeyCode::Home | KeyCode::Char('g') => self.go(report, isize::MIN / 2),
            KeyCode::End | KeyCode::Char('G') => self.go(report, isize::MAX / 2),
            KeyCode::Char('p' | 'r') => self.ask(report),
            KeyCode::Enter => return self.open(report),
            _ => {}
        }
        None
    }

    fn turn(&mut self, by: usize) {
        self.pane = Pane::ALL[(self.pane as usize + by) % Pane::ALL.len()];
    }

    fn go(&mut self, report: &Report, by: isize) {
        let last = self.pane.lines(report).saturating_sub(1);
        let at = self.selected(self.pane, report);
        self.selected[self.pane as usize] = at.saturating_add_signed(by).min(last);
    }

    /// Asks before a worker is paused or resumed.
    fn ask(&mut self, report: &Report) {
        if self.pane != Pane::Workers {
            self.message = Some("select a worker first: tab".to_owned());
            return;
        }
        let Some(line) = report.workers.get(self.selected(Pane::Workers, report)) else { return };
        if line.outputs.is_none() {
            self.message = Some(format!("the {} database tells nothing", line.worker));
            return;
        }
        let pauses = line.state != Doing::Paused;
        self.over = Over::Question(Change { worker: line.worker, pauses });
    }

    fn open(&mut self, report: &Report) -> Option<Action> {
        if self.pane != Pane::Letters {
            self.message = Some("select a dead letter first: tab".to_owned());
            return None;
        }
        let group = report.dead_letters.get(self.selected(Pane::Letters, report))?;
        self.message = Some("opening ...".to_owned());
        Some(Action::OpenGroup(group.service, group.group.clone()))
    }

    fn press_in_letter(&mut self, code: KeyCode, letter: Letter, top: usize) -> Option<Action> {
        let page = self.page();
        let lines = wrapped(&letter.text, self.size.0).len();
        let last = lines.saturating_sub(page);
        let top = match code {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => return None,
            KeyCode::Down | KeyCode::Char('j') => top + 1,
            KeyCode::Up | KeyCode::Char('k') => top.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => top + page,
            KeyCode::PageUp => top.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            KeyCode::Left | KeyCode::Right => {
                let place = match code {
                    KeyCode::Left => letter.place.checked_sub(1),
                    _ => Some(letter.place + 1).filter(|place| *place < letter.ids.len()),
                };
                let (party, ids) = (letter.service, letter.ids.clone());
                self.over = Over::Letter(letter, top);
                return place.map(|place| Action::Open(party, ids, place));
            }
            _ => top,
        };
        self.over = Over::Letter(letter, top.min(last));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn press(console: &mut Console, code: KeyCode) -> Option<Action> {
        console.press(KeyEvent::from(code), &sample::busy().report())
    }

    fn type_in(console: &mut Console, keys: &str) -> Vec<Action> {
        keys.chars().filter_map(|key| press(console, KeyCode::Char(key))).collect()
    }

    fn console() -> Console {
        Console::new((80, 24))
    }

    #[test]
    fn a_selection_stays_within_its_lines() {
        let mut console = console();
        let report = sample::busy().report();
        type_in(&mut console, "kj");
        assert_eq!(console.selected(Pane::Queues, &report), 1);
        press(&mut console, KeyCode::End);
        type_in(&mut console, "jj");
        assert_eq!(console.selected(Pane::Queues, &report), 15);
        press(&mut console, KeyCode::Home);
        assert_eq!(console.selected(Pane::Queues, &report), 0);
        press(&mut console, KeyCode::End);
        let empty = Report::default();
        assert_eq!(console.selected(Pane::Queues, &empty), 0, "its lines have gone");
        press(&mut console, KeyCode::BackTab);
        assert_eq!(console.pane, Pane::Letters);
    }

    #[test]
    fn nothing_is_paused_without_a_yes() {
        let mut console = console();
        assert_eq!(type_in(&mut console, "py"), [], "no worker is selected");
        press(&mut console, KeyCode::Tab);
        assert_eq!(type_in(&mut console, "pn"), []);
        assert_eq!(type_in(&mut console, "pxj"), []);
        let order = Change { worker: Party::Order, pauses: true };
        assert_eq!(console.over, Over::Question(order), "neither yes nor no");
        assert_eq!(type_in(&mut console, "y"), [Action::Change(order)]);
        assert_eq!(console.over, Over::Nothing);
        let stock = Change { worker: Party::Stock, pauses: false };
        assert_eq!(type_in(&mut console, "jpy"), [Action::Change(stock)], "it is paused");
    }

    #[test]
    fn a_worker_whose_database_is_away_cant_be_paused() {
        let mut console = console();
        press(&mut console, KeyCode::Tab);
        let report = sample::unknown().report();
        console.press(KeyEvent::from(KeyCode::Char('p')), &report);
        assert_eq!(console.over, Over::Nothing);
        assert!(console.message.unwrap().contains("order database"));
    }

    #[test]
    fn a_letter_is_opened_scrolled_turned_and_closed() {
        let mut console = console();
        press(&mut console, KeyCode::BackTab);
        let opened = press(&mut console, KeyCode::Enter);
        assert_eq!(opened, Some(Action::OpenGroup(Party::Order, "a08fc799a9db".to_owned())));
        let ids = vec![Uuid::from_u128(1), Uuid::from_u128(2)];
        let text = vec!["line"; 30].join("\n");
        let service = Party::Order;
        console.show(Letter { service, ids: ids.clone(), place: 0, text });
        let top = |console: &Console| match &console.over {
            Over::Letter(_, top) => *top,
            other => panic!("{other:?}"),
        };
        type_in(&mut console, "jjk");
        assert_eq!(top(&console), 1);
        press(&mut console, KeyCode::PageDown);
        assert_eq!(top(&console), 8, "30 lines on a page of 22");
        assert_eq!(press(&mut console, KeyCode::Left), None, "it is the latest");
        let next = press(&mut console, KeyCode::Right);
        assert_eq!(next, Some(Action::Open(Party::Order, ids, 1)));
        assert_eq!(type_in(&mut console, "q"), [], "it closes the letter alone");
        assert_eq!(type_in(&mut console, "q"), [Action::Quit]);
    }

    #[test]
    fn control_c_always_leaves() {
        let mut console = console();
        press(&mut console, KeyCode::Char('?'));
        assert_eq!(console.over, Over::Help);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(console.press(key, &Report::default()), Some(Action::Quit));
        type_in(&mut console, " ");
        type_in(&mut console, " ");
        assert!(console.is_frozen, "the first key ended the help");
    }
}
