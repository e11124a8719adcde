use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use super::cell::Oddity;
use super::decode::{self, Utf8Reader};
use super::{Cell, Damage, FileFacts, Format, ReadError, ReadOptions, Row, Sink, detect};

const HEAD_BYTES: u64 = 64 * 1024;
const MAX_ROW_BYTES: usize = 4 * 1024 * 1024;
const MAX_COLUMNS: usize = 1_000;
/// Appended to the file: a quotation mark that is never closed swallows it, and that is how it is noticed.
const SENTINEL: &str = "\u{1}end of file\u{1}";

/// Reads the table whose first row with cells names the columns.
pub(super) fn read(file: &mut File, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let encoding = decode::detect(file, options.encoding.as_deref())?;
    let delimiter = match options.delimiter {
        Some(delimiter) if delimiter.is_ascii() => delimiter,
        _ => {
            file.seek(SeekFrom::Start(0))?;
            let mut head = String::new();
            Utf8Reader::new(&mut *file, encoding).take(HEAD_BYTES).read_to_end_lossy(&mut head)?;
            detect::delimiter(&head)
        }
    };
    file.seek(SeekFrom::Start(0))?;
    let facts = FileFacts {
        format: Format::Csv,
        encoding: Some(encoding.name().to_owned()),
        delimiter: Some(delimiter),
        ..FileFacts::default()
    };
    rows(Utf8Reader::new(file, encoding), delimiter, &facts, sink)
}

trait ReadLossy {
    fn read_to_end_lossy(&mut self, out: &mut String) -> std::io::Result<()>;
}

impl<R: Read> ReadLossy for std::io::Take<R> {
    /// The limit may cut a character in two.
    fn read_to_end_lossy(&mut self, out: &mut String) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        out.push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }
}

fn rows(text: impl Read, delimiter: char, facts: &FileFacts, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let sentinel = format!("\n{SENTINEL}\n");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter as u8)
        .has_headers(false)
        .flexible(true)
        .from_reader(LineCounter::new(text).chain(sentinel.as_bytes()));
    let mut columns: Option<Vec<String>> = None;
    let mut record = csv::StringRecord::new();
    // The line after the last row.
    let mut next_line = 1;
    loop {
        let more = reader.read_record(&mut record).map_err(|error| unreadable(&error))?;
        if !more {
            return Err(ReadError::at(next_line, Damage::OpenQuote));
        }
        let breaks: u64 = record.iter().map(line_breaks).sum();
        // Where the reader stands now, less what the row spans: blank lines before it belong to no row.
        let line = (reader.position().line().saturating_sub(1 + breaks)).max(next_line);
        if record.len() == 1 && &record[0] == SENTINEL {
            break;
        }
        if record.iter().any(|cell| cell.contains(SENTINEL)) {
            return Err(ReadError::at(line, Damage::OpenQuote));
        }
        if record.as_slice().len() > MAX_ROW_BYTES {
            return Err(ReadError::at(line, Damage::RowTooLarge));
        }
        next_line = line + breaks + 1;
        let cells: Vec<Cell> = record.iter().map(|cell| Cell::text(unguarded(cell))).collect();
        if cells.iter().all(Cell::is_empty) {
            continue;
        }
        let flow = match &columns {
            None => {
                let names = column_names(&cells, line)?;
                let flow = sink.start(facts, &names);
                columns = Some(names);
                flow
            }
            Some(columns) => sink.row(shape(cells, columns.len(), line)),
        };
        if flow == ControlFlow::Break(()) {
            return Ok(());
        }
    }
    if columns.is_none() { Err(ReadError::whole(Damage::Empty)) } else { Ok(()) }
}

fn unreadable(error: &csv::Error) -> ReadError {
    ReadError { line: error.position().map(csv::Position::line), damage: Damage::Io(error.to_string()) }
}

/// Takes off the apostrophe that an export puts before what a spreadsheet would take for a formula.
fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\''])).unwrap_or(cell)
}

