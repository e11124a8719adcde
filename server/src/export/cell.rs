use crm::Fields;
use crm::model::{Entity, EnumOption, Field, FieldKind, Language};
use jiff::Timestamp;
use serde_json::Value;

use super::column::{Column, Content};
use super::titles::Titles;
use super::{Links, Style};
use crate::import::read::Cell as Read;
use crate::import::value::{Locale, minor_digits, parse};

/// One cell, typed where the file types cells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Empty,
    Text(String),
    /// In units of 10^-`scale`.
    Number {
        units: i64,
        scale: u8,
    },
    Boolean(bool),
    /// `2026-11-22`
    Date(String),
    /// Milliseconds since the Unix epoch.
    Datetime(i64),
}

/// The cell of one column in one record.
pub(super) fn cell(entity: &Entity, column: &Column, id: &str, fields: &Fields, titles: &Titles, style: Style) -> Cell {
    match &column.content {
        Content::Id => Cell::Text(id.to_owned()),
        Content::CurrencyOf(field) => {
            fields.get(field).and_then(|amount| amount["currency"].as_str()).map_or(Cell::Empty, text)
        }
        Content::Field(field) => {
            fields.get(&field.name).map_or(Cell::Empty, |value| of_field(entity, field, value, titles, style))
        }
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn of_field(entity: &Entity, field: &Field, value: &Value, titles: &Titles, style: Style) -> Cell {
    let number = |scale| value.as_i64().map_or(Cell::Empty, |units| Cell::Number { units, scale });
    match &field.kind {
        FieldKind::Integer { .. } | FieldKind::Percent => number(0),
        FieldKind::Decimal { scale } => number(*scale),
        FieldKind::Money => {
            let scale = minor_digits(value["currency"].as_str().unwrap_or_default());
            value["minor"].as_i64().map_or(Cell::Empty, |units| Cell::Number { units, scale })
        }
        FieldKind::Boolean => value.as_bool().map_or(Cell::Empty, Cell::Boolean),
        FieldKind::Date => value.as_str().map_or(Cell::Empty, |date| Cell::Date(date.to_owned())),
        FieldKind::Datetime => value.as_i64().map_or(Cell::Empty, Cell::Datetime),
        FieldKind::Enum { options } => value.as_str().map_or(Cell::Empty, |key| text(option(key, options, style))),
        FieldKind::Enums { options } => {
            joined(strings(value).map(|key| option(key, options, style).to_owned()).collect())
        }
        FieldKind::Stage { pipeline, .. } => {
            let key = value.as_str().unwrap_or_default();
            let stage = entity.pipelines.get(pipeline).and_then(|pipeline| pipeline.stage(key));
            text(stage.zip(style.language).map_or(key, |(stage, language)| stage.labels.text(language)))
        }
        FieldKind::Link { .. } => link(value, titles, style).map_or(Cell::Empty, Cell::Text),
        FieldKind::Links { .. } => {
            let ends = value.as_array().into_iter().flatten();
            joined(ends.filter_map(|end| link(end, titles, style)).collect())
        }
        FieldKind::Tags => joined(strings(value).map(str::to_owned).collect()),
        FieldKind::Emails | FieldKind::Phones | FieldKind::Addresses | FieldKind::Log => composite(field, value, style),
        // The bytes stay on the server: hash, name, size and type are what a row can say.
        FieldKind::Blob { .. } | FieldKind::Blobs { .. } => Cell::Text(value.to_string()),
        FieldKind::Text { .. } | FieldKind::LongText | FieldKind::Email | FieldKind::Url | FieldKind::Number => {
            value.as_str().map_or(Cell::Empty, text)
        }
    }
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn option<'a>(key: &'a str, options: &'a [EnumOption], style: Style) -> &'a str {
    let found = options.iter().find(|option| option.key == key).zip(style.language);
    found.map_or(key, |(option, language)| option.labels.text(language))
}

/// Members with semicolons between them; as JSON where a member has in it what would separate it.
fn joined(members: Vec<String>) -> Cell {
    if members.is_empty() {
        return Cell::Empty;
    }
    let is_plain = |member: &String| !member.contains([';', ',', '|', '\n']) && !member.starts_with('[');
    if members.iter().all(is_plain) {
        return Cell::Text(members.join("; "));
    }
    Cell::Text(Value::from(members).to_string())
}

fn link(value: &Value, titles: &Titles, style: Style) -> Option<String> {
    let (id, entity) = match value {
        Value::Object(link) => (link.get("id")?.as_str()?, link.get("entity").and_then(Value::as_str)),
        other => (other.as_str()?, None),
    };
    let title = titles.of(id).filter(|_| style.links == Links::Titles);
    Some(match (title, entity) {
        (Some(title), Some(entity)) => format!("{entity}:{title}"),
        (Some(title), None) => title.to_owned(),
        // An id stands for itself, also where its title is not for the caller or is of several records.
        (None, Some(entity)) => format!("{entity}:{id}"),
        (None, None) => id.to_owned(),
    })
}

/// Lists of objects as people write them, where an import reads exactly that back; else as JSON.
fn composite(field: &Field, value: &Value, style: Style) -> Cell {
    let written = match field.kind {
        FieldKind::Phones => members(value, "raw"),
        FieldKind::Emails => members(value, "address"),
        FieldKind::Addresses => addresses(value),
        _ => entries(value),
    };
    let locale = Locale { currency: "EUR".to_owned(), country: None, decimal: None, order: None };
    let read_back = || parse(field, &Read::text(&written), &locale).ok();
    if !style.is_exact && read_back().is_some_and(|read| without_e164(&read) == without_e164(value)) {
        return Cell::Text(written);
    }
    Cell::Text(value.to_string())
}

/// The international form follows from the raw text and the country.
fn without_e164(value: &Value) -> Value {
    let mut value = value.clone();
    for member in value.as_array_mut().into_iter().flatten() {
        if let Some(member) = member.as_object_mut() {
            member.remove("e164");
        }
    }
    value
}

fn members(value: &Value, key: &str) -> String {
    let members = value.as_array().into_iter().flatten().filter_map(|member| {
        let text = member[key].as_str()?;
        Some(member["label"].as_str().map_or_else(|| text.to_owned(), |label| format!("{text} ({label})")))
    });
    members.collect::<Vec<_>>().join("; ")
}

fn addresses(value: &Value) -> String {
    let lines = value.as_array().into_iter().flatten().map(|address| {
        let parts =
            ["street", "postcode", "city", "region", "country", "lat", "lon", "label"].iter().filter_map(|key| {
                let text = match &address[*key] {
                    Value::String(text) => text.replace(';', "\\;"),
                    Value::Number(number) => number.to_string(),
                    _ => return None,
                };
                Some(format!("{key}: {text}"))
            });
        parts.collect::<Vec<_>>().join("; ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn entries(value: &Value) -> String {
    let lines = value.as_array().into_iter().flatten().filter_map(|entry| {
        let at = Timestamp::from_millisecond(entry["at"].as_i64()?).ok()?;
        Some(format!("{at} {}", entry["text"].as_str()?.replace('\n', "\\n")))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Digits with a decimal mark.
pub(super) fn decimal(units: i64, scale: u8, mark: char) -> String {
    if scale == 0 {
        return units.to_string();
    }
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, decimals) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{whole}{mark}{decimals}")
}

/// Truth in the words of a language.
pub(super) fn truth(value: bool, language: Option<Language>) -> &'static str {
    match (value, language) {
        (true, None) => "true",
        (false, None) => "false",
        (true, Some(Language::Es)) => "sí",
        (true, Some(Language::En)) => "yes",
        (false, Some(_)) => "no",
    }
}
