use std::collections::{HashMap, HashSet};

use crm::Fields;
use crm::model::{Entity, FieldKind, Model};
use crm::rules::{fold, title};
use serde_json::Value;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::record::catalogue::Catalogue;
use crate::record::read::visibility;
use crate::user::rights::Rights;

/// Titles that are kept while the pages of an export go by.
const MAX_KEPT: usize = 20_000;

/// What the records are called that an export's records link to, as far as its reader may see them.
#[derive(Debug, Default)]
pub(super) struct Titles {
    kept: HashMap<String, String>,
    /// Titles that were given out, folded, with the record of each: a title that two records share names neither.
    holders: HashMap<String, String>,
    shared: HashSet<String>,
}

impl Titles {
    /// The title of the record of that id.
    pub(super) fn of(&self, id: &str) -> Option<&str> {
        self.kept.get(id).map(String::as_str).filter(|title| !self.shared.contains(&fold(title)))
    }

    /// Looks up what a page of records links to.
    pub(super) async fn learn(
        &mut self,
        records: &[Fields],
        entity: &Entity,
        catalogue: &Catalogue,
        rights: &Rights,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        if self.kept.len() > MAX_KEPT {
            *self = Self::default();
        }
        let mut wanted: HashMap<String, HashSet<Uuid>> = HashMap::new();
        for field in entity.fields.values() {
            for value in records.iter().filter_map(|fields| fields.get(&field.name)) {
                for (target, id) in ends(&field.kind, value) {
                    if !self.kept.contains_key(id)
                        && let Ok(id) = Uuid::parse_str(id)
                    {
                        wanted.entry(target.to_owned()).or_default().insert(id);
                    }
                }
            }
        }
        for (name, ids) in wanted {
            self.look_up(&name, ids, catalogue, rights, connection).await?;
        }
        Ok(())
    }

    async fn look_up(
        &mut self,
        name: &str,
        ids: HashSet<Uuid>,
        catalogue: &Catalogue,
        rights: &Rights,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let Some(entity) = seen(&rights.view.model, name) else { return Ok(()) };
        if catalogue.entity(name).is_none() {
            return Ok(());
        }
        let mut query = QueryBuilder::<Sqlite>::new("SELECT r.id, r.body FROM record r WHERE r.id IN (");
        let mut values = query.separated(", ");
        for id in ids {
            values.push_bind(id);
        }
        query.push(format!(") AND {}", visibility::predicate(rights, name, "r")));
        let rows: Vec<(Uuid, String)> = query.build_query_as().persistent(false).fetch_all(connection).await?;
        for (id, body) in rows {
            let fields: Fields = serde_json::from_str(&body).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let title = title(entity, &fields);
            if !title.is_empty() {
                self.keep(id.as_hyphenated().to_string(), title);
            }
        }
        Ok(())
    }

    fn keep(&mut self, id: String, title: String) {
        let folded = fold(&title);
        if self.holders.entry(folded.clone()).or_insert_with(|| id.clone()) != &id {
            self.shared.insert(folded);
        }
        self.kept.insert(id, title);
    }
}

/// The entity with the title that the role may see.
fn seen<'m>(model: &'m Model, name: &str) -> Option<&'m Entity> {
    model.entity(name).filter(|entity| entity.field(&entity.title).is_some())
}

/// The entity and the id of each record that a value links to.
fn ends<'a>(kind: &'a FieldKind, value: &'a Value) -> Vec<(&'a str, &'a str)> {
    match (kind, value) {
        (FieldKind::Link { to }, Value::String(id)) => to.iter().map(|to| (to.as_str(), id.as_str())).collect(),
        (FieldKind::Link { .. }, Value::Object(link)) => {
            let text = |key| link.get(key).and_then(Value::as_str);
            text("entity").zip(text("id")).into_iter().collect()
        }
        (FieldKind::Links { to }, Value::Array(ids)) => {
            ids.iter().filter_map(Value::as_str).map(|id| (to.as_str(), id)).collect()
        }
        _ => Vec::new(),
    }
}
