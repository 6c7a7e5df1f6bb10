//! Pictures of the screen, compared with those that somebody has looked at.

use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::Color;
use uuid::Uuid;

use super::*;
use crate::top::model::Model;
use crate::top::sample;
use crate::top::snapshot::{Letter, Managed, Update};

const LETTER: &str = "dead letter 00000000-0000-4000-8000-000000000001 of the order worker
  status           open
  reason           invalid_content
  text             lines[0].quantity: must be at least 1, is 0
body, 16 bytes
{\"order_id\":\"o\"}";

fn render(model: &Model, keys: &[KeyCode], size: (u16, u16), has_colours: bool) -> Buffer {
    let report = model.report();
    let mut console = Console::new(size);
    for key in keys {
        console.press(KeyEvent::from(*key), &report);
    }
    picture(model, &console, size, has_colours)
}

fn picture(model: &Model, console: &Console, size: (u16, u16), has_colours: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let scene = Scene {
        report: &model.report(),
        past: model.past(),
        console,
        time: "09:30:16",
        palette: Palette::new(has_colours),
    };
    terminal.draw(|frame| draw(frame, &scene)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(usize::from(buffer.area.width));
    let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| row.trim_end().to_owned() + "\n").collect()
}

/// Compares with the picture of this name; `UPDATE_PICTURES=1` draws it anew.
#[track_caller]
fn assert_looks_like(name: &str, buffer: &Buffer) {
    let file = format!("src/top/view/pictures/{name}.txt");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let found = text(buffer);
    if std::env::var_os("UPDATE_PICTURES").is_some_and(|value| value == "1") {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "{} has changed:\n{found}", path.display());
}

/// A system that has been at work for a while.
fn busy() -> Model {
    let mut model = sample::busy();
    for _ in 0..30 {
        model.tick();
    }
    model
}

#[test]
fn a_system_at_work_fits_into_80_by_24_and_uses_more() {
    assert_looks_like("busy-80x24", &render(&busy(), &[], (80, 24), true));
    assert_looks_like("busy-120x40", &render(&busy(), &[], (120, 40), true));
}

#[test]
fn servers_that_are_away_are_named_and_their_numbers_are_dashes() {
    let mut model = busy();
    model.take(Update::Depths(Err("no connection to broker:5672: refused".to_owned())));
    model.take(Update::Managed(Err("no answer within 5s".to_owned())));
    let party = orderly_contracts::routes::Party::Order;
    model.take(Update::Tables(party, Err("no connection within 5s".to_owned())));
    assert_looks_like("away-80x24", &render(&model, &[], (80, 24), true));
}

#[test]
fn an_alarm_of_the_broker_is_seen_at_once() {
    let mut model = busy();
    let alarms = vec!["rabbit@a is short of disk: publishers are blocked".to_owned()];
    model.take(Update::Managed(Ok(Managed { alarms, ..Managed::default() })));
    let screen = text(&render(&model, &[], (80, 24), false));
    let lines: Vec<&str> = screen.lines().take(2).collect();
    assert!(lines[0].ends_with("ALARM"), "{screen}");
    assert_eq!(lines[1], "! rabbit@a is short of disk: publishers are blocked");
}

#[test]
fn before_anything_is_known_nothing_is_claimed() {
    assert_looks_like("unknown-80x24", &render(&sample::unknown(), &[], (80, 24), true));
}

#[test]
fn a_question_a_letter_and_the_keys_lie_over_the_panes() {
    let ask = [KeyCode::Tab, KeyCode::Char('p')];
    assert_looks_like("question-80x24", &render(&busy(), &ask, (80, 24), true));
    let help = [KeyCode::Char('?')];
    assert_looks_like("help-80x24", &render(&busy(), &help, (80, 24), true));
    let mut console = Console::new((80, 24));
    let ids = vec![Uuid::from_u128(1), Uuid::from_u128(2)];
    let service = orderly_contracts::routes::Party::Order;
    console.show(Letter { service, ids, place: 0, text: LETTER.to_owned() });
    assert_looks_like("letter-80x24", &picture(&busy(), &console, (80, 24), true));
}

#[test]
fn without_colours_the_same_is_said() {
    let keys = [KeyCode::Tab, KeyCode::Down];
    let (plain, coloured) =
        (render(&busy(), &keys, (80, 24), false), render(&busy(), &keys, (80, 24), true));
    assert_eq!(text(&plain), text(&coloured));
    let has_colour = |buffer: &Buffer| {
        let cells = buffer.content().iter();
        cells.clone().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(!has_colour(&plain) && has_colour(&coloured));
    assert!(text(&plain).contains("> stock"), "the selected line has a mark");
}

#[test]
fn no_size_of_a_terminal_is_too_odd() {
    let busy = busy();
    for size in [(1, 1), (59, 24), (60, 16), (80, 5), (61, 17), (300, 100)] {
        for keys in [&[][..], &[KeyCode::Char('?')], &[KeyCode::Tab, KeyCode::Char('p')]] {
            render(&busy, keys, size, true);
        }
    }
}
