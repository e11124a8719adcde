use serde_json::json;
use sync_protocol::wire::{FieldOperation, Mutation, MutationKind};

use super::Done;
use super::console::Console;
use super::table::Table;
use crate::device::Device;
use crate::message::say;
use crate::value::{Titles, show_datetime};

pub fn run(device: &Device, console: &mut Console) -> Done {
    let outbox = &device.saved().outbox;
    if console.is_json() {
        return console.document(&json!({"count": outbox.len(), "mutations": outbox}));
    }
    let mut table = Table::new(["n", "", "entity", "record", ""]);
    for mutation in outbox {
        table.row([
            mutation.id.to_string(),
            verb(mutation).to_owned(),
            mutation.entity.clone(),
            device.title(&mutation.record.to_string()).unwrap_or_else(|| mutation.record.to_string()),
            fields(mutation),
            show_datetime(mutation.at_ms).unwrap_or_default(),
        ]);
    }
    console.table(&table)?;
    console.say(&say(format!("{} cambios en espera.", outbox.len()), format!("{} changes wait.", outbox.len())))
}

pub fn verb(mutation: &Mutation) -> &'static str {
    match mutation.kind {
        MutationKind::Create => "create",
        MutationKind::Update => "update",
        MutationKind::Delete => "delete",
    }
}

/// The names of the fields that a mutation is about.
fn fields(mutation: &Mutation) -> String {
    let set = mutation.set.keys().map(String::as_str);
    let named: Vec<&str> = set.chain(mutation.ops.iter().map(FieldOperation::field)).collect();
    named.join(", ")
}
