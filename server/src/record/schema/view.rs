//! The view of one entity.
//!
//! | field | columns |
//! |---|---|
//! | every record | `id` (text), `seq` |
//! | money `f` | `f_minor`, `f_currency` |
//! | stage `f` | `f` (the key), `f_kind` |
//! | link `f` to one of several entities | `f` (id as text), `f_entity` |
//! | file | `f` (its hash) |
//! | list of anything | `f` (JSON text) |
//! | any other `f` | `f` |
//!
//! Numbers stay as records hold them: money in minor units, decimals in units of 10^-scale, instants in milliseconds.

use crm::expr::{Dialect, body_column};
use crm::model::{Entity, Field, FieldKind};

use super::{quote, quote_text};
use crate::platform::db::dialect;
use crate::record::catalogue::EntityCode;

/// The dialect that the views are made in.
const DIALECT: Dialect = Dialect::Sqlite;

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As reports name it.
    pub name: String,
    /// SQL over the record `r`.
    pub expression: String,
}

/// `v_` and the entity: an entity named like a table of the record store does not hide it.
#[must_use]
pub fn name(entity: &Entity) -> String {
    format!("v_{}", entity.name)
}

/// The statement that makes the view.
#[must_use]
pub fn create(entity: &Entity, code: EntityCode) -> String {
    let columns: Vec<String> =
        columns(entity).into_iter().map(|column| format!("{} AS {}", column.expression, quote(&column.name))).collect();
    format!(
        "CREATE VIEW {} AS SELECT {} FROM record r WHERE r.entity = {code}",
        quote(&name(entity)),
        columns.join(", ")
    )
}

/// The view's columns, in the order of the entity's fields. A field's own column wins over one that another field
/// derives under the same name.
#[must_use]
pub fn columns(entity: &Entity) -> Vec<Column> {
    let mut columns = vec![
        Column { name: "id".into(), expression: dialect::uuid_text(DIALECT, "r.id") },
        Column { name: "seq".into(), expression: "r.seq".into() },
    ];
    for field in entity.fields.values() {
        for column in columns_of(entity, field) {
            let of_another = column.name != field.name && entity.field(&column.name).is_some();
            if !of_another && columns.iter().all(|taken| taken.name != column.name) {
                columns.push(column);
            }
        }
    }
    columns
}

fn columns_of(entity: &Entity, field: &Field) -> Vec<Column> {
    let typed = body_column(entity, field, DIALECT, "r.body");
    let column = |suffix: &str, expression: String| Column { name: format!("{}{suffix}", field.name), expression };
    match &field.kind {
        FieldKind::Money => vec![
            column("_minor", typed),
            column("_currency", dialect::json_text(DIALECT, "r.body", &[&field.name, "currency"])),
        ],
        FieldKind::Stage { pipeline, .. } => {
            let kinds = entity.pipelines.get(pipeline).map_or_else(
                || "NULL".to_owned(),
                |pipeline| {
                    let cases: Vec<String> = pipeline
                        .stages
                        .iter()
                        .map(|stage| format!("WHEN {} THEN '{}'", quote_text(&stage.key), stage.kind.as_str()))
                        .collect();
                    format!("CASE {typed} {} END", cases.join(" "))
                },
            );
            vec![column("", typed.clone()), column("_kind", kinds)]
        }
        FieldKind::Link { to } if to.len() > 1 => {
            vec![column("", typed), column("_entity", dialect::json_text(DIALECT, "r.body", &[&field.name, "entity"]))]
        }
        FieldKind::Text { .. }
        | FieldKind::LongText
        | FieldKind::Integer { .. }
        | FieldKind::Decimal { .. }
        | FieldKind::Percent
        | FieldKind::Boolean
        | FieldKind::Date
        | FieldKind::Datetime
        | FieldKind::Enum { .. }
        | FieldKind::Enums { .. }
        | FieldKind::Links { .. }
        | FieldKind::Emails
        | FieldKind::Phones
        | FieldKind::Addresses
        | FieldKind::Tags
        | FieldKind::Log
        | FieldKind::Blob { .. }
        | FieldKind::Blobs { .. }
        | FieldKind::Link { .. }
        | FieldKind::Email
        | FieldKind::Url
        | FieldKind::Number => vec![column("", typed)],
    }
}
