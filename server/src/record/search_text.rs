//! The words by which full-text search finds a record.

use crm::Fields;
use crm::model::{Entity, FieldKind};
use serde_json::Value;

/// The searchable words of a record, in the order of its fields; phones also as bare digits.
#[must_use]
pub fn search_text(entity: &Entity, fields: &Fields) -> String {
    let mut text = String::new();
    for field in entity.fields.values().filter(|field| field.search) {
        let Some(value) = fields.get(&field.name) else { continue };
        match (&field.kind, value) {
            (FieldKind::Phones, Value::Array(phones)) => {
                for phone in phones {
                    for form in ["raw", "e164"] {
                        if let Some(number) = phone.get(form).and_then(Value::as_str) {
                            push(&mut text, number);
                            push(&mut text, &number.chars().filter(char::is_ascii_digit).collect::<String>());
                        }
                    }
                }
            }
            (_, value) => push_texts(&mut text, value),
        }
    }
    text
}

fn push_texts(text: &mut String, value: &Value) {
    match value {
        Value::String(own) => push(text, own),
        Value::Array(values) => values.iter().for_each(|value| push_texts(text, value)),
        Value::Object(members) => members.values().for_each(|value| push_texts(text, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn push(text: &mut String, word: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(word);
}
