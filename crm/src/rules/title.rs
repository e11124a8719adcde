use serde_json::Value;

use crate::Fields;
use crate::model::Entity;

/// What people call the record: its title field, else its number or its id elsewhere; empty when it has none of them.
#[must_use]
pub fn title(entity: &Entity, fields: &Fields) -> String {
    let numbered = entity.number.as_ref().map(|number| number.field.as_str());
    [Some(entity.title.as_str()), numbered, Some("external_id")]
        .into_iter()
        .flatten()
        .filter_map(|name| fields.get(name))
        .find_map(text)
        .unwrap_or_default()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
