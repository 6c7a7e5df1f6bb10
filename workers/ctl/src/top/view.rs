//! The screen, from what is known: pure rendering into a buffer.

mod letters;
mod numbers;
mod orders;
mod over;
mod queues;
mod workers;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};

use super::keys::{Console, Over, Pane};
use super::model::Past;
use super::palette::Palette;
use super::report::Report;
use crate::dead::plain::brief;

/// Below this there is no room for anything.
const SMALLEST: (u16, u16) = (60, 16);
/// A title, headings, and a line a worker.
const WORKERS_HEIGHT: u16 = 5;
/// A title and everything about orders.
const ORDERS_HEIGHT: u16 = 8;
/// How many sources that are away are named.
const BANNERS: usize = 3;

/// Everything that is shown at a moment.
pub(crate) struct Scene<'a> {
    /// What is known.
    pub(crate) report: &'a Report,
    /// What was known before.
    pub(crate) past: &'a Past,
    /// Where the operator is.
    pub(crate) console: &'a Console,
    /// The time, as people read it.
    pub(crate) time: &'a str,
    /// How things look.
    pub(crate) palette: Palette,
}

/// Draws the scene.
pub(crate) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("at least {} x {}, please", SMALLEST.0, SMALLEST.1);
        frame.render_widget(Line::raw(text), area);
        return;
    }
    if let Over::Letter(letter, top) = &scene.console.over {
        over::letter(frame, scene, letter, *top);
        return;
    }
    let banners = banners(scene);
    let height = u16::try_from(banners.len()).unwrap_or(u16::MAX);
    let others = 2 + height + WORKERS_HEIGHT + ORDERS_HEIGHT;
    let wanted = 2 + u16::try_from(scene.report.queues.len()).unwrap_or(u16::MAX);
    let queues = wanted.min(area.height.saturating_sub(others)).max(3);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height),
        Constraint::Length(queues),
        Constraint::Length(WORKERS_HEIGHT),
        Constraint::Min(3),
        Constraint::Length(1),
    ]);
    let [head, banner, queues, workers, bottom, foot] = rows.areas(area);
    let columns = Layout::horizontal([Constraint::Length(40), Constraint::Min(20)]);
    let [orders, letters] = columns.spacing(1).areas(bottom);

    frame.render_widget(self::head(scene), head);
    frame.render_widget(ratatui::text::Text::from(banners), banner);
    queues::draw(frame, scene, queues);
    workers::draw(frame, scene, workers);
    orders::draw(frame, scene, orders);
    letters::draw(frame, scene, letters);
    frame.render_widget(self::foot(scene), foot);
    match &scene.console.over {
        Over::Help => over::help(frame, scene),
        Over::Question(change) => over::question(frame, scene, *change),
        Over::Nothing | Over::Letter(..) => {}
    }
}

fn head<'a>(scene: &Scene<'a>) -> Line<'a> {
    let Scene { report, palette, .. } = scene;
    let mut spans = vec![
        Span::styled("orderly top  ", palette.strong()),
        Span::raw(report.broker.as_str()),
        Span::raw(format!("  {} UTC  ", scene.time)),
    ];
    if scene.console.is_frozen {
        spans.push(Span::styled("FROZEN, space goes on", palette.warning()));
    } else if !report.alarms.is_empty() {
        spans.push(Span::styled("ALARM", palette.bad()));
    } else if report.unheard > 0 && report.away.is_empty() {
        spans.push(Span::raw(format!("asking {} sources ...", report.unheard)));
    } else if report.away.is_empty() {
        spans.push(Span::styled("all sources answer", palette.good()));
    } else {
        let count = report.away.len();
        spans.push(Span::styled(format!("{count} AWAY"), palette.bad()));
    }
    Line::from(spans)
}

/// A line for every alarm and every source that is away.
fn banners<'a>(scene: &Scene<'_>) -> Vec<Line<'a>> {
    let alarms = scene.report.alarms.iter().map(|alarm| format!("! {}", brief(alarm, 200)));
    let away = scene.report.away.iter();
    let away = away.map(|it| format!("! {}: {}", it.source, brief(&it.why, 200)));
    let all = alarms.chain(away).take(BANNERS);
    all.map(|text| Line::styled(text, scene.palette.bad())).collect()
}

fn foot<'a>(scene: &Scene<'a>) -> Line<'a> {
    match &scene.console.message {
        Some(message) => Line::styled(brief(message, 300), scene.palette.strong()),
        None => Line::styled(
            "q quit  tab pane  \u{2191}\u{2193} select  p pause/resume  enter open  space freeze  ? help",
            scene.palette.faint(),
        ),
    }
}

/// The frame of a pane: a line above it, with its title.
fn pane<'a>(scene: &Scene<'_>, title: &'a str, own: Option<Pane>) -> Block<'a> {
    let has_keys = own == Some(scene.console.pane);
    let title = if has_keys { format!(" \u{25b8} {title} ") } else { format!(" {title} ") };
    let block = Block::new().borders(Borders::TOP).border_style(scene.palette.faint());
    block.title(Span::styled(title, scene.palette.strong()))
}

/// The mark of the selected line, which is seen without colours as well.
const MARK: &str = "> ";

/// The selected line of a pane: marked only where the keys go.
fn selection(scene: &Scene<'_>, pane: Pane) -> (ratatui::widgets::TableState, Style) {
    let selected = scene.console.selected(pane, scene.report);
    let has_keys = scene.console.pane == pane;
    let state = ratatui::widgets::TableState::new().with_selected(has_keys.then_some(selected));
    (state, scene.palette.selected())
}

/// A block in the middle of the screen.
fn middle(area: Rect, width: u16, height: u16) -> Rect {
    area.centered(Constraint::Length(width), Constraint::Length(height))
}

#[cfg(test)]
mod tests;
