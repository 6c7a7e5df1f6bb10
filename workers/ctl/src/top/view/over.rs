//! What lies over the panes: the keys, a question, a letter.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

use super::{Scene, middle};
use crate::top::keys::Change;
use crate::top::snapshot::Letter;
use crate::top::wrap::wrapped;

const KEYS: &str = "\
tab, left, right    the next pane, the one before
up, down, j, k      select a line
page, home, end     further
p                   in Workers: pause the worker, or resume it
enter               in Dead letters: open the latest of a group
                    left and right turn to the next, esc closes
space               let the numbers stand still, or go on
q, esc, ctrl-c      leave

ready    messages that wait; unacked: in the hands of a consumer
unsent   batches whose messages are not known to be published
due      deadlines that have come; a worker takes them at once
ended    confirmed, rejected or cancelled
p95      from an order's first row to its last, last minute
!        somebody should look: orderly doctor says what to do";

pub(super) fn help(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let lines = u16::try_from(KEYS.lines().count()).unwrap_or(u16::MAX);
    let area = middle(frame.area(), 66, lines + 2);
    let block = Block::new().borders(Borders::ALL).title(" Keys and words ");
    frame.render_widget(Clear, area);
    frame
        .render_widget(Paragraph::new(KEYS).block(block.title_style(scene.palette.strong())), area);
}

pub(super) fn question(frame: &mut Frame<'_>, scene: &Scene<'_>, change: Change) {
    let worker = change.worker;
    let lines = match change.pauses {
        true => [
            format!("Pause the {worker} worker? All replicas take nothing"),
            "until it is resumed; messages wait in their queues.".to_owned(),
        ],
        false => [format!("Resume the {worker} worker?"), "All replicas go on at once.".to_owned()],
    };
    let [first, second] = lines;
    let answer = Line::styled("y yes    n no", scene.palette.strong());
    let text = Text::from(vec![Line::raw(first), Line::raw(second), Line::raw(""), answer]);
    let area = middle(frame.area(), 56, 6);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text).block(Block::new().borders(Borders::ALL)), area);
}

pub(super) fn letter(frame: &mut Frame<'_>, scene: &Scene<'_>, letter: &Letter, top: usize) {
    let rows = [Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)];
    let [head, body, foot] = Layout::vertical(rows).areas(frame.area());
    let place = format!("Dead letter {} of {} in its group", letter.place + 1, letter.ids.len());
    frame.render_widget(Line::styled(place, scene.palette.strong()), head);
    let lines = wrapped(&letter.text, body.width);
    let seen = lines.iter().skip(top).take(usize::from(body.height));
    let seen: Vec<Line<'_>> = seen.map(|line| Line::raw(line.as_str())).collect();
    let (first, last, all) = (top + 1, top + seen.len(), lines.len());
    frame.render_widget(Text::from(seen), body);
    let keys = format!(
        "lines {first} to {last} of {all}  \u{2191}\u{2193} scroll  \u{2190}\u{2192} newer, older  esc back"
    );
    let keys = scene.console.message.clone().unwrap_or(keys);
    frame.render_widget(Line::styled(keys, scene.palette.faint()), foot);
}
