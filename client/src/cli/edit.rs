use serde_json::json;

use super::Done;
use super::arguments::{Checking, Delete, New, Set};
use super::console::Console;
use crate::device::{Assignment, Checks, Device, DeviceError, Queued, field_problem};
use crate::message::say;

pub fn set(device: &mut Device, arguments: &Set, console: &mut Console) -> Done {
    let changes = assignments(&arguments.changes)?;
    let queued = device.set(&arguments.record.entity, &arguments.record.id, &changes, checks(arguments.checking))?;
    report(&arguments.record.entity, &queued, console)
}

pub fn new(device: &mut Device, arguments: &New, console: &mut Console) -> Done {
    let values = assignments(&arguments.changes)?;
    let queued = device.create(&arguments.entity, &values, checks(arguments.checking))?;
    report(&arguments.entity, &queued, console)
}

pub fn delete(device: &mut Device, arguments: &Delete, console: &mut Console) -> Done {
    let queued = device.delete(&arguments.record.entity, &arguments.record.id, checks(arguments.checking))?;
    report(&arguments.record.entity, &queued, console)
}

fn assignments(texts: &[String]) -> Result<Vec<Assignment>, DeviceError> {
    texts.iter().map(|text| Assignment::parse(text).map_err(DeviceError::Usage)).collect()
}

fn checks(checking: Checking) -> Checks {
    if checking.unchecked { Checks::Skipped } else { Checks::Made }
}

fn report(entity: &str, queued: &Queued, console: &mut Console) -> Done {
    let language = console.language();
    if console.is_json() {
        let warnings: Vec<_> = queued.warnings.iter().map(|warning| field_problem(warning, language)).collect();
        return console.document(&json!({
            "entity": entity,
            "id": queued.record,
            "mutation": queued.mutation,
            "warnings": warnings,
        }));
    }
    for warning in &queued.warnings {
        console.say(&warning.message)?;
    }
    match queued.mutation {
        Some(mutation) => console.say(&say(
            format!("{entity} {}: cambio {mutation} en espera de la próxima sincronización.", queued.record),
            format!("{entity} {}: change {mutation} waits for the next sync.", queued.record),
        )),
        None => console.say(&say(
            format!("{entity} {}: ya estaba así.", queued.record),
            format!("{entity} {}: it was so already.", queued.record),
        )),
    }
}
