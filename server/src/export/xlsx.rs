use std::fs::File;

use jiff::Timestamp;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::Style;
use super::cell::{Cell, decimal, truth};
use super::column::Column;

/// What one worksheet holds below its headings.
const MAX_ROWS: u32 = 1_048_575;
/// What one cell holds.
const MAX_CHARACTERS: usize = 32_767;

/// A workbook that is written row by row; rows go to a temporary file at once.
pub(super) struct Book {
    workbook: Workbook,
    /// The one that is being written.
    sheet: Worksheet,
    name: String,
    sheets: u32,
    next_row: u32,
    headings: Vec<String>,
    style: Style,
    formats: Formats,
}

struct Formats {
    heading: Format,
    date: Format,
    datetime: Format,
    /// By digits after the decimal mark.
    decimals: Vec<Format>,
}

impl Book {
    pub(super) fn new(name: &str, columns: &[Column], style: Style) -> Result<Self, XlsxError> {
        let decimals = (0..10_usize).map(|scale| {
            let zeros = "0".repeat(scale);
            Format::new().set_num_format(if scale == 0 { "#,##0".to_owned() } else { format!("#,##0.{zeros}") })
        });
        let formats = Formats {
            heading: Format::new().set_bold(),
            date: Format::new().set_num_format("yyyy-mm-dd"),
            datetime: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
            decimals: decimals.collect(),
        };
        let mut workbook = Workbook::new();
        let sheet = workbook.new_worksheet_with_constant_memory()?;
        let headings = columns.iter().map(|column| column.heading.clone()).collect();
        let name = sheet_name(name);
        let mut book = Self { workbook, sheet, name, sheets: 1, next_row: 0, headings, style, formats };
        book.head()?;
        Ok(book)
    }

    pub(super) fn row(&mut self, row: &[Cell]) -> Result<(), XlsxError> {
        if self.next_row > MAX_ROWS {
            let next = self.workbook.new_worksheet_with_constant_memory()?;
            self.workbook.push_worksheet(std::mem::replace(&mut self.sheet, next));
            self.sheets += 1;
            self.next_row = 0;
            self.head()?;
        }
        for (column, cell) in (0_u16..).zip(row) {
            self.cell(column, cell)?;
        }
        self.next_row += 1;
        Ok(())
    }

    pub(super) fn save(mut self, file: &File) -> Result<(), XlsxError> {
        self.workbook.push_worksheet(self.sheet);
        self.workbook.save_to_writer(file)
    }

    fn head(&mut self) -> Result<(), XlsxError> {
        let name = if self.sheets == 1 { self.name.clone() } else { format!("{} {}", self.name, self.sheets) };
        self.sheet.set_name(name)?;
        self.sheet.set_freeze_panes(1, 0)?;
        for (column, heading) in (0_u16..).zip(&self.headings) {
            self.sheet.write_string_with_format(0, column, heading, &self.formats.heading)?;
        }
        self.next_row = 1;
        Ok(())
    }

    fn cell(&mut self, column: u16, cell: &Cell) -> Result<(), XlsxError> {
        let row = self.next_row;
        match cell {
            Cell::Empty => {}
            Cell::Text(text) => drop(self.sheet.write_string(row, column, fitting(text))?),
            Cell::Number { units, scale } => {
                // Through text, so that the cell shows the very digits that are stored.
                let number: f64 = decimal(*units, *scale, '.').parse().unwrap_or_default();
                let format = &self.formats.decimals[usize::from((*scale).min(9))];
                self.sheet.write_number_with_format(row, column, number, format)?;
            }
            Cell::Boolean(value) => match self.style.language {
                None => drop(self.sheet.write_boolean(row, column, *value)?),
                language => drop(self.sheet.write_string(row, column, truth(*value, language))?),
            },
            Cell::Date(date) => match ExcelDateTime::parse_from_str(date) {
                Ok(at) => drop(self.sheet.write_datetime_with_format(row, column, &at, &self.formats.date)?),
                // A spreadsheet knows no day before 1900.
                Err(_) => drop(self.sheet.write_string(row, column, date)?),
            },
            Cell::Datetime(ms) => {
                let text = Timestamp::from_millisecond(*ms).map(|at| at.to_string()).unwrap_or_default();
                match ExcelDateTime::parse_from_str(text.trim_end_matches('Z')) {
                    Ok(at) => drop(self.sheet.write_datetime_with_format(row, column, &at, &self.formats.datetime)?),
                    Err(_) => drop(self.sheet.write_string(row, column, text)?),
                }
            }
        }
        Ok(())
    }
}

/// A worksheet's name has at most 31 characters, some of which are not allowed; some are kept for a number.
fn sheet_name(name: &str) -> String {
    let name: String =
        name.chars().filter(|c| !matches!(c, '[' | ']' | ':' | '*' | '?' | '/' | '\\' | '\'')).take(26).collect();
    if name.trim().is_empty() { "Cartera".to_owned() } else { name }
}

/// A text as long as a cell can hold; what was cut ends in an ellipsis.
fn fitting(text: &str) -> String {
    // A spreadsheet counts UTF-16 units.
    if text.encode_utf16().count() <= MAX_CHARACTERS {
        return text.to_owned();
    }
    let mut units = 0;
    let mut cut: String = text
        .chars()
        .take_while(|character| {
            units += character.len_utf16();
            units < MAX_CHARACTERS
        })
        .collect();
    cut.push('…');
    cut
}
