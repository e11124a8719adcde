//! The words by which full-text search finds a record.

use crm::Fields;
use crm::model::{Entity, FieldKind};
use serde_json::Value;

/// The searchable words of a record, in the order of its fields; phones also as bare digits, with and without the
/// country's calling code.
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
                            let digits: String = number.chars().filter(char::is_ascii_digit).collect();
                            if form == "e164" {
                                push(&mut text, without_calling_code(&digits));
                            }
                            push(&mut text, &digits);
                        }
                    }
                }
            }
            (_, value) => push_texts(&mut text, value),
        }
    }
    text
}

/// The national number in the digits of an E.164 number. Calling codes have one digit (1 and 7), two, or three; no code
/// is the beginning of another.
fn without_calling_code(digits: &str) -> &str {
    const TWO_DIGITS: [&str; 44] = [
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49",
        "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84",
        "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    let length = match digits.as_bytes().first() {
        Some(b'1' | b'7') => 1,
        _ if digits.get(..2).is_some_and(|start| TWO_DIGITS.contains(&start)) => 2,
        _ => 3,
    };
    digits.get(length..).unwrap_or_default()
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