fn line_breaks(cell: &str) -> u64 {
    cell.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// Names of columns: distinct, those without a name dropped from the end and lettered elsewhere.
pub(super) fn column_names(cells: &[Cell], line: u64) -> Result<Vec<String>, ReadError> {
    let used = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
    if used > MAX_COLUMNS {
        return Err(ReadError::at(line, Damage::TooManyColumns(used)));
    }
    let mut names: Vec<String> = Vec::with_capacity(used);
    for (at, cell) in cells[..used].iter().enumerate() {
        let name = if cell.is_empty() { format!("#{}", at + 1) } else { cell.shown() };
        if names.contains(&name) {
            return Err(ReadError::at(line, Damage::RepeatedColumn(name)));
        }
        names.push(name);
    }
    Ok(names)
}

/// A row of exactly `width` cells; what had to be cut or added is said in its oddities.
pub(super) fn shape(mut cells: Vec<Cell>, width: usize, line: u64) -> Row {
    let mut oddities = Vec::new();
    if cells.len() > width {
        let extra: Vec<String> =
            cells.drain(width..).filter(|cell| !cell.is_empty()).map(|cell| cell.shown()).collect();
        if !extra.is_empty() {
            oddities.push(Oddity::ExtraCells(extra));
        }
    } else if cells.len() < width {
        oddities.push(Oddity::MissingCells(width - cells.len()));
        cells.resize(width, Cell::Empty);
    }
    if let Some(text) = cells.iter().find_map(|cell| match cell {
        Cell::Text(text) if text.contains('\u{fffd}') => Some(text.clone()),
        _ => None,
    }) {
        oddities.push(Oddity::Undecodable { text });
    }
    Row { line, cells, oddities }
}

/// Makes every line end in `\n`, whichever way the file ends them, so that lines are counted right.
struct LineCounter<R> {
    inner: R,
    after_return: bool,
}

impl<R: Read> LineCounter<R> {
    fn new(inner: R) -> Self {
        Self { inner, after_return: false }
    }
}

impl<R: Read> Read for LineCounter<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.inner.read(out)?;
            if count == 0 {
                return Ok(0);
            }
            let mut kept = 0;
            for at in 0..count {
                let byte = out[at];
                let skip = byte == b'\n' && self.after_return;
                self.after_return = byte == b'\r';
                if !skip {
                    out[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Collected, collect};
    use super::*;

    fn read_text(text: &str) -> Result<Collected, ReadError> {
        collect(text.as_bytes(), &ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() })
    }

    #[test]
    fn rows_carry_the_line_they_start_on() {
        for ending in ["\n", "\r\n", "\r"] {
            let text = ["name,note", "Acme,\"two", "lines\"", "", "Beta,x", "", "", "Gamma,y"].join(ending);
            let read = read_text(&text).expect("reads");
            let lines: Vec<u64> = read.rows.iter().map(|row| row.line).collect();
            assert_eq!(lines, [2, 5, 8], "lines ending in {ending:?}");
            assert_eq!(read.rows[0].cells[1], Cell::Text("two\nlines".into()));
        }
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_is_refused_with_its_line() {
        let error = read_text("name,note\nAcme,fine\nBeta,\"open\nGamma,lost\n").expect_err("refused");
        assert_eq!((error.line, error.damage), (Some(3), Damage::OpenQuote));
        let error = read_text("name\n\"open").expect_err("refused");
        assert_eq!((error.line, error.damage), (Some(2), Damage::OpenQuote));
    }

    #[test]
    fn ragged_rows_are_read_and_said() {
        let read = read_text("a,b\n1\n1,2,3\n1,2,,\n").expect("reads");
        assert_eq!(read.rows[0].oddities, [Oddity::MissingCells(1)]);
        assert_eq!(read.rows[1].oddities, [Oddity::ExtraCells(vec!["3".into()])]);
        assert!(read.rows[2].oddities.is_empty());
        assert!(read.rows.iter().all(|row| row.cells.len() == 2));
    }

    #[test]
    fn a_file_without_columns_and_one_with_equal_columns_are_refused() {
        assert_eq!(read_text("").expect_err("refused").damage, Damage::Empty);
        assert_eq!(read_text("\n\n , ,\n").expect_err("refused").damage, Damage::Empty);
        assert_eq!(read_text("a,b,a\n").expect_err("refused").damage, Damage::RepeatedColumn("a".into()));
    }
}
