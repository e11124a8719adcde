use crm::model::{Field, FieldKind};
use crm::rules::normalise;
use serde_json::{Value, json};

use super::super::read::Cell;
use super::{Locale, Trouble, contact, money, parse};

/// What a column gives to a field that is made of several things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// A member with this label: `phones.work`.
    Labelled(String),
    /// One text of the first address: `addresses.city`.
    OfAddress(String),
    /// The currency of an amount: `amount.currency`.
    Currency,
}

/// The part of a field that `name` names; `None` where the field has no such part.
#[must_use]
pub fn part_of(field: &Field, name: &str) -> Option<Part> {
    match &field.kind {
        FieldKind::Phones | FieldKind::Emails => Some(Part::Labelled(name.to_owned())),
        FieldKind::Addresses if matches!(name, "street" | "postcode" | "city" | "region" | "country") => {
            Some(Part::OfAddress(name.to_owned()))
        }
        FieldKind::Money if name == "currency" => Some(Part::Currency),
        _ => None,
    }
}

impl Part {
    /// Lays the cell over what earlier columns of the row gave to the field.
    ///
    /// # Errors
    /// When the cell is no value of it.
    pub fn lay(&self, field: &Field, cell: &Cell, before: Option<&Value>, locale: &Locale) -> Result<Value, Trouble> {
        let value = match self {
            Self::Whole => parse(field, cell, locale)?,
            Self::Labelled(label) if matches!(field.kind, FieldKind::Phones) => {
                normalise(field, contact::phones(&cell.shown(), Some(label), locale))?
            }
            Self::Labelled(label) => normalise(field, contact::emails(&cell.shown(), Some(label)))?,
            Self::OfAddress(part) => {
                let mut addresses = before.cloned().unwrap_or_else(|| json!([{}]));
                addresses[0][part] = json!(cell.shown());
                return Ok(normalise(field, addresses)?);
            }
            // Read before the amounts, see `currency`.
            Self::Currency => return Ok(before.cloned().unwrap_or(Value::Null)),
        };
        Ok(match (before, value) {
            // Several columns may feed one list.
            (Some(Value::Array(before)), Value::Array(more)) => {
                normalise(field, Value::Array(before.iter().cloned().chain(more).collect()))?
            }
            (Some(before), Value::Null) => before.clone(),
            (_, value) => value,
        })
    }

    /// An amount in the currency that another column of the row names.
    ///
    /// # Errors
    /// When the cell is no amount.
    pub fn amount(field: &Field, cell: &Cell, currency: &str, locale: &Locale) -> Result<Value, Trouble> {
        if cell.is_empty() {
            return Ok(Value::Null);
        }
        Ok(normalise(field, money::read(cell, locale, Some(&currency.trim().to_ascii_uppercase()))?)?)
    }
}
