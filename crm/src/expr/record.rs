//! What an expression reads of one record.

use serde_json::Value as Json;

use super::item::Item;
use super::node::Part;
use super::{EvalError, calendar};
use crate::Fields;
use crate::model::{Entity, Field, FieldKind, Stage};

/// The value of a field, or of a part of it: null when the field is absent, an absent list as the empty one.
pub(super) fn read<'a>(entity: &'a Entity, fields: &'a Fields, name: &str, part: Part) -> Result<Item<'a>, EvalError> {
    let Some(field) = entity.field(name) else {
        return Err(EvalError::UnknownField { field: name.to_owned(), entity: entity.name.clone() });
    };
    match fields.get(name) {
        Some(value) if !value.is_null() => present(entity, field, part, value),
        _ if is_list(&field.kind) => Ok(Item::List(&[])),
        _ => Ok(Item::Null),
    }
}

pub(super) fn is_list(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Enums { .. }
            | FieldKind::Links { .. }
            | FieldKind::Tags
            | FieldKind::Emails
            | FieldKind::Phones
            | FieldKind::Addresses
            | FieldKind::Log
            | FieldKind::Blobs { .. }
    )
}

fn present<'a>(entity: &'a Entity, field: &Field, part: Part, value: &'a Json) -> Result<Item<'a>, EvalError> {
    let malformed = |expected| move || EvalError::Malformed { field: field.name.clone(), expected };
    let int = |value: &Json| value.as_i64().ok_or_else(malformed("a whole number"));
    let text = |value: &'a Json| value.as_str().ok_or_else(malformed("a text"));
    match (&field.kind, part) {
        (FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Percent, Part::Whole) => {
            int(value).map(Item::Int)
        }
        (FieldKind::Money, Part::Whole) => int(&value["minor"]).map(Item::Int),
        (FieldKind::Money, Part::Currency) => text(&value["currency"]).map(Item::Text),
        (FieldKind::Boolean, Part::Whole) => value.as_bool().map(Item::Bool).ok_or_else(malformed("true or false")),
        (FieldKind::Date, part) => {
            let day = value.as_str().and_then(calendar::day_number).ok_or_else(malformed("a date"))?;
            Ok(of_day(part, day).unwrap_or(Item::Date(day)))
        }
        (FieldKind::Datetime, part) => {
            let ms = int(value)?;
            Ok(of_day(part, calendar::day_of_instant(ms)).unwrap_or(Item::Instant(ms)))
        }
        (FieldKind::Stage { pipeline, .. }, part) => {
            let key = text(value)?;
            if matches!(part, Part::Whole | Part::Key) {
                return Ok(Item::Text(key));
            }
            let stage = entity.pipelines.get(pipeline).and_then(|pipeline| pipeline.stage(key));
            Ok(stage.map_or(Item::Null, |stage| of_stage(stage, part)))
        }
        (FieldKind::Link { to }, Part::Entity) if to.len() > 1 => text(&value["entity"]).map(Item::Text),
        (FieldKind::Link { to }, Part::Whole) if to.len() > 1 => text(&value["id"]).map(Item::Text),
        (FieldKind::Blob { .. }, Part::Whole) => text(&value["hash"]).map(Item::Text),
        (kind, Part::Whole) if is_list(kind) => {
            value.as_array().map(|members| Item::List(members)).ok_or_else(malformed("a list"))
        }
        (_, Part::Whole) => text(value).map(Item::Text),
        (_, part) => Err(EvalError::UnknownField {
            field: format!("{}.{}", field.name, part.as_str()),
            entity: entity.name.clone(),
        }),
    }
}

fn of_stage(stage: &Stage, part: Part) -> Item<'_> {
    match part {
        Part::Kind => Item::Text(stage.kind.as_str()),
        Part::Probability => Item::Int(i64::from(stage.probability)),
        Part::Category => Item::Text(&stage.category),
        _ => Item::Text(&stage.key),
    }
}

fn of_day(part: Part, day: i64) -> Option<Item<'static>> {
    let parts = || calendar::year_and_month(day);
    match part {
        Part::Year => Some(parts().map_or(Item::Null, |(year, _)| Item::Int(year))),
        Part::Month => Some(parts().map_or(Item::Null, |(_, month)| Item::Int(month))),
        _ => None,
    }
}
