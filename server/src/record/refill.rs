//! What is kept beside records and follows from the model: who holds which unique value, and the words of full-text
//! search. Where another model makes another field unique or searched, it is made anew for the records that are there.

use std::collections::BTreeMap;

use crm::Fields;
use crm::model::{Entity, Field, Model};
use crm::rules::title;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::catalogue::{Catalogue, EntityCode};
use super::search_text::search_text;
use super::write::decide::unique_text;

/// Records that are read at once.
const PAGE_ROWS: i64 = 1_000;

/// A value that several records have in a field that is to be unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The entity.
    pub entity: String,
    /// The field.
    pub field: String,
    /// The value as the first of them has it.
    pub value: String,
    /// What people call the records, each with its id.
    pub records: Vec<String>,
}

/// Makes anew what `after` wants otherwise than `before`, for all records. Where values collide, the caller has to roll
/// the transaction back.
///
/// # Errors
/// When the database refuses, or holds a body that is not an object.
pub async fn refill(
    before: &Model,
    after: &Catalogue,
    connection: &mut SqliteConnection,
) -> Result<Vec<Collision>, sqlx::Error> {
    let mut collisions = Vec::new();
    for known in before.entities.values() {
        let Some((entity, code)) = after.entity(&known.name) else { continue };
        let change = Change::of(known, entity);
        if change.is_none() {
            continue;
        }
        for field in &change.no_longer_as_kept {
            sqlx::query("DELETE FROM unique_value WHERE entity = $1 AND field = $2")
                .bind(code)
                .bind(field)
                .execute(&mut *connection)
                .await?;
        }
        let mut holders = Holders::default();
        let mut last = 0;
        loop {
            let page = read(code, last, connection).await?;
            let Some((seq, ..)) = page.last() else { break };
            last = *seq;
            if change.is_searched_otherwise {
                put_words(entity, &page, connection).await?;
            }
            for (_, _, id, Json(fields)) in &page {
                change.unique.iter().for_each(|field| holders.add(entity, field, *id, fields));
            }
        }
        holders.store(code, connection).await?;
        collisions.extend(holders.into_collisions(&entity.name));
    }
    Ok(collisions)
}

/// What of an entity is to be made anew.
struct Change<'a> {
    /// Fields whose kept values are none any more, or not all.
    no_longer_as_kept: Vec<&'a str>,
    /// Those among them that are unique now.
    unique: Vec<&'a str>,
    is_searched_otherwise: bool,
}

impl<'a> Change<'a> {
    /// Fields that are new have no values yet.
    fn of(before: &'a Entity, after: &'a Entity) -> Self {
        // Under the names of now: values that are kept under former ones have followed already.
        let now = |field: &Field| after.now_called(&field.name).and_then(|name| after.field(name));
        let known = || before.fields.values().filter_map(|field| Some((field, now(field)?)));
        let is_gone = |field: &&Field| now(field).is_none();
        let changed: Vec<_> = known().filter(|(before, after)| before.unique != after.unique).collect();
        Self {
            no_longer_as_kept: changed.iter().map(|(_, after)| after.name.as_str()).collect(),
            unique: changed.iter().filter(|(_, after)| after.unique).map(|(_, after)| after.name.as_str()).collect(),
            is_searched_otherwise: known().any(|(before, after)| before.search != after.search)
                || before.fields.values().filter(is_gone).any(|field| field.search),
        }
    }

    fn is_none(&self) -> bool {
        self.no_longer_as_kept.is_empty() && !self.is_searched_otherwise
    }
}

/// Sequence, local number, id and fields of a record.
type Row = (i64, i64, Uuid, Json<Fields>);

async fn read(code: EntityCode, after: i64, connection: &mut SqliteConnection) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as("SELECT seq, num, id, body FROM record WHERE entity = $1 AND seq > $2 ORDER BY seq LIMIT $3")
        .bind(code)
        .bind(after)
        .bind(PAGE_ROWS)
        .fetch_all(connection)
        .await
}

async fn put_words(entity: &Entity, page: &[Row], connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let nums: Vec<i64> = page.iter().map(|(_, num, ..)| *num).collect();
    sqlx::query("DELETE FROM record_text WHERE rowid IN (SELECT value FROM json_each($1))")
        .bind(Json(nums))
        .execute(&mut *connection)
        .await?;
    let words: Vec<(i64, String)> = page
        .iter()
        .map(|(_, num, _, fields)| (*num, search_text(entity, fields)))
        .filter(|(_, words)| !words.is_empty())
        .collect();
    sqlx::query("INSERT INTO record_text (rowid, text) SELECT value ->> 0, value ->> 1 FROM json_each($1)")
        .bind(Json(words))
        .execute(connection)
        .await?;
    Ok(())
}

/// Who holds which value, by field and by the form in which values are compared.
#[derive(Default)]
struct Holders {
    held: BTreeMap<(String, String), Vec<Holder>>,
}

struct Holder {
    id: Uuid,
    value: String,
    title: String,
}

impl Holders {
    fn add(&mut self, entity: &Entity, field: &str, id: Uuid, fields: &Fields) {
        let Some(value) = fields.get(field) else { return };
        let Some(text) = unique_text(value) else { return };
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let holder = Holder { id, value: shown, title: title(entity, fields) };
        self.held.entry((field.to_owned(), text)).or_default().push(holder);
    }

    async fn store(&self, code: EntityCode, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let rows: Vec<Value> = self
            .held
            .iter()
            .filter_map(|((field, text), holders)| {
                Some(json!([code, field, text, holders.first()?.id.as_simple().to_string()]))
            })
            .collect();
        sqlx::query(include_str!("write/sql/put_unique_values.sql")).bind(Json(rows)).execute(connection).await?;
        Ok(())
    }

    fn into_collisions(self, entity: &str) -> impl Iterator<Item = Collision> {
        self.held.into_iter().filter(|(_, holders)| holders.len() > 1).map(move |((field, _), holders)| Collision {
            entity: entity.to_owned(),
            field,
            value: holders[0].value.clone(),
            records: holders.iter().map(|holder| format!("{} ({})", holder.title, holder.id)).collect(),
        })
    }
}
