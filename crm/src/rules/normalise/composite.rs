//! Values that are lists and objects.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::Finding;
use super::super::message::{self, Shape};
use super::scalar::{canonical_email, canonical_id, instant, one_line, several_lines};
use crate::model::Field;

/// Members that a list may have: far beyond what a person keeps, far below what hurts a device.
const MEMBERS_MAX: usize = 1_000;

/// Characters of one part of a phone or an address.
const PART_MAX: usize = 500;

/// A sorted list of distinct texts.
pub(super) fn set(
    field: &Field,
    value: Value,
    shape: &Shape,
    mut member: impl FnMut(&str) -> Result<Option<String>, Finding>,
) -> Result<Value, Finding> {
    let members = list(field, value, shape)?;
    let mut set = BTreeSet::new();
    for (at, value) in members.into_iter().enumerate() {
        let Value::String(text) = value else { return Err(at_member(message::wrong_type(field, shape), at)) };
        set.extend(member(&text).map_err(|finding| at_member(finding, at))?);
    }
    Ok(non_empty(set.into_iter().map(Value::String).collect()))
}

pub(super) fn link_to_one_of(field: &Field, value: Value, to: &[String]) -> Result<Value, Finding> {
    let wrong = || message::wrong_link(field, to);
    let Value::Object(link) = value else { return Err(wrong()) };
    let text = |key| link.get(key).and_then(Value::as_str);
    let (Some(entity), Some(id)) = (text("entity"), text("id")) else { return Err(wrong()) };
    if !to.iter().any(|target| target == entity) {
        return Err(wrong());
    }
    Ok(object([("entity", Value::from(entity)), ("id", Value::from(canonical_id(field, id)?))]))
}

pub(super) fn money(field: &Field, value: Value) -> Result<Value, Finding> {
    let wrong = || message::wrong_type(field, &message::MONEY);
    let Value::Object(money) = value else { return Err(wrong()) };
    let minor = money.get("minor").and_then(Value::as_i64).ok_or_else(wrong)?;
    let currency = money.get("currency").and_then(Value::as_str).ok_or_else(wrong)?.trim().to_ascii_uppercase();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(message::not_a_currency(field, &currency));
    }
    if !(-super::INTEGER_MAX..=super::INTEGER_MAX).contains(&minor) {
        return Err(message::out_of_range(field, -super::INTEGER_MAX, super::INTEGER_MAX));
    }
    Ok(object([("currency", Value::from(currency)), ("minor", Value::from(minor))]))
}

pub(super) fn emails(field: &Field, value: Value) -> Result<Value, Finding> {
    let mut seen = BTreeSet::new();
    members(field, value, &message::EMAILS, |entry| {
        let written = entry.text("address")?;
        if written.is_empty() {
            return Ok(None);
        }
        let Some(address) = canonical_email(&written) else {
            return Err(entry.wrong("address", message::not_an_email(field, &written)));
        };
        if !seen.insert(address.clone()) {
            return Ok(None);
        }
        Ok(Some(entry.labelled([("address", Value::from(address))])?))
    })
}

pub(super) fn phones(field: &Field, value: Value) -> Result<Value, Finding> {
    let mut seen = BTreeSet::new();
    members(field, value, &message::PHONES, |entry| {
        let e164 = entry.text("e164")?;
        let raw = Some(entry.text("raw")?).filter(|raw| !raw.is_empty()).unwrap_or_else(|| e164.clone());
        if raw.is_empty() {
            return Ok(None);
        }
        if !e164.is_empty() && !is_e164(&e164) {
            return Err(entry.wrong("e164", message::not_e164(field, &e164)));
        }
        let identity = if e164.is_empty() { raw.clone() } else { e164.clone() };
        if !seen.insert(identity) {
            return Ok(None);
        }
        let e164 = (!e164.is_empty()).then(|| ("e164", Value::from(e164)));
        Ok(Some(entry.labelled(e164.into_iter().chain([("raw", Value::from(raw))]))?))
    })
}

