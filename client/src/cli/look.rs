use crm::model::{Entity, Field, Language};
use serde::Serialize;
use serde_json::Value;

use super::Done;
use super::arguments::{List, One, Search, Sum};
use super::console::Console;
use super::table::Table;
use crate::device::{Device, DeviceError, Query, Record};
use crate::message::say;
use crate::value::{show as show_value, show_sum};

#[derive(Serialize)]
struct Listing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<&'a str>,
    count: usize,
    records: &'a [Record],
}

pub fn list(device: &Device, arguments: List, console: &mut Console) -> Done {
    let entity = device.entity(&arguments.entity)?;
    let fields = arguments.fields.map(|fields| trimmed(&fields));
    for field in fields.iter().flatten() {
        known(entity, field)?;
    }
    let query = Query { condition: arguments.condition.as_deref(), limit: arguments.limit };
    let mut records = device.list(&entity.name, query)?;
    if console.is_json() {
        if let Some(fields) = &fields {
            for record in &mut records {
                record.fields.retain(|name, _| fields.contains(name));
            }
        }
        return console.document(&Listing { entity: Some(&entity.name), count: records.len(), records: &records });
    }
    let fields = fields.unwrap_or_else(|| listed(entity));
    let language = console.language();
    let labels =
        fields.iter().filter_map(|name| entity.field(name)).map(|field| field.labels.text(language).to_owned());
    let mut table = Table::new(std::iter::once(String::new()).chain(["id".to_owned()]).chain(labels));
    for record in &records {
        let cells = fields
            .iter()
            .filter_map(|name| entity.field(name))
            .map(|field| cell(device, entity, field, record, language));
        table.row([mark(record).to_owned(), record.id.to_string()].into_iter().chain(cells));
    }
    console.table(&table)?;
    count(records.len(), console)
}

pub fn show(device: &Device, arguments: &One, console: &mut Console) -> Done {
    let entity = device.entity(&arguments.entity)?;
    let record = device.show(&arguments.entity, &arguments.id)?;
    if console.is_json() {
        return console.document(&record);
    }
    let language = console.language();
    console.line(&format!("{} «{}» {} (seq {})", entity.labels.one(language), record.title, record.id, record.seq))?;
    for (name, value) in &record.fields {
        let (label, text) = match entity.field(name) {
            Some(field) => (field.labels.text(language), cell(device, entity, field, &record, language)),
            // From a newer model than this device knows.
            None => (name.as_str(), value.to_string()),
        };
        let unsent = if record.unsent.contains(name) { "* " } else { "  " };
        console.line(&format!("{unsent}{label}: {text}"))?;
    }
    if !record.unsent.is_empty() {
        console.say(&say("* aún sin enviar", "* not sent yet"))?;
    }
    Ok(())
}

pub fn search(device: &Device, arguments: &Search, console: &mut Console) -> Done {
    let records = device.search(&arguments.text.join(" "), arguments.limit)?;
    if console.is_json() {
        return console.document(&Listing { entity: None, count: records.len(), records: &records });
    }
    let language = console.language();
    let mut table = Table::new(["", "entity", "id", ""]);
    for record in &records {
        let kind = device.entity(&record.entity).map(|entity| entity.labels.one(language).to_owned());
        let kind = kind.unwrap_or_else(|_| record.entity.clone());
        table.row([mark(record).to_owned(), kind, record.id.to_string(), record.title.clone()]);
    }
    console.table(&table)?;
    count(records.len(), console)
}

pub fn sum(device: &Device, arguments: &Sum, console: &mut Console) -> Done {
    let sum = device.sum(&arguments.entity, &arguments.field, arguments.condition.as_deref())?;
    if console.is_json() {
        return console.document(&sum);
    }
    let entity = device.entity(&arguments.entity)?;
    let field = known(entity, &arguments.field)?;
    for (currency, total) in &sum.sums {
        console.line(&show_sum(&field.kind, currency, *total))?;
    }
    console.say(&say(
        format!("{} registros, {} con {}.", sum.records, sum.filled, field.labels.es),
        format!("{} records, {} with {}.", sum.records, sum.filled, field.labels.en),
    ))
}

fn count(records: usize, console: &mut Console) -> Done {
    console.say(&say(format!("{records} registros."), format!("{records} records.")))
}

/// What stands before a record with unsent changes.
fn mark(record: &Record) -> &'static str {
    if record.unsent.is_empty() { "" } else { "*" }
}

fn cell(device: &Device, entity: &Entity, field: &Field, record: &Record, language: Language) -> String {
    match record.fields.get(&field.name) {
        None | Some(Value::Null) => String::new(),
        Some(value) => show_value(entity, field, value, device, language),
    }
}

/// The fields that the model's list layout shows, else the title.
fn listed(entity: &Entity) -> Vec<String> {
    entity.layouts.get("list").cloned().unwrap_or_else(|| vec![entity.title.clone()])
}

fn trimmed(fields: &[String]) -> Vec<String> {
    fields.iter().map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect()
}

fn known<'a>(entity: &'a Entity, field: &str) -> Result<&'a Field, DeviceError> {
    let unknown = || DeviceError::UnknownField { entity: entity.name.clone(), field: field.to_owned() };
    entity.field(field).ok_or_else(unknown)
}
