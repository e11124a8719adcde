//! The one form in which a value of each type is stored, and what is no value of it.

mod blob;
mod composite;
mod scalar;

use serde_json::Value;

use super::{Finding, message};
use crate::model::{Field, FieldKind};

/// The largest integer that every JSON reader keeps exactly (RFC 8785 allows no more); 2^53 - 1.
const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// Checks that `value` is one of the field's type and brings it into canonical form: texts trimmed and composed (NFC),
/// sets sorted without repetition, ids and e-mail addresses in lowercase, keys that mean nothing left out. Doing it
/// twice changes nothing more. The character U+0000 is refused anywhere: databases end a text there.
///
/// `null` means that the field is empty, and so do the empty text and the empty list: they come back as `null`, which
/// is never stored. Whether a field may be empty, and whether a stage exists, is for [`check`](super::check).
///
/// # Errors
///
/// What is wrong with the value.
pub fn normalise(field: &Field, value: Value) -> Result<Value, Finding> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if has_nul(&value) {
        return Err(message::has_nul(field));
    }
    match &field.kind {
        FieldKind::Text { max } => scalar::line(field, value, *max as usize),
        FieldKind::LongText => scalar::long_text(field, value),
        FieldKind::Number => scalar::line(field, value, 64),
        FieldKind::Stage { .. } => scalar::line(field, value, 48),
        FieldKind::Integer { min, max } => scalar::integer(
            field,
            &value,
            min.unwrap_or(-INTEGER_MAX).max(-INTEGER_MAX),
            max.unwrap_or(INTEGER_MAX).min(INTEGER_MAX),
        ),
        FieldKind::Decimal { .. } => scalar::integer(field, &value, -INTEGER_MAX, INTEGER_MAX),
        FieldKind::Percent => scalar::integer(field, &value, 0, 100),
        FieldKind::Datetime => scalar::datetime(field, &value),
        FieldKind::Date => scalar::date(field, value),
        FieldKind::Boolean => match value {
            Value::Bool(_) => Ok(value),
            _ => Err(message::wrong_type(field, &message::BOOLEAN)),
        },
        FieldKind::Enum { options } => match value {
            Value::String(key) if options.iter().any(|option| option.key == key) => Ok(Value::String(key)),
            Value::String(key) if key.trim().is_empty() => Ok(Value::Null),
            Value::String(key) => Err(message::not_an_option(field, &key, options)),
            _ => Err(message::wrong_type(field, &message::OPTION)),
        },
        FieldKind::Enums { options } => composite::set(field, value, &message::OPTIONS, |key| {
            if options.iter().any(|option| option.key == key) {
                Ok(Some(key.to_owned()))
            } else {
                Err(message::not_an_option(field, key, options))
            }
        }),
        FieldKind::Link { to } if to.len() == 1 => scalar::id(field, value),
        FieldKind::Link { to } => composite::link_to_one_of(field, value, to),
        FieldKind::Links { .. } => {
            composite::set(field, value, &message::LINKS, |id| scalar::canonical_id(field, id).map(Some))
        }
        FieldKind::Tags => composite::set(field, value, &message::TAGS, |tag| scalar::tag(field, tag)),
        FieldKind::Email => scalar::email(field, value),
        FieldKind::Url => scalar::url(field, value),
        FieldKind::Emails => composite::emails(field, value),
        FieldKind::Phones => composite::phones(field, value),
        FieldKind::Addresses => composite::addresses(field, value),
        FieldKind::Money => composite::money(field, value),
        FieldKind::Log => composite::log(field, value),
        FieldKind::Blob { max, accept } => blob::one(field, value, *max, *accept),
        FieldKind::Blobs { max, accept } => blob::several(field, value, *max, *accept),
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(members) => members.iter().any(has_nul),
        Value::Object(parts) => parts.values().any(has_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
