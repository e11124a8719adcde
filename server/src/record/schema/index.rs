//! The indexes of one entity: partial, over expressions on the body, so that a field costs only its own entity.
//!
//! Every index is paid for at each write: only what people look records up by has one.

use crm::expr::{Dialect, body_column};
use crm::model::{Entity, Field, FieldKind};

use super::quote;
use crate::record::catalogue::EntityCode;

/// Name and statement of each index that the entity wants.
///
/// Wanted by: fields that are unique or the first of an import key (looked up by value), and links to one record
/// (an account's opportunities), but for owner, team and territory, which the record store keeps in columns.
pub fn all(entity: &Entity, code: EntityCode) -> impl Iterator<Item = (String, String)> {
    entity
        .fields
        .values()
        .filter(|field| is_looked_up(entity, field))
        .map(move |field| (name(entity, field), create(entity, field, code)))
}

/// `x_`, the entity and the field.
fn name(entity: &Entity, field: &Field) -> String {
    format!("x_{}_{}", entity.name, field.name)
}

/// The empty values stay out: nobody looks records up by what they lack, and most links are empty.
fn create(entity: &Entity, field: &Field, code: EntityCode) -> String {
    let value = body_column(entity, field, Dialect::Sqlite, "body");
    format!(
        "CREATE INDEX {} ON record ({value}) WHERE entity = {code} AND {value} IS NOT NULL",
        quote(&name(entity, field))
    )
}

fn is_looked_up(entity: &Entity, field: &Field) -> bool {
    let is_key = entity.import.keys.iter().any(|key| key.first() == Some(&field.name));
    match &field.kind {
        FieldKind::Link { to } => to.len() == 1 && !matches!(field.name.as_str(), "owner" | "team" | "territory"),
        FieldKind::Text { .. } | FieldKind::Email | FieldKind::Url | FieldKind::Number | FieldKind::Integer { .. } => {
            is_key || field.unique
        }
        _ => false,
    }
}
