use crm::model::{Entity, EnumOption, Field, FieldKind, Language, Pipeline};
use serde_json::Value;

use super::{calendar, list, money, number};

/// Where ids become the titles that people read.
pub trait Titles {
    /// The title of the record, when the device has it.
    fn title(&self, id: &str) -> Option<String>;
}

/// A value as a person reads it.
#[must_use]
pub fn show(entity: &Entity, field: &Field, value: &Value, titles: &dyn Titles, language: Language) -> String {
    let text = match &field.kind {
        FieldKind::Text { .. } | FieldKind::LongText | FieldKind::Email | FieldKind::Url | FieldKind::Number => {
            value.as_str().map(str::to_owned)
        }
        FieldKind::Integer { .. } => value.as_i64().map(|number| number.to_string()),
        FieldKind::Percent => value.as_i64().map(|number| format!("{number} %")),
        FieldKind::Decimal { scale } => value.as_i64().map(|number| number::unscaled(number.into(), *scale)),
        FieldKind::Boolean => value.as_bool().map(|yes| yes_or_no(yes, language).to_owned()),
        FieldKind::Money => money::show(value),
        FieldKind::Date => value.as_str().map(str::to_owned),
        FieldKind::Datetime => value.as_i64().and_then(calendar::show_datetime),
        FieldKind::Enum { options } => Some(option(options, value, language)),
        FieldKind::Enums { options } => Some(list::show(value, |item| option(options, item, language))),
        FieldKind::Stage { pipeline, .. } => Some(stage(entity.pipelines.get(pipeline), value, language)),
        FieldKind::Link { .. } => Some(link(value, titles)),
        FieldKind::Links { .. } => Some(list::show(value, |item| link(item, titles))),
        FieldKind::Tags => Some(list::show(value, |item| item.as_str().unwrap_or_default().to_owned())),
        FieldKind::Emails => Some(list::show(value, |item| list::show_labelled(item, "address"))),
        FieldKind::Phones => Some(list::show(value, |item| list::show_labelled(item, "raw"))),
        FieldKind::Addresses => Some(list::show(value, list::show_address)),
        FieldKind::Log => Some(log(value)),
        FieldKind::Blob { .. } => Some(blob(value)),
        FieldKind::Blobs { .. } => Some(list::show(value, blob)),
    };
    // A value of another shape, from a newer model, is better shown raw than not at all.
    text.unwrap_or_else(|| value.to_string())
}

/// A sum over a field of that kind as a person reads it.
#[must_use]
pub fn show_sum(kind: &FieldKind, currency: &str, total: i128) -> String {
    match kind {
        FieldKind::Money => format!("{} {currency}", number::unscaled(total, money::decimals(currency))),
        FieldKind::Decimal { scale } => number::unscaled(total, *scale),
        _ => total.to_string(),
    }
}

fn yes_or_no(yes: bool, language: Language) -> &'static str {
    match (yes, language) {
        (true, Language::Es) => "sí",
        (true, Language::En) => "yes",
        (false, _) => "no",
    }
}

fn option(options: &[EnumOption], value: &Value, language: Language) -> String {
    let key = value.as_str().unwrap_or_default();
    let option = options.iter().find(|option| option.key == key);
    option.map_or(key, |option| option.labels.text(language)).to_owned()
}

fn stage(pipeline: Option<&Pipeline>, value: &Value, language: Language) -> String {
    let key = value.as_str().unwrap_or_default();
    pipeline.and_then(|pipeline| pipeline.stage(key)).map_or(key, |stage| stage.labels.text(language)).to_owned()
}

fn link(value: &Value, titles: &dyn Titles) -> String {
    let id = value["id"].as_str().or(value.as_str()).unwrap_or_default();
    titles.title(id).unwrap_or_else(|| id.to_owned())
}

/// `plan.pdf (12345 B)`
fn blob(value: &Value) -> String {
    format!("{} ({} B)", value["name"].as_str().unwrap_or_default(), value["size"].as_u64().unwrap_or_default())
}

fn log(value: &Value) -> String {
    let entry = |entry: &Value| {
        let at = entry["at"].as_i64().and_then(calendar::show_datetime).unwrap_or_default();
        format!("[{at}] {}", entry["text"].as_str().unwrap_or_default())
    };
    let entries: Vec<String> = value.as_array().into_iter().flatten().map(entry).collect();
    entries.join("\n")
}
