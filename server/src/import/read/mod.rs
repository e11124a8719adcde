//! Files as rows of cells, with the line that each row stands on.
//!
//! A reader knows a format and nothing of the model. It pushes rows into a [`Sink`] and holds one row at a time, so
//! that the size of a file does not decide the size of the server.

mod cell;
mod csv;
mod decode;
mod detect;
mod error;
mod survey;
mod vcard;
mod xlsx;

use std::fs::File;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

pub use cell::{Cell, InnerFile, Oddity, Row};
pub use detect::{Format, format_of_file};
pub use error::{Damage, ReadError};
pub use survey::{ColumnHints, DateOrder, DecimalMark, Survey, survey};
pub use vcard::COLUMNS as CARD_COLUMNS;

/// What the sender knows about a file; the rest is found in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// The format; told from the content when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The worksheet of an XLSX file; the first one with cells when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The encoding of a CSV file by its WHATWG label, such as `windows-1252`; told from the content when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// What stands between the cells of a CSV file; told from the content when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
}

/// What a reader found out about the file as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The format.
    pub format: Format,
    /// The encoding's WHATWG name, for text formats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// What stands between cells, for CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The worksheet read, for XLSX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Worksheets with cells that were not read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub other_sheets: Vec<String>,
}

/// Receives what a reader reads; `Break` ends the reading early and without an error.
pub trait Sink {
    /// Called once, before the first row.
    fn start(&mut self, facts: &FileFacts, columns: &[String]) -> ControlFlow<()>;
    /// Called for each row with at least one cell that is not empty.
    fn row(&mut self, row: Row) -> ControlFlow<()>;
}

/// Reads a file from its first byte to its last.
///
/// # Errors
/// When the file is damaged: a damaged file is refused whole.
pub fn read(file: &mut File, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let format = match options.format {
        Some(format) => format,
        None => detect::format(file)?,
    };
    match format {
        Format::Csv => csv::read(file, options, sink),
        Format::Xlsx => xlsx::read(file, options, sink),
        Format::Vcard => vcard::read(file, sink),
    }
}

#[cfg(test)]
mod tests;
