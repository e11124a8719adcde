use serde_json::{Value, json};
use sync_protocol::store::Attention;
use sync_protocol::wire::Fields;

use super::Done;
use super::console::Console;
use super::outbox::verb;
use crate::device::{Device, DeviceError};
use crate::message::say;
use crate::value::{Titles, show as show_value};

pub fn list(device: &Device, console: &mut Console) -> Done {
    if console.is_json() {
        let conflicts: Vec<Value> = device.attention().iter().map(document).collect();
        return console.document(&json!({"count": conflicts.len(), "conflicts": conflicts}));
    }
    for attention in device.attention() {
        print(device, attention, console)?;
    }
    let count = device.attention().len();
    console.say(&say(format!("{count} cambios necesitan atención."), format!("{count} changes need attention.")))
}

pub fn dismiss(device: &mut Device, number: u64, console: &mut Console) -> Done {
    if !device.dismiss(number)? {
        let id = number.to_string();
        return Err(DeviceError::NotFound { entity: "conflict".to_owned(), id }.into());
    }
    if console.is_json() {
        return console.document(&json!({"dismissed": number, "count": device.attention().len()}));
    }
    console.say(&say(format!("{number}: visto."), format!("{number}: seen.")))
}

fn document(attention: &Attention) -> Value {
    let Attention { mutation, outcome, at_ms } = attention;
    json!({
        "number": mutation.id,
        "verdict": outcome.verdict,
        "kind": mutation.kind,
        "entity": mutation.entity,
        "id": mutation.record,
        "seq": outcome.seq,
        "reason": outcome.reason,
        "lost": attention.lost(),
        "server": outcome.server,
        "mutation": mutation,
        "at_ms": at_ms,
    })
}

fn print(device: &Device, attention: &Attention, console: &mut Console) -> Done {
    let Attention { mutation, outcome, .. } = attention;
    let title = device.title(&mutation.record.to_string()).unwrap_or_else(|| mutation.record.to_string());
    console.line(&format!("{} {} {} «{title}»", mutation.id, verb(mutation), mutation.entity))?;
    if let Some(reason) = &outcome.reason {
        console.line(&format!("  {}", reason.message))?;
        for field in &reason.fields {
            console.line(&format!("  {}: {}", field.field, field.message))?;
        }
    }
    for (name, lost) in attention.lost() {
        let lost = text(device, &mutation.entity, &name, &lost, console);
        let server =
            value_of(&outcome.server, &name).map(|value| text(device, &mutation.entity, &name, value, console));
        let server = server.unwrap_or_else(|| "—".to_owned());
        console.say(&say(
            format!("  {name}: tu valor {lost}; en el servidor {server}"),
            format!("  {name}: your value {lost}; the server's {server}"),
        ))?;
    }
    Ok(())
}

fn value_of<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text(device: &Device, entity: &str, name: &str, value: &Value, console: &Console) -> String {
    let entity = device.entity(entity).ok();
    match entity.and_then(|entity| Some((entity, entity.field(name)?))) {
        Some((entity, field)) if !value.is_null() => show_value(entity, field, value, device, console.language()),
        _ => value.to_string(),
    }
}
