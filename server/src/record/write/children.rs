//! Notes, in the transaction that moves a record, that its children are to follow it.

use std::sync::Arc;

use crm::rules::place_fields;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sync_protocol::id::RecordId;

use super::decide::{Touched, Working};
use crate::record::catalogue::Catalogue;

/// Writes down every record that came to stand elsewhere and that others link to; whether there was one that may have
/// children.
pub(super) async fn note(
    working: &Working,
    catalogue: &Catalogue,
    connection: &mut SqliteConnection,
) -> Result<bool, sqlx::Error> {
    let mut moved: Vec<(u64, Value)> =
        working.records.iter().filter_map(|(id, touched)| row(working, catalogue, *id, touched)).collect();
    if moved.is_empty() {
        return Ok(false);
    }
    moved.sort_unstable_by_key(|(seq, _)| *seq);
    let rows: Vec<Value> = moved.into_iter().map(|(_, row)| row).collect();
    super::persist::run(include_str!("sql/put_follows.sql"), &rows, connection).await?;
    Ok(true)
}

fn row(working: &Working, catalogue: &Catalogue, id: RecordId, touched: &Touched) -> Option<(u64, Value)> {
    let (before, now) = (touched.before.as_ref()?, touched.now.as_ref()?);
    if Arc::ptr_eq(before, now) || !catalogue.is_parent(now.entity) {
        return None;
    }
    let (was, became) = (place_fields(&before.fields), place_fields(&now.fields));
    if was == became {
        return None;
    }
    let who = working.history.iter().rev().find(|row| row.record == id).and_then(|row| row.who);
    let hex = |id: uuid::Uuid| id.as_simple().to_string();
    let row = json!([hex(id.0), json!(was).to_string(), json!(became).to_string(), who.map(hex)]);
    Some((now.seq, row))
}
