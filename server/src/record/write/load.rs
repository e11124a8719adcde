//! Reads what a batch of changes touches, in a statement per table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crm::Fields;
use crm::model::{FieldKind, NumberSeries, OnDelete};
use crm::rules::normalise;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, SqliteConnection};
use sync_protocol::id::RecordId;
use sync_protocol::wire::MutationKind;
use uuid::Uuid;

use super::Change;
use super::decide::{FieldSequences, Stored, Touched, UniqueKey, Working, spell_number, unique_text};
use crate::record::catalogue::{Catalogue, EntityCode};

#[derive(FromRow)]
struct Row {
    num: i64,
    id: Uuid,
    entity: EntityCode,
    seq: i64,
    created_seq: i64,
    created_by_device: i64,
    body: Json<Fields>,
    field_seq: Json<FieldSequences>,
    carried: bool,
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self {
            num: row.num,
            entity: row.entity,
            seq: row.seq.cast_unsigned(),
            created_seq: row.created_seq.cast_unsigned(),
            created_by_device: row.created_by_device,
            fields: Arc::new(row.body.0),
            field_seq: Arc::new(row.field_seq.0),
        }
    }
}

/// Brings everything that deciding `changes` asks for into `working`; what is there already stays.
pub(super) async fn load(
    working: &mut Working,
    catalogue: &Catalogue,
    changes: &[&Change],
    year: i16,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let ids: BTreeSet<RecordId> = changes.iter().flat_map(|change| touched_ids(catalogue, change)).collect();
    load_records(working, ids, connection).await?;
    load_tombstones(working, changes, connection).await?;
    load_unique(working, catalogue, changes, connection).await?;
    load_numbers(working, catalogue, changes, year, connection).await?;
    load_referrers(working, catalogue, changes, connection).await
}

fn touched_ids(catalogue: &Catalogue, change: &Change) -> Vec<RecordId> {
    let mut ids = vec![change.record];
    let Some((entity, _)) = catalogue.entity(&change.entity) else { return ids };
    let values = change.set.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in values {
        if let Some(FieldKind::Link { .. } | FieldKind::Links { .. }) = entity.field(name).map(|field| &field.kind) {
            ids_in(value, &mut ids);
        }
    }
    for operation in &change.ops {
        if let sync_protocol::wire::FieldOperation::Add { values, .. } = operation {
            for value in values {
                ids_in(value, &mut ids);
            }
        }
    }
    ids
}

