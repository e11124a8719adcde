//! Values that are one text, number or id.

use serde_json::Value;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use uuid::Uuid;

use super::super::{Finding, message};
use crate::model::Field;

/// Characters that a text of several lines may have.
const LONG_TEXT_MAX: usize = 65_536;

/// Characters that a tag may have.
const TAG_MAX: usize = 255;

/// Characters that an address may have, by RFC 5321.
const EMAIL_MAX: usize = 254;

/// Characters that a URL may have: what browsers take.
const URL_MAX: usize = 2_048;

/// The first and last milliseconds of the years 1 to 9999.
const DATETIME_MS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

pub(super) fn line(field: &Field, value: Value, max: usize) -> Result<Value, Finding> {
    let Value::String(text) = value else { return Err(message::wrong_type(field, &message::TEXT)) };
    let text = one_line(text);
    if text.chars().nth(max).is_some() {
        return Err(message::too_long(field, max));
    }
    Ok(non_empty(text))
}

pub(super) fn long_text(field: &Field, value: Value) -> Result<Value, Finding> {
    let Value::String(text) = value else { return Err(message::wrong_type(field, &message::TEXT)) };
    let text = several_lines(&text);
    if text.chars().nth(LONG_TEXT_MAX).is_some() {
        return Err(message::too_long(field, LONG_TEXT_MAX));
    }
    Ok(non_empty(text))
}

pub(super) fn integer(field: &Field, value: &Value, min: i64, max: i64) -> Result<Value, Finding> {
    let Some(number) = value.as_i64() else { return Err(message::wrong_type(field, &message::INTEGER)) };
    if (min..=max).contains(&number) { Ok(Value::from(number)) } else { Err(message::out_of_range(field, min, max)) }
}

pub(super) fn datetime(field: &Field, value: &Value) -> Result<Value, Finding> {
    instant(value).map(Value::from).ok_or_else(|| message::wrong_type(field, &message::DATETIME))
}

/// The milliseconds since 1970 of an instant of the years 1 to 9999.
pub(super) fn instant(value: &Value) -> Option<i64> {
    value.as_i64().filter(|at| DATETIME_MS.contains(at))
}

pub(super) fn date(field: &Field, value: Value) -> Result<Value, Finding> {
    match value {
        Value::String(text) if is_date(text.trim()) => Ok(Value::String(trimmed(text))),
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        _ => Err(message::wrong_type(field, &message::DATE)),
    }
}

pub(super) fn id(field: &Field, value: Value) -> Result<Value, Finding> {
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::String(text) => Ok(Value::String(canonical_id(field, &text)?)),
        _ => Err(message::wrong_type(field, &message::LINK)),
    }
}

/// The id in lowercase with hyphens.
pub(super) fn canonical_id(field: &Field, text: &str) -> Result<String, Finding> {
    Uuid::try_parse(text.trim())
        .map(|id| id.as_hyphenated().to_string())
        .map_err(|_| message::wrong_type(field, &message::LINK))
}

pub(super) fn tag(field: &Field, text: &str) -> Result<Option<String>, Finding> {
    let text = one_line(text.to_owned());
    if text.chars().nth(TAG_MAX).is_some() {
        return Err(message::too_long(field, TAG_MAX));
    }
    Ok((!text.is_empty()).then_some(text))
}

pub(super) fn email(field: &Field, value: Value) -> Result<Value, Finding> {
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::String(text) => match canonical_email(&text) {
            Some(address) => Ok(Value::String(address)),
            None => Err(message::not_an_email(field, &text)),
        },
        _ => Err(message::wrong_type(field, &message::TEXT)),
    }
}

/// The address in lowercase, if it has the form of one. Whether anybody reads it only a message tells.
pub(super) fn canonical_email(text: &str) -> Option<String> {
    let address = one_line(text.to_owned()).chars().flat_map(char::to_lowercase).nfc().collect::<String>();
    let (local, domain) = address.rsplit_once('@')?;
    let is_plain = !address.contains(|one: char| one.is_whitespace() || matches!(one, '<' | '>' | ',' | ';' | '"'))
        && !local.contains('@');
    let has_labels = domain.split('.').all(|label| !label.is_empty());
    (is_plain && has_labels && !local.is_empty() && address.chars().count() <= EMAIL_MAX).then_some(address)
}

pub(super) fn url(field: &Field, value: Value) -> Result<Value, Finding> {
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::String(text) => match canonical_url(&text) {
            Some(url) => Ok(Value::String(url)),
            None => Err(message::not_a_url(field, &text)),
        },
        _ => Err(message::wrong_type(field, &message::TEXT)),
    }
}

/// The URL with its scheme and host in lowercase; `www.company.com`, as people write it, gets `https`.
fn canonical_url(text: &str) -> Option<String> {
    let text = one_line(text.to_owned());
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("https".to_owned(), text.as_str()),
    };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let user = &authority[..authority.len() - host.len()];
    let is_well_formed = matches!(scheme.as_str(), "http" | "https")
        && !text.contains(char::is_whitespace)
        && host.starts_with(|first: char| first.is_alphanumeric() || first == '[')
        && (text.contains("://") || host.contains('.'));
    let url = format!("{scheme}://{user}{}{path}", host.to_lowercase()).nfc().collect::<String>();
    (is_well_formed && url.chars().count() <= URL_MAX).then_some(url)
}

/// Trimmed, composed, and without line breaks and control characters, which become spaces.
pub(super) fn one_line(text: String) -> String {
    let text = if text.contains(char::is_control) {
        text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    } else {
        text
    };
    trimmed(composed(text))
}

/// Composed, with `\n` as the only line break, and without trailing space and control characters.
pub(super) fn several_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.replace(|one: char| one.is_control() && one != '\n' && one != '\t', "");
    let text = composed(text);
    text.trim_end().trim_start_matches('\n').to_owned()
}

fn composed(text: String) -> String {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes { text } else { text.nfc().collect() }
}

fn trimmed(text: String) -> String {
    let kept = text.trim();
    if kept.len() == text.len() { text } else { kept.to_owned() }
}

fn non_empty(text: String) -> Value {
    if text.is_empty() { Value::Null } else { Value::String(text) }
}

/// `2026-11-22`, and a day that the calendar has.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_form = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<i16>().ok());
    let (Some(year), Some(month), Some(day), true) = (part(0..4), part(5..7), part(8..10), has_form) else {
        return false;
    };
    let small = |number: i16| i8::try_from(number).ok();
    let (Some(month), Some(day)) = (small(month), small(day)) else { return false };
    year >= 1 && jiff::civil::Date::new(year, month, day).is_ok()
}
