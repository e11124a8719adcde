use crm::model::FieldKind;
use phonenumber::{Mode, country};
use serde_json::{Map, Value, json};

use super::Locale;

/// The country of an ISO 3166-1 code of two letters.
#[must_use]
pub fn country_of(code: &str) -> Option<country::Id> {
    code.trim().to_ascii_uppercase().parse().ok()
}

/// Numbers separated by semicolons, commas or line breaks, each with its label in brackets behind it or `label`.
pub(super) fn phones(text: &str, label: Option<&str>, locale: &Locale) -> Value {
    let members = members(text).map(|(raw, own)| with_number(labelled("raw", raw, own.or(label)), locale));
    Value::Array(members.collect())
}

/// Addresses, in the same form; `Name <address>` is the address.
pub(super) fn emails(text: &str, label: Option<&str>) -> Value {
    let members = members(text).map(|(member, own)| {
        let address = member.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or(member);
        labelled("address", address.trim(), own.or(label))
    });
    Value::Array(members.collect())
}

/// Addresses as the export writes them, `street: …; city: …` on a line each; any other text is a street.
pub(super) fn addresses(text: &str) -> Value {
    const KEYS: [&str; 8] = ["street", "postcode", "city", "region", "country", "lat", "lon", "label"];
    let mut addresses = Vec::new();
    let mut free = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let parts: Option<Map<String, Value>> = line
            .split("; ")
            .map(|part| {
                let (key, value) = part.split_once(": ")?;
                let value = value.replace("\\;", ";");
                let number = matches!(key, "lat" | "lon").then(|| value.parse::<i64>().ok()).flatten();
                KEYS.contains(&key)
                    .then(|| (key.to_owned(), number.map_or_else(|| json!(value), |number| json!(number))))
            })
            .collect();
        match parts {
            Some(parts) => addresses.push(Value::Object(parts)),
            None => free.push(line),
        }
    }
    if !free.is_empty() {
        addresses.push(json!({"street": free.join(", ")}));
    }
    Value::Array(addresses)
}

/// Gives each telephone number that a reader built its international form.
pub(super) fn with_e164(kind: &FieldKind, value: Value, locale: &Locale) -> Value {
    match (kind, value) {
        (FieldKind::Phones, Value::Array(members)) => {
            Value::Array(members.into_iter().map(|member| with_number(member, locale)).collect())
        }
        (FieldKind::Text { .. } | FieldKind::LongText, Value::Array(members)) => {
            let texts: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
            json!(texts.join("; "))
        }
        (_, value) => value,
    }
}

fn with_number(mut member: Value, locale: &Locale) -> Value {
    let number = member["raw"].as_str().and_then(|raw| e164(raw, locale.country));
    if let (Some(number), Some(member)) = (number, member.as_object_mut()) {
        member.insert("e164".to_owned(), json!(number));
    }
    member
}

/// The number in international form, if it is a number that can be dialled.
fn e164(raw: &str, country: Option<country::Id>) -> Option<String> {
    let mut digits: String =
        raw.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '(' | ')' | '.' | '-' | '/')).collect();
    if let Some(rest) = digits.strip_prefix("00") {
        digits = format!("+{rest}");
    }
    // The parser gets digits only: what else people write beside a number is no business of its.
    let bare = digits.strip_prefix('+').unwrap_or(&digits);
    if !(4..=17).contains(&bare.len()) || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = phonenumber::parse(country, &digits).ok()?;
    phonenumber::is_valid(&number).then(|| number.format().mode(Mode::E164).to_string())
}

/// The parts of a text, and the label that stands in brackets behind one.
fn members(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split([';', ',', '\n']).map(str::trim).filter(|member| !member.is_empty()).map(|member| {
        let labelled = member.strip_suffix(')').and_then(|rest| rest.rsplit_once(" ("));
        match labelled {
            Some((value, label)) if label.contains(char::is_alphabetic) => (value.trim(), Some(label.trim())),
            _ => (member, None),
        }
    })
}

fn labelled(key: &str, value: &str, label: Option<&str>) -> Value {
    let mut member = Map::from_iter([(key.to_owned(), json!(value))]);
    if let Some(label) = label {
        member.insert("label".to_owned(), json!(label));
    }
    Value::Object(member)
}
