use crm::model::Language;
use jiff::Timestamp;

use super::Style;
use super::cell::{Cell, decimal, truth};
use super::column::Column;

/// Tells spreadsheets that the text is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Writes rows as the lines of a CSV file.
pub(super) struct Lines {
    style: Style,
    delimiter: u8,
    mark: char,
}

impl Lines {
    /// A spreadsheet in Spanish expects semicolons between cells and commas before decimals.
    pub(super) fn new(style: Style) -> Self {
        let is_spanish = style.language == Some(Language::Es);
        let (delimiter, mark) = if is_spanish { (b';', ',') } else { (b',', '.') };
        Self { style, delimiter, mark }
    }

    /// The first line.
    pub(super) fn head(&self, columns: &[Column]) -> Result<Vec<u8>, csv::Error> {
        let mut bytes = BYTE_ORDER_MARK.as_bytes().to_vec();
        let headings = columns.iter().map(|column| guarded(&column.heading));
        bytes.extend(self.write(std::iter::once(headings.collect()))?);
        Ok(bytes)
    }

    pub(super) fn rows(&self, rows: &[Vec<Cell>]) -> Result<Vec<u8>, csv::Error> {
        self.write(rows.iter().map(|row| row.iter().map(|cell| self.text(cell)).collect()))
    }

    fn write(&self, rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        for row in rows {
            writer.write_record(row)?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }

    fn text(&self, cell: &Cell) -> String {
        match cell {
            Cell::Empty => String::new(),
            Cell::Text(text) => guarded(text),
            Cell::Number { units, scale } => decimal(*units, *scale, self.mark),
            Cell::Boolean(value) => truth(*value, self.style.language).to_owned(),
            Cell::Date(date) => date.clone(),
            Cell::Datetime(ms) => Timestamp::from_millisecond(*ms).map(|at| at.to_string()).unwrap_or_default(),
        }
    }
}

/// A text that no spreadsheet takes for a formula: where it starts like one, an apostrophe stands before it, which an
/// import takes off again.
fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) { format!("'{text}") } else { text.to_owned() }
}
