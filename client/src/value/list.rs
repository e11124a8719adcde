//! Values that are lists: e-mails, phones, addresses, tags.

use serde_json::{Map, Value, json};

use super::{Reading, Unreadable};
use crate::message::say;

/// The parts of an address in the order in which they are typed.
const ADDRESS_PARTS: [&str; 5] = ["street", "postcode", "city", "region", "country"];

/// What stands between commas, without what is empty.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// JSON where the text is that: what the short forms cannot say is written so.
pub fn json_array(text: &str) -> Option<Reading> {
    text.starts_with('[').then(|| {
        serde_json::from_str::<Value>(text).map_err(|error| {
            Unreadable(say(
                format!(
                    "«{text}» empieza como una lista JSON y no lo es: hay un error en el carácter {}.",
                    error.column()
                ),
                format!("“{text}” begins as a JSON array and is none: {error}."),
            ))
        })
    })
}

/// `ana@example.com, a.perez@example.org (home)`.
pub fn emails(text: &str) -> Value {
    items(text).map(|item| labelled(item, "address")).collect()
}

/// `+34 600 123 456 (mobile), 91 555 0000`.
pub fn phones(text: &str) -> Value {
    items(text).map(|item| labelled(item, "raw")).collect()
}

fn labelled(item: &str, key: &str) -> Value {
    match item.strip_suffix(')').and_then(|item| item.rsplit_once('(')) {
        Some((main, label)) if !label.trim().is_empty() => json!({key: main.trim(), "label": label.trim()}),
        _ => json!({key: item}),
    }
}

/// `street; postcode; city; region; country`, what is missing at the end left away; several separated by `|`.
pub fn addresses(text: &str) -> Value {
    let one = |text: &str| -> Value {
        let parts = ADDRESS_PARTS.iter().zip(text.split(';').map(str::trim));
        let filled: Map<String, Value> =
            parts.filter(|(_, part)| !part.is_empty()).map(|(name, part)| ((*name).to_owned(), json!(part))).collect();
        Value::Object(filled)
    };
    text.split('|').filter(|address| !address.trim().is_empty()).map(one).collect()
}

/// A list as a person reads it.
pub fn show(value: &Value, one: impl Fn(&Value) -> String) -> String {
    value.as_array().map_or_else(|| value.to_string(), |items| items.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// An item with its label, as it is typed.
pub fn show_labelled(item: &Value, key: &str) -> String {
    let main = item[key].as_str().unwrap_or_default();
    match item["label"].as_str() {
        Some(label) => format!("{main} ({label})"),
        None => main.to_owned(),
    }
}

/// An address in one line.
pub fn show_address(item: &Value) -> String {
    let parts: Vec<&str> = ADDRESS_PARTS.iter().filter_map(|part| item[*part].as_str()).collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_in_brackets() {
        assert_eq!(
            phones("+34 600 123 456 (mobile), 91 555"),
            json!([{"raw": "+34 600 123 456", "label": "mobile"}, {"raw": "91 555"}])
        );
        assert_eq!(emails("a@b.es,"), json!([{"address": "a@b.es"}]));
        assert_eq!(show(&phones("1 (x), 2"), |item| show_labelled(item, "raw")), "1 (x), 2");
    }

    #[test]
    fn an_address_is_typed_in_its_usual_order() {
        assert_eq!(
            addresses("Gran Vía 1; 28013; Madrid;; ES | Calle Sol 2"),
            json!([
                {"street": "Gran Vía 1", "postcode": "28013", "city": "Madrid", "country": "ES"},
                {"street": "Calle Sol 2"}
            ])
        );
    }

    #[test]
    fn broken_json_is_said_to_be_broken() {
        assert!(json_array("a,b").is_none());
        assert_eq!(json_array("[1]"), Some(Ok(json!([1]))));
        assert!(json_array("[1").expect("looks like JSON").is_err());
    }
}
