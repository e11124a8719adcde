//! Records follow their model: what they hold is called as the model in force calls it.
//!
//! A rename is no change of a record: its sequence stays, no device is told, for a device that takes the model calls its
//! own copy otherwise. The values of a field that was removed go into the history.

use std::collections::BTreeMap;

use crm::Fields;
use crm::model::{Evolution, Model};
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::decide::FieldSequences;
use crate::record::catalogue::EntityCode;

/// Records that are read and written at once.
const PAGE_ROWS: i64 = 1_000;

/// Calls what records hold as `after` calls it.
///
/// # Errors
/// When the database refuses, or holds a body that is not an object.
pub async fn evolve(
    before: &Model,
    after: &Model,
    now_ms: i64,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    for (name, evolution) in Evolution::between(before, after) {
        let code: Option<EntityCode> = sqlx::query_scalar("SELECT code FROM entity WHERE name = $1")
            .bind(&name)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(code) = code else { continue };
        let mut last = 0;
        loop {
            let page = read(code, last, connection).await?;
            let Some(row) = page.last() else { break };
            last = row.seq;
            store(&evolution, page, now_ms, connection).await?;
        }
        follow_beside(&evolution, code, now_ms, connection).await?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    num: i64,
    id: Uuid,
    body: Json<Fields>,
    field_seq: Json<FieldSequences>,
}

async fn read(code: EntityCode, after: i64, connection: &mut SqliteConnection) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT seq, num, id, body, field_seq FROM record WHERE entity = $1 AND seq > $2 ORDER BY seq LIMIT $3",
    )
    .bind(code)
    .bind(after)
    .bind(PAGE_ROWS)
    .fetch_all(connection)
    .await
}

async fn store(
    evolution: &Evolution,
    page: Vec<Row>,
    now_ms: i64,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let (mut records, mut history) = (Vec::new(), Vec::new());
    for Row { seq, num, id, body: Json(mut fields), field_seq: Json(mut field_seq) } in page {
        let (before, sequences) = (fields.clone(), field_seq.clone());
        let gone = evolution.follow(&mut fields);
        follow_sequences(evolution, &mut field_seq);
        if fields != before || field_seq != sequences {
            records.push(json!([num, json!(fields).to_string(), json!(field_seq).to_string()]));
        }
        let id = id.as_simple().to_string();
        history.extend(gone.into_iter().map(|(field, value)| {
            json!([id, seq, "changed", field, value.to_string(), Value::Null, Value::Null, 0, now_ms])
        }));
    }
    sqlx::query(
        "UPDATE record SET body = page.value ->> 1, field_seq = page.value ->> 2
         FROM json_each($1) AS page WHERE record.num = page.value ->> 0",
    )
    .bind(Json(records))
    .execute(&mut *connection)
    .await?;
    sqlx::query(include_str!("sql/put_history.sql")).bind(Json(history)).execute(connection).await?;
    Ok(())
}

fn follow_sequences(evolution: &Evolution, field_seq: &mut FieldSequences) {
    let called_otherwise: BTreeMap<String, Option<String>> = field_seq
        .keys()
        .filter(|name| evolution.name(name) != Some(name.as_str()))
        .map(|name| (name.clone(), evolution.name(name).map(str::to_owned)))
        .collect();
    for (was, now) in called_otherwise {
        let mark = field_seq.remove(&was);
        if let (Some(now), Some(mark)) = (now, mark) {
            field_seq.entry(now).or_insert(mark);
        }
    }
}

/// What is kept beside records under the names of their fields: $1 entity, $2 former name, $3 present name.
const RENAME: [&str; 3] = [
    "UPDATE unique_value SET field = $3 WHERE entity = $1 AND field = $2",
    "UPDATE link SET field = $3 WHERE field = $2 AND source IN (SELECT id FROM record WHERE entity = $1)",
    "UPDATE blob_use SET field = $3 WHERE field = $2 AND record IN (SELECT id FROM record WHERE entity = $1)",
];

/// And where the field is no more: $1 entity, $2 its name, $3 the time.
const FORGET: [&str; 4] = [
    "DELETE FROM unique_value WHERE entity = $1 AND field = $2",
    "DELETE FROM link WHERE field = $2 AND source IN (SELECT id FROM record WHERE entity = $1)",
    "DELETE FROM blob_use WHERE field = $2 AND record IN (SELECT id FROM record WHERE entity = $1)",
    "UPDATE blob SET unnamed_ms = $3 WHERE unnamed_ms IS NULL AND was_named = 1
     AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob_use.hash = blob.hash)",
];

async fn follow_beside(
    evolution: &Evolution,
    code: EntityCode,
    now_ms: i64,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    for (was, now) in &evolution.renamed {
        for statement in RENAME {
            sqlx::query(statement).bind(code).bind(was).bind(now).execute(&mut *connection).await?;
        }
    }
    for gone in &evolution.gone {
        for statement in FORGET {
            sqlx::query(statement).bind(code).bind(gone).bind(now_ms).execute(&mut *connection).await?;
        }
    }
    Ok(())
}
