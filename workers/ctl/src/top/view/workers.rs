//! The workers: whether they work, and what of theirs stands still.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::Text;
use ratatui::widgets::{HighlightSpacing, Row, Table};

use super::numbers::{bounded, count, seconds};
use super::{MARK, Scene, pane, selection};
use crate::dead::plain::{brief, second};
use crate::top::keys::Pane;
use crate::top::report::{Doing, WorkerLine};

/// Deadlines that are due for longer than this, or outputs that wait longer, are not on their way.
const LATE_SECONDS: u64 = 30;

pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    let rows = scene.report.workers.iter().map(|worker| row(scene, worker));
    let widths = [9, 8, 8, 8, 8].map(Constraint::Length);
    let widths = widths.into_iter().chain([Constraint::Min(10)]);
    let right = |text: &'static str| Text::from(text).alignment(Alignment::Right);
    let heading = [
        Text::from("worker"),
        Text::from("state"),
        right("replicas"),
        right("unsent"),
        right("due"),
        Text::from(""),
    ];
    let (mut state, selected) = selection(scene, Pane::Workers);
    let table = Table::new(rows, widths)
        .header(Row::new(heading).style(scene.palette.faint()))
        .block(pane(scene, "Workers", Some(Pane::Workers)))
        .highlight_symbol(MARK)
        .highlight_spacing(HighlightSpacing::Always)
        .row_highlight_style(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn row<'a>(scene: &Scene<'_>, worker: &WorkerLine) -> Row<'a> {
    let palette = scene.palette;
    let style = match worker.state {
        Doing::Ready => palette.good(),
        Doing::Paused | Doing::Partly => palette.warning(),
        Doing::Waiting | Doing::Away => palette.bad(),
        Doing::Unknown => palette.faint(),
    };
    let right = |text: String| Text::from(text).alignment(Alignment::Right);
    let late = |count: Option<u64>, oldest: Option<u64>| match oldest {
        Some(oldest) if oldest > LATE_SECONDS => {
            right(format!("!{}", bounded(count))).style(palette.bad())
        }
        _ => right(bounded(count)),
    };
    Row::new([
        Text::from(worker.worker.name()),
        Text::from(worker.state.word()).style(style),
        right(count(worker.replicas)),
        late(worker.outputs, worker.oldest_output_seconds),
        late(worker.due, worker.oldest_due_seconds),
        Text::from(remark(worker)),
    ])
}

/// What there is to say beyond numbers, the most important first.
fn remark(worker: &WorkerLine) -> String {
    let mut remarks = Vec::new();
    if let Some(pause) = &worker.pause {
        let why = pause.why.as_deref().map(|why| format!(": {}", brief(why, 60)));
        let since = second(&pause.since).replace('T', " ").replace('Z', "");
        let since = since.get(5..16).unwrap_or(&since).to_owned();
        remarks.push(format!("by {}{}, {since}", brief(&pause.by, 30), why.unwrap_or_default()));
    }
    remarks.extend(worker.note.clone());
    if let Some(oldest) = worker.oldest_output_seconds.filter(|oldest| *oldest > LATE_SECONDS) {
        remarks.push(format!("outputs wait for {}", seconds(oldest)));
    }
    if let Some(oldest) = worker.oldest_due_seconds.filter(|oldest| *oldest > LATE_SECONDS) {
        remarks.push(format!("deadlines due for {}", seconds(oldest)));
    }
    remarks.join("; ")
}
