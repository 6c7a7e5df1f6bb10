//! Dead letters by cause.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{HighlightSpacing, Paragraph, Row, Table};

use super::numbers::count;
use super::{MARK, Scene, pane, selection};
use crate::dead::plain::brief;
use crate::output;
use crate::top::keys::Pane;
use crate::top::snapshot::Group;

/// From so many columns on, there is room for the time and the text.
const WIDE: u16 = 56;

pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, area: Rect) {
    let groups = &scene.report.dead_letters;
    let letters: u64 = groups.iter().map(|group| group.letters).sum();
    let title = match letters {
        0 => "Dead letters".to_owned(),
        letters => {
            let groups = output::count(groups.len() as u64, "group");
            format!("Dead letters  (! {letters} in {groups})")
        }
    };
    let block = pane(scene, &title, Some(Pane::Letters));
    if groups.is_empty() {
        let none = match scene.report.knows_all_letters() {
            true => Line::styled("none", scene.palette.good()),
            false => Line::raw("none that is known of"),
        };
        frame.render_widget(Paragraph::new(none).block(block), area);
        return;
    }
    let is_wide = area.width >= WIDE;
    let rows = groups.iter().map(|group| row(group, is_wide));
    let mut widths = vec![Constraint::Length(6), Constraint::Length(7), Constraint::Length(18)];
    widths.extend(
        is_wide.then_some([Constraint::Length(8), Constraint::Min(10)]).into_iter().flatten(),
    );
    let (mut state, selected) = selection(scene, Pane::Letters);
    let table = Table::new(rows, widths)
        .block(block)
        .highlight_symbol(MARK)
        .highlight_spacing(HighlightSpacing::Always)
        .row_highlight_style(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn row<'a>(group: &Group, is_wide: bool) -> Row<'a> {
    let mut cells = vec![
        Text::from(count(Some(group.letters))).alignment(Alignment::Right),
        Text::from(group.service.name()),
        Text::from(group.reason.clone()),
    ];
    if is_wide {
        let time = group.last_at.get(11..19).unwrap_or_default().to_owned();
        let kind = brief(group.kind.as_deref().unwrap_or_default(), 30);
        cells.push(Text::from(time));
        cells.push(Text::from(format!("{kind} {}", brief(&group.text, 200))));
    }
    Row::new(cells)
}
