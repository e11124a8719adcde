//! Records leave as files: a list as CSV or XLSX, the whole tenant as an archive.
//!
//! An export shows what the caller may read and nothing else, takes the right to export, and is written as it is read:
//! no more than a page of records is held. What a CSV export writes, an import reads back as it was.

mod archive;
mod cell;
mod column;
mod csv;
pub mod routes;
mod rows;
mod titles;
mod xlsx;

use crm::model::Language;
use serde::Deserialize;

/// A format that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// UTF-8 with a byte-order mark, as spreadsheets want it.
    #[default]
    Csv,
    /// A workbook with typed cells.
    Xlsx,
}

/// What to export, and how it reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// The format; CSV when absent.
    #[serde(default)]
    pub format: Format,
    /// An expression; all records when absent.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// `name,-close_date`; in the order of their making when absent.
    pub sort: Option<String>,
    /// Only these fields, comma-separated and in this order; all when absent.
    pub fields: Option<String>,
    /// Headings and options as this language has them; as the model names them when absent.
    pub language: Option<Language>,
    /// How links are written; as titles when absent.
    #[serde(default)]
    pub links: Links,
}

/// How links are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Links {
    /// What people call the records.
    #[default]
    Titles,
    /// Their ids.
    Ids,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Style {
    /// Options and truth in words of this language; keys when absent.
    language: Option<Language>,
    links: Links,
    /// Lists of telephones and the like exactly as they are stored, instead of as people write them.
    is_exact: bool,
}

#[cfg(test)]
mod tests;
