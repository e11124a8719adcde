//! The order of a list, and the condition that takes up behind one of its records.

use crm::expr::body_column;
use crm::model::{Entity, FieldKind, Label};
use serde_json::Value;

use super::page::Position;
use super::{DIALECT, ReadError, Target};
use crate::platform::db::dialect;

/// The most fields that a list is sorted by.
const MAX_KEYS: usize = 4;

/// Sort keys; the id always follows as the last one, so that no two records stand at the same place.
pub(super) struct Order {
    keys: Vec<Key>,
}

struct Key {
    expression: String,
    descending: bool,
}

impl Order {
    /// Reads `name,-close_date`: a minus is descending; `id` and `seq` stand for the record's own. Empty values come
    /// last either way.
    pub(super) fn parse(target: &Target<'_>, sort: &str) -> Result<Self, ReadError> {
        let mut keys = Vec::new();
        for part in sort.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
            keys.push(Key { expression: expression(target, name)?, descending });
        }
        if keys.len() > MAX_KEYS {
            return Err(ReadError::Parameter {
                parameter: "sort",
                reason: Label { es: format!("como mucho {MAX_KEYS} campos"), en: format!("at most {MAX_KEYS} fields") },
            });
        }
        Ok(Self { keys })
    }

    /// How many values a position in this order has, the id aside.
    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// SQL: the sort values of a record as one JSON array.
    pub(super) fn values(&self) -> String {
        let values: Vec<String> = self.keys.iter().map(|key| key.expression.clone()).collect();
        dialect::json_array(DIALECT, &values)
    }

    /// SQL: what follows `ORDER BY`.
    pub(super) fn by(&self) -> String {
        let by = self.keys.iter().map(|key| {
            let direction = if key.descending { "DESC" } else { "ASC" };
            format!("{} {direction} NULLS LAST", key.expression)
        });
        by.chain(["r.id".to_owned()]).collect::<Vec<_>>().join(", ")
    }

    /// SQL that is true behind `position`. Parameter `$1` is the id, `$2` and on are the position's values.
    pub(super) fn behind(&self, position: &Position) -> String {
        let mut alternatives = Vec::new();
        let mut equal = String::new();
        for (at, (key, value)) in self.keys.iter().zip(&position.values).enumerate() {
            let parameter = format!("${}", at + 2);
            let Key { expression, descending } = key;
            if value.is_null() {
                // Nothing is behind the empty ones but more of them.
                equal = format!("{equal}{expression} IS NULL AND ");
                continue;
            }
            let beyond = if *descending { '<' } else { '>' };
            alternatives.push(format!("({equal}({expression} {beyond} {parameter} OR {expression} IS NULL))"));
            equal = format!("{equal}{expression} = {parameter} AND ");
        }
        alternatives.push(format!("({equal}r.id > $1)"));
        format!("({})", alternatives.join(" OR "))
    }
}

fn expression(target: &Target<'_>, name: &str) -> Result<String, ReadError> {
    match name {
        "id" => return Ok(dialect::uuid_text(DIALECT, "r.id")),
        "seq" => return Ok("r.seq".into()),
        _ => {}
    }
    let field = target.seen.field(name).ok_or_else(|| target.unknown_field("sort", name))?;
    let value = body_column(target.seen, field, DIALECT, "r.body");
    match &field.kind {
        FieldKind::Stage { pipeline, .. } => Ok(by_position(target.seen, pipeline, &value)),
        FieldKind::Text { .. } | FieldKind::LongText | FieldKind::Email | FieldKind::Url => {
            Ok(dialect::in_reading_order(DIALECT, &value))
        }
        FieldKind::Number
        | FieldKind::Integer { .. }
        | FieldKind::Decimal { .. }
        | FieldKind::Percent
        | FieldKind::Boolean
        | FieldKind::Money
        | FieldKind::Date
        | FieldKind::Datetime
        | FieldKind::Enum { .. } => Ok(value),
        FieldKind::Link { to } if to.len() == 1 => Ok(value),
        FieldKind::Link { .. }
        | FieldKind::Links { .. }
        | FieldKind::Enums { .. }
        | FieldKind::Emails
        | FieldKind::Phones
        | FieldKind::Addresses
        | FieldKind::Tags
        | FieldKind::Log
        | FieldKind::Blob { .. }
        | FieldKind::Blobs { .. } => Err(ReadError::UnfitField {
            parameter: "sort",
            field: name.to_owned(),
            reason: Label { es: "no tiene un único valor".into(), en: "it does not hold one single value".into() },
        }),
    }
}

/// Stages sort as the pipeline goes, not by the alphabet.
fn by_position(entity: &Entity, pipeline: &str, value: &str) -> String {
    let Some(pipeline) = entity.pipelines.get(pipeline) else { return value.to_owned() };
    let cases: Vec<String> = pipeline
        .stages
        .iter()
        .enumerate()
        .map(|(position, stage)| format!("WHEN '{}' THEN {position}", stage.key.replace('\'', "''")))
        .collect();
    format!("(CASE {value} {} END)", cases.join(" "))
}

/// Binds a position's values as `$2` and on.
pub(super) fn bind_values<'q, O>(
    mut query: sqlx::query::QueryAs<'q, sqlx::Sqlite, O, sqlx::sqlite::SqliteArguments>,
    values: &[Value],
) -> sqlx::query::QueryAs<'q, sqlx::Sqlite, O, sqlx::sqlite::SqliteArguments> {
    for value in values {
        query = match value {
            Value::String(text) => query.bind(text.clone()),
            Value::Number(number) => query.bind(number.as_i64()),
            Value::Bool(truth) => query.bind(i64::from(*truth)),
            Value::Null | Value::Array(_) | Value::Object(_) => query.bind(None::<i64>),
        };
    }
    query
}