fn ids_in(value: &Value, ids: &mut Vec<RecordId>) {
    match value {
        Value::String(text) => ids.extend(Uuid::parse_str(text).ok().map(RecordId)),
        Value::Array(values) => values.iter().for_each(|value| ids_in(value, ids)),
        Value::Object(link) => link.get("id").into_iter().for_each(|id| ids_in(id, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Brings these records into `working`; what is there already stays.
pub(super) async fn load_records(
    working: &mut Working,
    ids: impl IntoIterator<Item = RecordId>,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let missing: Vec<RecordId> = ids.into_iter().filter(|id| !working.records.contains_key(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT num, id, entity, seq, created_seq, created_by_device, body, field_seq, carried
         FROM record WHERE id IN (SELECT unhex(value) FROM json_each($1))",
    )
    .bind(hex_list(&missing))
    .fetch_all(connection)
    .await?;
    for id in missing {
        working.records.insert(id, Touched::default());
    }
    for row in rows {
        let (id, was_carried) = (RecordId(row.id), row.carried);
        let stored = Arc::new(Stored::from(row));
        working.records.insert(id, Touched { before: Some(stored.clone()), now: Some(stored), was_carried });
    }
    Ok(())
}

async fn load_tombstones(
    working: &mut Working,
    changes: &[&Change],
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let made: Vec<RecordId> = changes
        .iter()
        .filter(|change| change.kind == MutationKind::Create && working.get(change.record).is_none())
        .map(|change| change.record)
        .collect();
    if made.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid,)> =
        sqlx::query_as("SELECT id FROM tombstone WHERE id IN (SELECT unhex(value) FROM json_each($1))")
            .bind(hex_list(&made))
            .fetch_all(connection)
            .await?;
    working.tombstones.extend(rows.into_iter().map(|(id,)| RecordId(id)));
    Ok(())
}

async fn load_unique(
    working: &mut Working,
    catalogue: &Catalogue,
    changes: &[&Change],
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let keys: BTreeSet<UniqueKey> = changes
        .iter()
        .filter_map(|change| Some((catalogue.entity(&change.entity)?, change)))
        .flat_map(|((entity, code), change)| {
            change.set.iter().filter_map(move |(name, value)| {
                let field = entity.field(name).filter(|field| field.unique)?;
                // As it would be stored: `www.x.es` is `https://www.x.es`. What is no value of the field is refused later.
                let value = normalise(field, value.clone()).ok()?;
                Some((code, field.name.clone(), unique_text(&value)?))
            })
        })
        .collect();
    look_up_unique(working, keys, connection).await
}

/// Brings who holds these values.
async fn look_up_unique(
    working: &mut Working,
    mut keys: BTreeSet<UniqueKey>,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    keys.retain(|key| !working.unique.contains_key(key));
    if keys.is_empty() {
        return Ok(());
    }
    let rows: Vec<(EntityCode, String, String, Uuid)> = sqlx::query_as(
        "SELECT u.entity, u.field, u.value, u.record
         FROM json_each($1) AS wanted
         JOIN unique_value AS u ON u.entity = wanted.value ->> 0 AND u.field = wanted.value ->> 1 AND u.value = wanted.value ->> 2",
    )
    .bind(Json(&keys))
    .fetch_all(connection)
    .await?;
    working.unique.extend(keys.into_iter().map(|key| (key, None)));
    for (entity, field, value, record) in rows {
        working.unique.insert((entity, field, value), Some(RecordId(record)));
    }
    Ok(())
}

/// Where each series stands that this batch draws from, and which of its next numbers records have already: as many
/// free ones are made sure of as the batch can use up, by drawing them or by bringing them.
async fn load_numbers(
    working: &mut Working,
    catalogue: &Catalogue,
    changes: &[&Change],
    year: i16,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let mut wanted: BTreeMap<EntityCode, (&NumberSeries, u64)> = BTreeMap::new();
    for change in changes {
        let Some((entity, code)) = catalogue.entity(&change.entity) else { continue };
        let Some(series) = &entity.number else { continue };
        if change.kind == MutationKind::Create || change.set.contains_key(&series.field) {
            wanted.entry(code).or_insert((series, 0)).1 += 1;
        }
    }
    for (code, (series, count)) in wanted {
        let mut last = match working.numbers.get(&(code, year)).copied() {
            Some(last) => last,
            None => last_number(code, year, connection).await?,
        };
        working.numbers.insert((code, year), last);
        let mut free = 0;
        // Ever more at a time: whoever brings her old numbers brings thousands.
        let mut step = count;
        while free < count {
            let keys = (last + 1..=last + step)
                .map(|next| (code, series.field.clone(), crm::rules::fold(&spell_number(series, year, next))));
            let keys: BTreeSet<UniqueKey> = keys.collect();
            look_up_unique(working, keys.clone(), connection).await?;
            let is_free = |key: &&UniqueKey| working.unique.get(*key).copied().flatten().is_none();
            free += keys.iter().filter(is_free).count() as u64;
            last += step;
            step *= 2;
        }
    }
    Ok(())
}

async fn last_number(code: EntityCode, year: i16, connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let last: Option<i64> = sqlx::query_scalar("SELECT last FROM number_series WHERE entity = $1 AND year = $2")
        .bind(code)
        .bind(year)
        .fetch_optional(connection)
        .await?;
    Ok(last.map_or(0, i64::cast_unsigned))
}

/// For deletions: who links to what goes, and, where that goes too, who links to that.
async fn load_referrers(
    working: &mut Working,
    catalogue: &Catalogue,
    changes: &[&Change],
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let mut wanted: Vec<RecordId> =
        changes.iter().filter(|change| change.kind == MutationKind::Delete).map(|change| change.record).collect();
    while !wanted.is_empty() {
        wanted.retain(|id| !working.referrers.contains_key(id));
        let rows: Vec<(Uuid, String, Uuid)> = sqlx::query_as(
            "SELECT source, field, target FROM link WHERE target IN (SELECT unhex(value) FROM json_each($1))",
        )
        .bind(hex_list(&wanted))
        .fetch_all(&mut *connection)
        .await?;
        let mut referrers: BTreeMap<RecordId, Vec<(RecordId, String)>> =
            wanted.drain(..).map(|id| (id, Vec::new())).collect();
        for (source, field, target) in rows {
            referrers.entry(RecordId(target)).or_default().push((RecordId(source), field));
        }
        let sources: BTreeSet<RecordId> = referrers.values().flatten().map(|(source, _)| *source).collect();
        load_records(working, sources, connection).await?;
        for (source, field) in referrers.values().flatten() {
            let cascades = working
                .get(*source)
                .and_then(|record| catalogue.entity_of(record.entity))
                .and_then(|entity| entity.field(field))
                .is_some_and(|field| field.on_delete == OnDelete::Cascade);
            if cascades {
                wanted.push(*source);
            }
        }
        working.referrers.extend(referrers);
    }
    Ok(())
}

/// Ids as the JSON array of hex strings that `unhex(value)` reads.
fn hex_list(ids: &[RecordId]) -> String {
    let mut list = String::with_capacity(ids.len() * 35 + 2);
    list.push('[');
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.0.as_simple().encode_lower(&mut uuid::Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}
