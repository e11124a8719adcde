//! Users, teams, territories and roles in memory: what decides whose record it is and who may see it.
//!
//! They are records like all others; the directory is their digest, changed in the commit that changes them.

use std::collections::HashMap;

use crm::Fields;
use crm::model::Language;
use crm::rules::{Place, Viewer};
use serde::Deserialize;
use serde_json::Value;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::record::catalogue::Catalogue;

/// A user record's digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Full name.
    pub name: String,
    /// Sign-in address; an imported agent may have none.
    pub email: Option<String>,
    /// The role record.
    pub role: Option<Uuid>,
    /// The user's own team.
    pub team: Option<Uuid>,
    /// What she reads, where her record says so.
    pub language: Option<Language>,
    /// May sign in.
    pub active: bool,
}

/// A team record's digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    /// A member of the team, whatever the user record says.
    pub manager: Option<Uuid>,
    /// Where the team works.
    pub territory: Option<Uuid>,
}

/// Who is who.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    users: HashMap<Uuid, User>,
    teams: HashMap<Uuid, Team>,
    /// Territory to its parent.
    territories: HashMap<Uuid, Option<Uuid>>,
    /// Role record to the role's key.
    roles: HashMap<Uuid, String>,
}

/// The entities whose records the directory follows.
pub const ENTITIES: [&str; 4] = ["user", "team", "territory", "role"];

impl Directory {
    /// Reads all that it follows.
    ///
    /// # Errors
    /// When the database does not answer, or holds a body that is not JSON.
    pub async fn load(catalogue: &Catalogue, connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut directory = Self::default();
        for entity in ENTITIES {
            let Some((_, code)) = catalogue.entity(entity) else { continue };
            let rows: Vec<(Uuid, sqlx::types::Json<Fields>)> =
                sqlx::query_as("SELECT id, body FROM record WHERE entity = $1")
                    .bind(code)
                    .fetch_all(&mut *connection)
                    .await?;
            for (id, fields) in rows {
                directory.put(entity, id, &fields.0);
            }
        }
        Ok(directory)
    }

    /// Whether records of `entity` change the directory.
    #[must_use]
    pub fn follows(entity: &str) -> bool {
        ENTITIES.contains(&entity)
    }

    /// Takes over a record as it is now; an entity that the directory does not follow changes nothing.
    pub fn put(&mut self, entity: &str, id: Uuid, fields: &Fields) {
        match entity {
            "user" => {
                let user = User {
                    name: text(fields, "name").unwrap_or_default(),
                    email: text(fields, "email"),
                    role: link(fields, "role"),
                    team: link(fields, "team"),
                    language: fields.get("locale").and_then(|locale| Language::deserialize(locale).ok()),
                    active: fields.get("active") != Some(&Value::Bool(false)),
                };
                self.users.insert(id, user);
            }
            "team" => {
                let team = Team { manager: link(fields, "manager"), territory: link(fields, "territory") };
                self.teams.insert(id, team);
            }
            "territory" => {
                self.territories.insert(id, link(fields, "parent"));
            }
            "role" => {
                self.roles.insert(id, text(fields, "key").unwrap_or_default());
            }
            _ => {}
        }
    }

    /// Forgets a deleted record.
    pub fn remove(&mut self, entity: &str, id: Uuid) {
        match entity {
            "user" => drop(self.users.remove(&id)),
            "team" => drop(self.teams.remove(&id)),
            "territory" => drop(self.territories.remove(&id)),
            "role" => drop(self.roles.remove(&id)),
            _ => {}
        }
    }

    /// All users, in no order.
    pub fn users(&self) -> impl Iterator<Item = (Uuid, &User)> {
        self.users.iter().map(|(id, user)| (*id, user))
    }

    /// The user of that record id.
    #[must_use]
    pub fn user(&self, id: Uuid) -> Option<&User> {
        self.users.get(&id)
    }

    /// The user who signs in with that address; addresses are compared in lower case.
    #[must_use]
    pub fn user_by_email(&self, email: &str) -> Option<(Uuid, &User)> {
        let email = email.trim().to_lowercase();
        self.users
            .iter()
            .find(|(_, user)| user.email.as_deref().is_some_and(|own| own.to_lowercase() == email))
            .map(|(id, user)| (*id, user))
    }

    /// Whether she may sign in, once she has a password: she is active, and has an address and a role.
    #[must_use]
    pub fn may_sign_in(&self, id: Uuid) -> bool {
        let has_role = |user: &User| user.role.is_some_and(|role| self.roles.contains_key(&role));
        self.users.get(&id).is_some_and(|user| user.active && user.email.is_some() && has_role(user))
    }

    /// How many may sign in.
    #[must_use]
    pub fn signing_in(&self) -> usize {
        self.users.keys().filter(|id| self.may_sign_in(**id)).count()
    }

    /// The record of the role with that key.
    #[must_use]
    pub fn role_by_key(&self, key: &str) -> Option<Uuid> {
        self.roles.iter().find(|(_, own)| *own == key).map(|(id, _)| *id)
    }

    /// The keys of all roles, sorted.
    #[must_use]
    pub fn role_keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.roles.values().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// The user's role, teams and territories; `None` when there is no such user or the role is gone.
    #[must_use]
    pub fn viewer(&self, id: Uuid) -> Option<Viewer> {
        let user = self.users.get(&id)?;
        let role = self.roles.get(&user.role?)?.clone();
        let mut teams: Vec<Uuid> = self
            .teams
            .iter()
            .filter(|(team, digest)| user.team == Some(**team) || digest.manager == Some(id))
            .map(|(team, _)| *team)
            .collect();
        teams.sort_unstable();
        let held: Vec<Uuid> = teams.iter().filter_map(|team| self.teams[team].territory).collect();
        let mut territories: Vec<Uuid> =
            self.territories.keys().filter(|territory| self.lies_in(**territory, &held)).copied().collect();
        territories.sort_unstable();
        Some(Viewer { user: id, role, teams, territories })
    }

    /// Where a record stands whose owner is `owner`: in her team, and in that team's territory.
    #[must_use]
    pub fn place_of_owner(&self, owner: Uuid) -> Place {
        let team = self
            .users
            .get(&owner)
            .and_then(|user| user.team)
            .or_else(|| self.teams.iter().filter(|(_, team)| team.manager == Some(owner)).map(|(id, _)| *id).min());
        let territory = team.and_then(|team| self.territory_of_team(team));
        Place { owner: Some(owner), team, territory, shared: Vec::new() }
    }

    /// Whether there is such a team.
    #[must_use]
    pub fn has_team(&self, team: Uuid) -> bool {
        self.teams.contains_key(&team)
    }

    /// Whether there is such a territory.
    #[must_use]
    pub fn has_territory(&self, territory: Uuid) -> bool {
        self.territories.contains_key(&territory)
    }

    /// The territory that a team works in.
    #[must_use]
    pub fn territory_of_team(&self, team: Uuid) -> Option<Uuid> {
        self.teams.get(&team).and_then(|team| team.territory)
    }

    fn lies_in(&self, territory: Uuid, held: &[Uuid]) -> bool {
        let mut current = Some(territory);
        // A tree deeper than it has nodes has a circle: then nothing more lies above.
        for _ in 0..=self.territories.len() {
            match current {
                Some(id) if held.contains(&id) => return true,
                Some(id) => current = self.territories.get(&id).copied().flatten(),
                None => return false,
            }
        }
        false
    }
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn link(fields: &Fields, name: &str) -> Option<Uuid> {
    fields.get(name).and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok())
}
