//! A text in lines that fit.

use ratatui::text::Span;

/// `text` in lines of at most `columns` columns; long ones are cut wherever they end.
pub(crate) fn wrapped(text: &str, columns: u16) -> Vec<String> {
    let columns = usize::from(columns.max(2));
    let mut lines = Vec::new();
    for whole in text.split('\n') {
        let (mut line, mut width) = (String::new(), 0);
        for c in whole.chars() {
            let own = Span::raw(c.to_string()).width();
            if width + own > columns {
                lines.push(std::mem::take(&mut line));
                width = 0;
            }
            line.push(c);
            width += own;
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_by_its_width() {
        assert_eq!(wrapped("abcde\n\nf", 3), ["abc", "de", "", "f"]);
        assert_eq!(wrapped("\u{6f22}\u{5b57}a", 3), ["\u{6f22}", "\u{5b57}a"], "two columns each");
    }
}