pub(super) fn addresses(field: &Field, value: Value) -> Result<Value, Finding> {
    let mut seen = Vec::new();
    members(field, value, &message::ADDRESSES, |entry| {
        let mut parts = Vec::new();
        for key in ["street", "postcode", "city", "region"] {
            let text = entry.text(key)?;
            if !text.is_empty() {
                parts.push((key, Value::from(text)));
            }
        }
        let mut country = entry.text("country")?;
        if country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            country.make_ascii_uppercase();
        }
        if !country.is_empty() {
            parts.push(("country", Value::from(country)));
        }
        if parts.is_empty() {
            return Ok(None);
        }
        for (key, degrees) in [("lat", 90), ("lon", 180)] {
            parts.extend(entry.coordinate(key, degrees * 10_000_000)?.map(|at| (key, at)));
        }
        let address = entry.labelled(parts)?;
        if seen.contains(&address) {
            return Ok(None);
        }
        seen.push(address.clone());
        Ok(Some(address))
    })
}

pub(super) fn log(field: &Field, value: Value) -> Result<Value, Finding> {
    members(field, value, &message::LOG, |entry| {
        let wrong = || entry.wrong("at", message::wrong_type(field, &message::LOG));
        let at = entry.object.get("at").and_then(instant).ok_or_else(wrong)?;
        let text = entry.object.get("text").and_then(Value::as_str).map(several_lines).unwrap_or_default();
        Ok((!text.is_empty()).then(|| object([("at", Value::from(at)), ("text", Value::from(text))])))
    })
}

/// One member of a list of objects.
struct Entry<'a> {
    field: &'a Field,
    at: usize,
    object: Map<String, Value>,
}

impl Entry<'_> {
    /// The text under `key`, in one line; empty when it is absent. Addresses are written over several lines, so a
    /// line break becomes a comma.
    fn text(&self, key: &str) -> Result<String, Finding> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
                let text = one_line(lines.join(", "));
                if text.chars().nth(PART_MAX).is_some() {
                    return Err(self.wrong(key, message::too_long(self.field, PART_MAX)));
                }
                Ok(text)
            }
            Some(_) => Err(self.wrong(key, message::wrong_type(self.field, &message::TEXT))),
        }
    }

    fn coordinate(&self, key: &str, limit: i64) -> Result<Option<Value>, Finding> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_i64() {
                Some(at) if (-limit..=limit).contains(&at) => Ok(Some(Value::from(at))),
                _ => Err(self.wrong(key, message::out_of_range(self.field, -limit, limit))),
            },
        }
    }

    /// The parts with the member's label, if it has one.
    fn labelled<'b>(&self, parts: impl IntoIterator<Item = (&'b str, Value)>) -> Result<Value, Finding> {
        let label = self.text("label")?;
        let label = (!label.is_empty()).then(|| ("label", Value::from(label)));
        Ok(object(parts.into_iter().chain(label)))
    }

    fn wrong(&self, key: &str, finding: Finding) -> Finding {
        Finding { field: format!("{}[{}].{key}", self.field.name, self.at), ..finding }
    }
}

fn members(
    field: &Field,
    value: Value,
    shape: &Shape,
    mut member: impl FnMut(Entry) -> Result<Option<Value>, Finding>,
) -> Result<Value, Finding> {
    let mut kept = Vec::new();
    for (at, value) in list(field, value, shape)?.into_iter().enumerate() {
        let Value::Object(object) = value else { return Err(at_member(message::wrong_type(field, shape), at)) };
        kept.extend(member(Entry { field, at, object })?);
    }
    Ok(non_empty(kept))
}

pub(super) fn list(field: &Field, value: Value, shape: &Shape) -> Result<Vec<Value>, Finding> {
    match value {
        Value::Array(members) if members.len() <= MEMBERS_MAX => Ok(members),
        Value::Array(_) => Err(message::too_many(field, MEMBERS_MAX)),
        _ => Err(message::wrong_type(field, shape)),
    }
}

pub(super) fn at_member(finding: Finding, at: usize) -> Finding {
    Finding { field: format!("{}[{at}]", finding.field), ..finding }
}

pub(super) fn non_empty(members: Vec<Value>) -> Value {
    if members.is_empty() { Value::Null } else { Value::Array(members) }
}

pub(super) fn object<'a>(parts: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// `+`, a country code, at most 15 digits.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (4..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
