//! Who may see what: from the tables of records and scopes and the levels of the model, without the server's own code.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crm::Fields;
use crm::model::{Level, Model, Permission};
use serde_json::Value;
use sync_protocol::id::{RecordId, ScopeId, Sequence};
use uuid::Uuid;

use super::office::{Held, Office};

/// A record as a user's devices hold it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) entity: String,
    pub(super) seq: Sequence,
    pub(super) scopes: BTreeSet<ScopeId>,
    pub(super) fields: Fields,
}

/// All that a user's devices hold when they are in step.
pub(super) type Sight = BTreeMap<RecordId, Shown>;

/// The tables at one moment.
pub(super) struct Oracle {
    pub(super) head: Sequence,
    model: Arc<Model>,
    records: BTreeMap<RecordId, Held>,
    /// Kind, entity and holder to number.
    scopes: HashMap<(String, String, Uuid), ScopeId>,
}

/// A user as her levels see her.
pub(super) struct Viewer {
    user: RecordId,
    role: String,
    teams: BTreeSet<Uuid>,
    territories: BTreeSet<Uuid>,
}

fn link(fields: &Fields, name: &str) -> Option<Uuid> {
    fields.get(name).and_then(Value::as_str).map(|id| Uuid::parse_str(id).expect("links hold ids"))
}

impl Oracle {
    pub(super) fn read(office: &Office) -> Self {
        let database = office.database();
        let head = database.query_row("SELECT head FROM tenant", [], |row| row.get::<_, i64>(0)).expect("a head");
        let sql = "SELECT s.kind, e.name, s.holder, s.id FROM scope s JOIN entity e ON e.code = s.entity";
        let mut statement = database.prepare(sql).expect("a statement");
        let rows = statement.query_map([], |row| {
            let holder = Uuid::from_slice(&row.get::<_, Vec<u8>>(2)?).expect("16 bytes");
            Ok(((row.get(0)?, row.get(1)?, holder), row.get(3)?))
        });
        let scopes = rows.expect("a query").map(|row| row.expect("a row")).collect();
        let records = office.records().into_iter().map(|record| (record.id, record)).collect();
        Self { head: head.cast_unsigned(), model: office.app.model(), records, scopes }
    }

    pub(super) fn record(&self, id: RecordId) -> Option<&Held> {
        self.records.get(&id)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Held> {
        self.records.values()
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    fn of(&self, entity: &'static str) -> impl Iterator<Item = &Held> {
        self.records.values().filter(move |record| record.entity == entity)
    }

    /// None when she may not sign in.
    pub(super) fn viewer(&self, user: RecordId) -> Option<Viewer> {
        let own = &self.records.get(&user)?.fields;
        if own.get("active") == Some(&Value::Bool(false)) {
            return None;
        }
        let role = self.records.get(&RecordId(link(own, "role")?))?.fields.get("key")?.as_str()?.to_owned();
        let managed = self.of("team").filter(|team| link(&team.fields, "manager") == Some(user.0));
        let teams: BTreeSet<Uuid> = managed.map(|team| team.id.0).chain(link(own, "team")).collect();
        let mut territories: BTreeSet<Uuid> =
            self.of("team").filter(|t| teams.contains(&t.id.0)).filter_map(|t| link(&t.fields, "territory")).collect();
        // Until nothing more lies below.
        loop {
            let is_below = |id| territories.contains(&id);
            let below = self.of("territory").filter(|t| link(&t.fields, "parent").is_some_and(is_below));
            let below: Vec<Uuid> = below.map(|t| t.id.0).filter(|id| !territories.contains(id)).collect();
            if below.is_empty() {
                return Some(Viewer { user, role, teams, territories });
            }
            territories.extend(below);
        }
    }

    fn permission(&self, viewer: &Viewer, entity: &str) -> Option<&Permission> {
        self.model.entity(entity)?.permissions.get(&viewer.role)
    }

    /// Whether the viewer's role sees the field in records that she reads.
    pub(super) fn shows(&self, viewer: &Viewer, entity: &str, field: &str) -> bool {
        let level = self.model.entity(entity).and_then(|entity| entity.field(field)).map(|field| field.level);
        self.permission(viewer, entity).zip(level).is_some_and(|(permission, level)| {
            let is_listed = permission.fields.as_ref().is_none_or(|listed| listed.iter().any(|name| name == field));
            is_listed && permission.levels.contains(&level)
        })
    }

    /// The numbers of the scopes that bring the record to the viewer; none: she may not see it.
    pub(super) fn scopes_of(&self, viewer: &Viewer, record: &Held) -> BTreeSet<ScopeId> {
        let level = self.permission(viewer, &record.entity).map_or(Level::None, |permission| permission.read);
        let place = ["owner", "team", "territory"].map(|name| link(&record.fields, name));
        let [owner, team, territory] = place;
        let scope =
            |kind: &str, holder: Option<Uuid>| (kind.to_owned(), record.entity.clone(), holder.unwrap_or_default());
        let shares = ["shared_with", "shared_with_teams"].map(|name| record.fields.get(name).and_then(Value::as_array));
        let shares = shares.into_iter().flatten().flatten().filter_map(Value::as_str);
        let shares = shares.map(|id| Uuid::parse_str(id).expect("links hold ids"));
        let carried = scope("carried", None);
        let mut held = Vec::new();
        if level == Level::All {
            // Where there ever was a sync rule, what devices carry is a scope of its own.
            match self.scopes.contains_key(&carried) {
                false => held.push(scope("all", None)),
                true if record.is_carried => held.push(carried),
                true => {}
            }
        } else if !record.is_carried {
            return BTreeSet::new();
        } else if level > Level::None {
            let to_her = shares.filter(|holder| *holder == viewer.user.0 || viewer.teams.contains(holder));
            held.extend(to_her.map(|holder| scope("shared", Some(holder))));
            if level >= Level::Own && place == [None; 3] {
                held.push(scope("open", None));
            }
            if level >= Level::Own && owner == Some(viewer.user.0) {
                held.push(scope("own", owner));
            }
            if level >= Level::Team && team.is_some_and(|team| viewer.teams.contains(&team)) {
                held.push(scope("team", team));
            }
            if level >= Level::Territory && territory.is_some_and(|territory| viewer.territories.contains(&territory)) {
                held.push(scope("territory", territory));
            }
        }
        let number = |key| *self.scopes.get(&key).unwrap_or_else(|| panic!("{key:?} has no number"));
        held.into_iter().map(number).collect()
    }

    /// What the user's devices are to hold.
    pub(super) fn sight(&self, user: RecordId) -> Sight {
        let Some(viewer) = self.viewer(user) else { return Sight::new() };
        let mut sight = Sight::new();
        for record in self.records.values() {
            let scopes = self.scopes_of(&viewer, record);
            if scopes.is_empty() {
                continue;
            }
            let mut fields = record.fields.clone();
            fields.retain(|field, _| self.shows(&viewer, &record.entity, field));
            sight.insert(record.id, Shown { entity: record.entity.clone(), seq: record.seq, scopes, fields });
        }
        sight
    }
}
