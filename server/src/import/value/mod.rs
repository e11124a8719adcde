//! What a cell means in a field: the text of a file, in the way its country writes it, as the value of a record.

mod choice;
mod contact;
mod date;
mod money;
mod number;
mod part;

use crm::model::{Field, FieldKind, Label};
use crm::rules::{Finding, normalise};
use serde_json::{Value, json};

use super::read::{Cell, ColumnHints, DateOrder, DecimalMark};

pub use choice::stage;
pub use contact::country_of;
pub use money::minor_digits;
pub use part::{Part, part_of};

/// How the values of a file are written, where its cells do not say it.
#[derive(Clone, Debug)]
pub struct Locale {
    /// ISO 4217, for amounts without a currency.
    pub currency: String,
    /// For telephone numbers without a country code.
    pub country: Option<phonenumber::country::Id>,
    /// What stands before decimals; `None`: what the column shows.
    pub decimal: Option<DecimalMark>,
    /// Order of day and month; `None`: what the column shows, else day first.
    pub order: Option<DateOrder>,
}

impl Locale {
    /// The same, with what a column shows of itself where nothing was said.
    #[must_use]
    pub fn with_hints(&self, hints: ColumnHints) -> Self {
        Self {
            currency: self.currency.clone(),
            country: self.country,
            decimal: self.decimal.or(hints.decimal),
            order: self.order.or(hints.order),
        }
    }
}

/// Why a cell is no value of its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Stable and machine-readable.
    pub code: &'static str,
    /// What is wrong and what to do about it.
    pub message: Label,
}

impl Trouble {
    /// Says it in both languages.
    #[must_use]
    pub fn new(code: &'static str, es: impl Into<String>, en: impl Into<String>) -> Self {
        Self { code, message: Label { es: es.into(), en: en.into() } }
    }
}

impl From<Finding> for Trouble {
    fn from(finding: Finding) -> Self {
        Self { code: finding.code, message: finding.message }
    }
}

/// The value in its stored form; `Null` for an empty cell. Links are for whoever knows the records.
///
/// # Errors
/// When the cell is no value of the field.
pub fn parse(field: &Field, cell: &Cell, locale: &Locale) -> Result<Value, Trouble> {
    let value = match cell {
        Cell::Empty => return Ok(Value::Null),
        Cell::Failed(error) => {
            return Err(Trouble::new(
                "failed-formula",
                format!("La fórmula de la celda da el error {error}: corrígela en la hoja."),
                format!("The cell's formula gives the error {error}: correct it in the sheet."),
            ));
        }
        Cell::Blob(file) if matches!(field.kind, FieldKind::Blob { .. }) => file.value(),
        Cell::Blob(file) if matches!(field.kind, FieldKind::Blobs { .. }) => json!([file.value()]),
        Cell::Blob(_) => return Err(no_file()),
        Cell::Built(value) => contact::with_e164(&field.kind, value.clone(), locale),
        Cell::Text(text) if is_composite(&field.kind) && (text.starts_with("[{") || text.starts_with("{\"")) => {
            match serde_json::from_str(text) {
                Ok(value) => contact::with_e164(&field.kind, value, locale),
                Err(_) => from_cell(field, cell, locale)?,
            }
        }
        _ => from_cell(field, cell, locale)?,
    };
    Ok(normalise(field, value)?)
}

fn no_file() -> Trouble {
    Trouble::new(
        "no-file",
        "La celda no dice de qué fichero se trata: deja fuera la columna con --map COLUMNA=- y adjunta los ficheros después.",
        "The cell does not say which file it is: leave the column out with --map COLUMN=-, and attach the files afterwards.",
    )
}

/// Lists of objects and files: an export writes them as JSON where people's notation does not hold them.
fn is_composite(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Emails
            | FieldKind::Phones
            | FieldKind::Addresses
            | FieldKind::Log
            | FieldKind::Blob { .. }
            | FieldKind::Blobs { .. }
    )
}

fn from_cell(field: &Field, cell: &Cell, locale: &Locale) -> Result<Value, Trouble> {
    let text = || cell.shown();
    Ok(match &field.kind {
        FieldKind::Integer { .. } => json!(number::read(cell, locale, 0)?),
        FieldKind::Decimal { scale } => json!(number::read(cell, locale, *scale)?),
        FieldKind::Percent => json!(number::percent(cell, locale)?),
        FieldKind::Boolean => choice::boolean(cell)?,
        FieldKind::Money => money::read(cell, locale, None)?,
        FieldKind::Date => date::date(cell, locale)?,
        FieldKind::Datetime => date::datetime(cell, locale)?,
        FieldKind::Enum { options } => choice::option(&text(), options)?,
        FieldKind::Enums { options } => choice::options(&text(), options)?,
        FieldKind::Tags => json!(pieces(&text(), &[';', ',', '|', '\n'])),
        FieldKind::Emails => contact::emails(&text(), None),
        FieldKind::Phones => contact::phones(&text(), None, locale),
        FieldKind::Addresses => contact::addresses(&text()),
        FieldKind::Log => date::log(&text())?,
        FieldKind::Blob { .. } | FieldKind::Blobs { .. } => return Err(no_file()),
        FieldKind::Text { .. }
        | FieldKind::LongText
        | FieldKind::Email
        | FieldKind::Url
        | FieldKind::Number
        | FieldKind::Stage { .. }
        | FieldKind::Link { .. }
        | FieldKind::Links { .. } => json!(text()),
    })
}

/// The parts of a text between separators, trimmed, without empty ones; or the texts of a JSON list, as an export writes
/// them where a part has a separator in it.
pub(in crate::import) fn pieces(text: &str, separators: &[char]) -> Vec<String> {
    if text.starts_with("[\"")
        && let Ok(parts) = serde_json::from_str(text)
    {
        return parts;
    }
    text.split(separators).map(str::trim).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
