//! The queues: what waits, what is in hand, what comes and goes, who takes it.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Row, Table};

use super::numbers::{count, rate};
use super::{MARK, Scene, pane, selection};
use crate::top::keys::Pane;
use crate::top::report::{Kind, QueueLine};
use crate::top::spark::spark;

pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    // Mark, name, five numbers, and the gaps between; the curve takes the rest.
    let curve = usize::from(area.width.saturating_sub(2 + 16 + 4 * 8 + 9 + 6)).clamp(8, 60);
    let rows = scene.report.queues.iter().map(|queue| row(scene, queue, curve));
    let widths = [16, 8, 8, 8, 8, 9].map(Constraint::Length);
    let widths = widths.into_iter().chain([Constraint::Min(8)]);
    let right = |text: &'static str| Text::from(text).alignment(Alignment::Right);
    let heading = [
        Text::from("queue"),
        right("ready"),
        right("unacked"),
        right("in/s"),
        right("out/s"),
        right("consumers"),
        Text::from("ready lately"),
    ];
    let (mut state, selected) = selection(scene, Pane::Queues);
    let mut title = title(&scene.report.queues);
    if !scene.report.has_management {
        title += "  no rates: ORDERLY_MANAGEMENT_URL is not set";
    }
    let table = Table::new(rows, widths)
        .header(Row::new(heading).style(scene.palette.faint()))
        .block(pane(scene, &title, Some(Pane::Queues)))
        .highlight_symbol(MARK)
        .highlight_spacing(ratatui::widgets::HighlightSpacing::Always)
        .row_highlight_style(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

/// What should be empty is summed up where it is seen even if its lines are not.
fn title(queues: &[QueueLine]) -> String {
    let of = |kind| {
        let each = queues.iter().filter(|queue| queue.kind == kind);
        count(each.map(|queue| queue.ready).sum::<Option<u64>>())
    };
    let (retry, dead, parked) = (of(Kind::Retry), of(Kind::Dead), of(Kind::Parked));
    format!("Queues  (retry {retry}, dead {dead}, parked {parked})")
}

fn row<'a>(scene: &Scene<'_>, queue: &QueueLine, curve: usize) -> Row<'a> {
    let palette = scene.palette;
    let right = |text: String| Text::from(text).alignment(Alignment::Right);
    let is_forsaken = queue.kind == Kind::Work && queue.consumers == Some(0);
    let should_be_empty = matches!(queue.kind, Kind::Dead | Kind::Parked);
    let ready = match (queue.ready, should_be_empty) {
        (Some(1..), true) => right(format!("!{}", count(queue.ready))).style(palette.bad()),
        _ => right(count(queue.ready)),
    };
    let consumers = match is_forsaken {
        true => right("! none".to_owned()).style(palette.bad()),
        false => right(count(queue.consumers)),
    };
    Row::new([
        Text::from(queue.name.clone()),
        ready,
        right(count(queue.unacked)),
        right(rate(queue.in_per_second)),
        right(rate(queue.out_per_second)),
        consumers,
        Text::from(Line::styled(spark(&queue.past, curve), palette.curve())),
    ])
}
