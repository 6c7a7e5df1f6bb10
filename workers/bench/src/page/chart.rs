//! Charts of the page, as SVG: lines with a dot at every value that was measured.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::page::markdown::number;

const SIZE: (u32, u32) = (820, 420);
/// Told apart by people with any colour vision (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it is called: the name of its file, without the ending.
    pub name: &'static str,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn.
    pub lines: Vec<Line>,
}

/// An axis. One that is not logarithmic begins at zero.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// What it measures, and in what.
    pub label: &'static str,
    /// Whether the same step is the same factor.
    pub is_log: bool,
}

/// A line through points.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Where it goes through, from left to right.
    pub points: Vec<(f64, f64)>,
}

impl Chart {
    /// The link to it on a page beside the folder `performance`.
    pub fn link(&self) -> String {
        let Self { name, x, y, .. } = self;
        format!("![{} by {}](performance/{name}.svg)\n", y.label, x.label)
    }

    /// The chart as SVG.
    pub fn draw(&self) -> Result<String> {
        let mut svg = String::new();
        // The errors of plotters borrow what is drawn.
        self.draw_into(&mut svg).map_err(|error| anyhow!("no chart {}: {error}", self.name))?;
        Ok(svg.trim_end().to_owned() + "\n")
    }

    fn draw_into(&self, svg: &mut String) -> Result<(), String> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let text = |error: DrawingAreaErrorKind<_>| error.to_string();
        area.fill(&WHITE).map_err(text)?;
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Scale::over(points().map(|point| point.0), self.x.is_log);
        let y = Scale::over(points().map(|point| point.1), self.y.is_log);
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(76)
            .build_cartesian_2d(x, y)
            .map_err(text)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .label_style(("sans-serif", 17))
            .axis_desc_style(("sans-serif", 18))
            .draw()
            .map_err(text)?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let points = line.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
                .map_err(text)?
                .label(&line.name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            let dots = points.map(|point| Circle::new(point, 4, colour.filled()));
            chart.draw_series(dots).map_err(text)?;
        }
        if self.lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .label_font(("sans-serif", 17))
                .draw()
                .map_err(text)?;
        }
        area.present().map_err(text)
    }
}

/// What an axis shows, and where on it a value stands.
#[derive(Debug, Clone)]
struct Scale {
    shown: Range<f64>,
    is_log: bool,
}

impl Scale {
    /// A scale with all `values` on it, and a little room at its ends.
    fn over(values: impl Iterator<Item = f64>, is_log: bool) -> Self {
        let (least, most) = values
            .fold((f64::MAX, 1e-3_f64), |(least, most), value| (least.min(value), most.max(value)));
        let shown = if is_log { least.max(1e-3) / 1.3..most * 1.3 } else { 0.0..most * 1.1 };
        Self { shown, is_log }
    }

    fn linear(&self) -> RangedCoordf64 {
        (self.position(self.shown.start)..self.position(self.shown.end)).into()
    }

    fn position(&self, value: f64) -> f64 {
        if self.is_log { value.ln() } else { value }
    }
}

impl Ranged for Scale {
    type ValueType = f64;
    type FormatOption = NoDefaultFormatting;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.linear().map(&self.position(*value), limit)
    }

    /// The logarithmic scale of plotters has powers of ten alone, of which few axes show two.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if !self.is_log {
            return self.linear().key_points(hint);
        }
        let powers = (-3..=9).map(|power| 10f64.powi(power));
        let points = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * power));
        points.filter(|point| self.shown.contains(point)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.shown.clone()
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(value: &f64) -> String {
        let is_whole = (value - value.round()).abs() < 1e-9;
        number(*value, if is_whole { 0 } else { 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(is_log: bool) -> Chart {
        let axis = |label| Axis { label, is_log };
        let line = |name: &str, points| Line { name: name.to_owned(), points };
        Chart {
            name: "test",
            x: axis("orders/s"),
            y: axis("ms"),
            lines: vec![
                line("p50", vec![(50.0, 7.0), (250.0, 9.0), (2_000.0, 110.0)]),
                line("p99", vec![(50.0, 12.0), (250.0, 20.0), (2_000.0, 190.0)]),
            ],
        }
    }

    #[test]
    fn a_chart_shows_its_values_and_names_its_axes() {
        for is_log in [false, true] {
            let svg = chart(is_log).draw().unwrap();
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            assert_eq!(svg.matches("<circle").count(), 6);
            for text in ["p50", "p99", "orders/s", "ms"] {
                assert!(svg.contains(text), "{text}");
            }
        }
    }

    #[test]
    fn a_single_value_is_a_chart_too() {
        for is_log in [false, true] {
            let mut chart = chart(is_log);
            chart.lines.truncate(1);
            chart.lines[0].points.truncate(1);
            assert_eq!(chart.draw().unwrap().matches("<circle").count(), 1);
        }
    }
}
