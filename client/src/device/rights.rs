//! What the user may do, as far as the device can tell; the server has the last word.

use crm::Fields;
use crm::model::{Entity, Label, Level, Permission};
use crm::rules::{Place, Viewer, reaches};
use serde_json::Value;
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::{Device, DeviceError};
use crate::message::say;

impl Device {
    /// The key of the user's role: the model that the server sends has only that role's permissions.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        let mut entities = self.model.as_ref()?.entities.values();
        entities.find_map(|entity| entity.permissions.keys().next()).map(String::as_str)
    }

    pub(super) fn may_update(&self, entity: &Entity, before: &Fields) -> Result<(), DeviceError> {
        let reaches = self.reaches(permission(entity).update, before)?;
        permit(entity, reaches, || {
            say(
                format!("No puedes cambiar este registro de {}.", entity.labels.es[1]),
                format!("You may not change this {}.", entity.labels.en[0]),
            )
        })
    }

    pub(super) fn may_delete(&self, entity: &Entity, before: &Fields) -> Result<(), DeviceError> {
        let reaches = self.reaches(permission(entity).delete, before)?;
        permit(entity, reaches, || {
            say(
                format!("No puedes borrar este registro de {}.", entity.labels.es[1]),
                format!("You may not delete this {}.", entity.labels.en[0]),
            )
        })
    }

    fn reaches(&self, level: Level, record: &Fields) -> Result<bool, DeviceError> {
        Ok(reaches(level, &self.viewer()?, &Place::of(record)))
    }

    /// The user with her teams and territories, from the records on the device.
    fn viewer(&self) -> Result<Viewer, DeviceError> {
        let user = self.identity.user;
        let own_team = self.store.view(user)?.and_then(|user| link(&user.fields, "team"));
        let mut teams: Vec<Uuid> = own_team.into_iter().collect();
        let mut territories: Vec<Uuid> = Vec::new();
        for team in self.all("team")? {
            let is_managed = link(&team.fields, "manager") == Some(user.0);
            if is_managed && !teams.contains(&team.id.0) {
                teams.push(team.id.0);
            }
        }
        for team in &teams {
            let team = self.store.view(RecordId(*team))?;
            territories.extend(team.and_then(|team| link(&team.fields, "territory")));
        }
        let tree = self.all("territory")?;
        let mut next = 0;
        while let Some(above) = territories.get(next).copied() {
            let below = tree.iter().filter(|territory| link(&territory.fields, "parent") == Some(above));
            let below: Vec<Uuid> = below.map(|territory| territory.id.0).collect();
            territories.extend(below.into_iter().filter(|id| !territories.contains(id)).collect::<Vec<_>>());
            next += 1;
        }
        Ok(Viewer { user: user.0, role: self.role().unwrap_or_default().to_owned(), teams, territories })
    }
}

pub(super) fn may_create(entity: &Entity) -> Result<(), DeviceError> {
    permit(entity, permission(entity).create, || {
        say(
            format!("No puedes crear registros de {}.", entity.labels.es[1]),
            format!("You may not make any {}.", entity.labels.en[1]),
        )
    })
}

/// The one permission of the user's role; nothing, if the model has none.
fn permission(entity: &Entity) -> Permission {
    entity.permissions.values().next().cloned().unwrap_or_default()
}

fn permit(entity: &Entity, may: bool, attempt: impl FnOnce() -> Label) -> Result<(), DeviceError> {
    if may { Ok(()) } else { Err(DeviceError::Forbidden { entity: entity.name.clone(), attempt: attempt() }) }
}

fn link(fields: &Fields, name: &str) -> Option<Uuid> {
    fields.get(name).and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok())
}
