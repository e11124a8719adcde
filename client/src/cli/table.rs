//! Rows for people: columns as wide as they need to be, and no wider than a line can bear.

use std::io::{self, Write};

/// A longer text is cut in a table; `show` has it whole.
const WIDEST: usize = 48;

/// Rows under headings.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Self {
        Self { rows: vec![headings.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|cell| fit(&cell.into())).collect());
    }

    /// Writes it.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// One line, cut where it is too long; and nothing in it that would move a terminal's cursor.
fn fit(cell: &str) -> String {
    let line = printable(cell).replace('\n', " ");
    if line.chars().count() <= WIDEST {
        return line;
    }
    let mut cut: String = line.chars().take(WIDEST - 1).collect();
    cut.push('…');
    cut
}

/// A text from a record without what a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_long_cells_are_cut() {
        let mut table = Table::new(["a", "b"]);
        table.row(["ñandú", "x\ny"]);
        table.row(["1", &"z".repeat(100)]);
        let mut out = Vec::new();
        table.print(&mut out).expect("writes to memory");
        let text = String::from_utf8(out).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["a      b", "ñandú  x y"]);
        assert_eq!(lines[2].chars().count(), 7 + WIDEST);
        assert!(lines[2].ends_with('…'));
    }

    #[test]
    fn a_record_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a[2Jb\nc");
    }
}
