//! Orders: how many wait for what, what becomes of them, how long it takes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::numbers::{count, millis, rate};
use super::{Scene, pane};
use crate::top::snapshot::Orders;
use crate::top::spark::spark;

pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    let lines = match &scene.report.orders {
        Some(orders) => describe(scene, orders, usize::from(area.width)),
        None => vec![Line::raw("unknown: its database tells nothing")],
    };
    frame.render_widget(Paragraph::new(lines).block(pane(scene, "Orders", None)), area);
}

fn describe<'a>(scene: &Scene<'_>, orders: &Orders, width: usize) -> Vec<Line<'a>> {
    let of = |number| count(Some(number));
    let curve = |values: &[u64], taken: usize| {
        Span::styled(spark(values, width.saturating_sub(taken)), scene.palette.curve())
    };
    let (pending, reserved) = (of(orders.pending), of(orders.reserved));
    let cancelling = of(orders.cancelling);
    let per_second = |what: &str, number| format!("{what:<10}{:>7}/s ", rate(Some(number)));
    let placed = per_second("placed", orders.placed_per_second);
    let ended = per_second("ended", orders.ended_per_second());
    let mut lines = vec![
        Line::raw(format!("open      {:>7}", of(orders.open()))),
        Line::raw(format!("  pending {pending}, reserved {reserved}, undoing {cancelling}")),
        Line::from(vec![Span::raw(placed), curve(&scene.past.placed(), 20)]),
        Line::from(vec![Span::raw(ended), curve(&scene.past.ended(), 20)]),
        Line::raw(format!(
            "  ok {}, rejected {}, cancelled {}",
            rate(Some(orders.confirmed_per_second)),
            rate(Some(orders.rejected_per_second)),
            rate(Some(orders.cancelled_per_second)),
        )),
    ];
    match orders.latency {
        None => lines.push(Line::raw("latency         -  none ended lately")),
        Some(latency) => {
            let p95 = format!("p95       {:>9} ", millis(latency.p95_ms));
            lines.push(Line::from(vec![Span::raw(p95), curve(&scene.past.latency_ms(), 20)]));
            let (p50, p99) = (millis(latency.p50_ms), millis(latency.p99_ms));
            lines.push(Line::raw(format!("  p50 {p50}, p99 {p99}")));
        }
    }
    lines
}
