//! A screen as an SVG that looks the same on light and on dark pages.

use std::fmt::Write as _;

/// A cell of the terminal, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 14.0;
const TITLE_HEIGHT: f64 = 34.0;
const BACKGROUND: &str = "#161b22";
const FOREGROUND: &str = "#d7dde4";
/// The eight colours of a terminal, on this background.
const COLOURS: [&str; 8] =
    ["#484f58", "#ff7b72", "#56d364", "#e3b341", "#6cb6ff", "#d2a8ff", "#56d4dd", "#d7dde4"];

/// How a cell looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    colour: Option<usize>,
    is_bold: bool,
    is_faint: bool,
    is_reversed: bool,
}

impl Look {
    /// The look after a sequence such as `1;32`.
    fn after(self, codes: &str) -> Self {
        let mut look = self;
        let mut codes = codes.split([';', ':']).map(|code| code.parse::<usize>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => look = Self::default(),
                1 => look.is_bold = true,
                2 => look.is_faint = true,
                7 => look.is_reversed = true,
                22 => (look.is_bold, look.is_faint) = (false, false),
                27 => look.is_reversed = false,
                30..=37 => look.colour = Some(code - 30),
                38 => look.colour = codes.nth(1).map(|colour| colour % 8),
                39 => look.colour = None,
                90..=97 => look.colour = Some(code - 90),
                _ => {}
            }
        }
        look
    }

    fn fill(self) -> &'static str {
        self.colour.map_or(FOREGROUND, |colour| COLOURS[colour])
    }
}

/// A line that holds sequences for looks, as cells.
fn cells(line: &str, look: &mut Look) -> Vec<(char, Look)> {
    let mut cells = Vec::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            cells.push((c, *look));
            continue;
        }
        let sequence: String = rest.by_ref().take_while(|c| !c.is_ascii_alphabetic()).collect();
        *look = look.after(sequence.trim_start_matches('['));
    }
    cells
}

/// Whether anything on a screen has a colour of its own.
pub(crate) fn has_colours(screen: &str) -> bool {
    let mut look = Look::default();
    let mut lines = screen.lines();
    lines.any(|line| cells(line, &mut look).iter().any(|(_, look)| look.colour.is_some()))
}

/// What `tmux capture-pane -p -e` gives of a screen of so many columns, as a picture.
pub(crate) fn svg(screen: &str, columns: usize, title: &str) -> String {
    let lines: Vec<&str> = screen.trim_end_matches('\n').lines().collect();
    let width = columns as f64 * CELL.0 + 2.0 * MARGIN;
    let height = lines.len() as f64 * CELL.1 + TITLE_HEIGHT + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\" aria-label=\"{title}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, \
         Consolas, monospace\" font-size=\"13.5\">\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"9\" fill=\"{BACKGROUND}\" \
         stroke=\"#6e7681\"/>\n"
    );
    for (place, colour) in ["#ff7b72", "#e3b341", "#56d364"].into_iter().enumerate() {
        let x = 20.0 + 18.0 * place as f64;
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"17\" r=\"5.5\" fill=\"{colour}\"/>");
    }
    let mut look = Look::default();
    for (row, line) in lines.into_iter().enumerate() {
        draw(&mut svg, row, &cells(line, &mut look));
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, row: usize, cells: &[(char, Look)]) {
    let top = TITLE_HEIGHT + row as f64 * CELL.1;
    let left = |column: usize| MARGIN + column as f64 * CELL.0;
    let mut column = 0;
    while column < cells.len() {
        let (c, look) = cells[column];
        if look.is_reversed {
            let same = cells[column..].iter().take_while(|cell| cell.1.is_reversed).count();
            let (x, width) = (left(column), same as f64 * CELL.0);
            rectangle(svg, (x, top), (width, CELL.1), "#30363d");
            let plain: Vec<_> = cells[column..column + same]
                .iter()
                .map(|(c, look)| (*c, Look { is_reversed: false, ..*look }))
                .collect();
            let before = vec![(' ', Look::default()); column];
            draw(svg, row, &[before, plain].concat());
            column += same;
            continue;
        }
        let width = match c {
            ' ' => 1,
            // Fonts differ in these; rectangles don't.
            '\u{2581}'..='\u{2588}' => {
                let part = f64::from(u32::from(c) - 0x2580) / 8.0;
                let high = part * (CELL.1 - 3.0);
                let at = (left(column), top + CELL.1 - 1.0 - high);
                rectangle(svg, at, (CELL.0, high), look.fill());
                1
            }
            '\u{2500}' => {
                let is_line = |cell: &&(char, Look)| cell.0 == '\u{2500}';
                let same = cells[column..].iter().take_while(is_line).count();
                let at = (left(column), top + CELL.1 / 2.0);
                rectangle(svg, at, (same as f64 * CELL.0, 1.0), "#6e7681");
                same
            }
            _ => {
                let is_word = |cell: &&(char, Look)| {
                    cell.1 == look && !matches!(cell.0, ' ' | '\u{2500}' | '\u{2581}'..='\u{2588}')
                };
                let word: String =
                    cells[column..].iter().take_while(is_word).map(|cell| cell.0).collect();
                write(svg, (left(column), top + 13.5), &word, look);
                word.chars().count()
            }
        };
        column += width;
    }
}

fn rectangle(svg: &mut String, at: (f64, f64), size: (f64, f64), fill: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\"/>",
        at.0, at.1, size.0, size.1
    );
}

fn write(svg: &mut String, at: (f64, f64), word: &str, look: Look) {
    let bold = if look.is_bold { " font-weight=\"600\"" } else { "" };
    let faint = if look.is_faint { " opacity=\"0.65\"" } else { "" };
    let escaped = word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         fill=\"{}\"{bold}{faint}>{escaped}</text>",
        at.0,
        at.1,
        word.chars().count() as f64 * CELL.0,
        look.fill()
    );
}

#[test]
fn looks_words_and_curves_become_shapes() {
    let screen =
        "\u{1b}[1;32mok\u{1b}[0m a<b \u{2588}\n\u{1b}[7m> \u{1b}[31mbad\u{1b}[27;39m end\n";
    assert!(has_colours(screen) && !has_colours("\u{1b}[1;39;49mplain"));
    let svg = svg(screen, 12, "a title");
    for part in [
        "fill=\"#56d364\" font-weight=\"600\">ok</text>",
        ">a&lt;b</text>",
        "height=\"15.0\" fill=\"#d7dde4\"",
        "fill=\"#30363d\"",
        "fill=\"#ff7b72\">bad</text>",
        "fill=\"#d7dde4\">end</text>",
    ] {
        assert!(svg.contains(part), "{part} is not in\n{svg}");
    }
}
