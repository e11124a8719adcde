use serde_json::json;
use sync_protocol::engine::Phase;

use super::Done;
use super::console::Console;
use super::table::Table;
use crate::device::Device;
use crate::message::say;
use crate::value::show_datetime;

pub fn run(device: &Device, console: &mut Console) -> Done {
    let (identity, state, position) = (device.identity(), device.state(), &device.saved().position);
    let counts = device.counts()?;
    if console.is_json() {
        return console.document(&json!({
            "server": identity.server,
            "device": identity.device,
            "name": identity.name,
            "user": identity.user,
            "email": identity.email,
            "tenant": identity.tenant,
            "role": device.role(),
            "model": position.model,
            "state": state,
            "records": counts,
        }));
    }
    console.line(&format!("{} · {} · {}", identity.name, identity.email, identity.server))?;
    console.say(&match state.phase {
        Phase::InStep => say("Al día con lo último que se recibió.", "In step as of the last sync."),
        Phase::Syncing => say("Sincronizando.", "Syncing."),
        Phase::Waiting => say("Hay algo en espera de sincronizar.", "Something waits for a sync."),
        Phase::NeedsAttention => say(
            "Hay cambios que necesitan atención: cartera-device conflicts.",
            "Changes need attention: cartera-device conflicts.",
        ),
        Phase::Offline { .. } => say("Sin conexión.", "Offline."),
    })?;
    let last = state.checkpoint_at_ms.and_then(show_datetime);
    console.say(&say(
        format!("Última sincronización: {}; en espera: {}.", last.as_deref().unwrap_or("nunca"), state.waiting),
        format!("Last sync: {}; waiting: {}.", last.as_deref().unwrap_or("never"), state.waiting),
    ))?;
    let mut table = Table::new(["", ""]);
    for (entity, count) in counts {
        let label = device.entity(&entity).map(|entity| entity.labels.many(console.language()).to_owned());
        table.row([label.unwrap_or(entity), count.to_string()]);
    }
    console.table(&table)
}
