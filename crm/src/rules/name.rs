use serde_json::Value;

use super::title;
use crate::Fields;
use crate::model::{Entity, Field, FieldKind};

/// The fields beside its title by which a person may name a record: those that are an import key by themselves, such as
/// a user's e-mail address, and those that no two records share.
pub fn naming_fields(entity: &Entity) -> impl Iterator<Item = &Field> {
    let is_key = |field: &Field| entity.import.keys.iter().any(|key| *key == [field.name.as_str()]);
    entity.fields.values().filter(move |field| field.name != entity.title && (field.unique || is_key(field)))
}

/// All that a record may be called where a person or a file names it: its title, and what stands in its naming fields.
#[must_use]
pub fn names(entity: &Entity, fields: &Fields) -> Vec<String> {
    let mut names = vec![title(entity, fields)];
    for field in naming_fields(entity) {
        names.extend(fields.get(&field.name).into_iter().flat_map(|value| texts(field, value)));
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The texts by which a value is compared: one, or one for each member.
#[must_use]
pub fn texts(field: &Field, value: &Value) -> Vec<String> {
    let of_members = |key: &str, other: &str| -> Vec<String> {
        let members = value.as_array().into_iter().flatten();
        members
            .filter_map(|member| member[key].as_str().or_else(|| member[other].as_str()))
            .map(str::to_owned)
            .collect()
    };
    match (&field.kind, value) {
        (FieldKind::Emails, _) => of_members("address", "address"),
        (FieldKind::Phones, _) => of_members("e164", "raw"),
        (_, Value::String(text)) => vec![text.clone()],
        (_, Value::Array(members)) => members.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        (_, Value::Object(link)) => link.get("id").and_then(Value::as_str).map(str::to_owned).into_iter().collect(),
        (_, Value::Null) => Vec::new(),
        (_, other) => vec![other.to_string()],
    }
}
