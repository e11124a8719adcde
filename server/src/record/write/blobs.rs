//! Which blobs records name, kept in the transaction that changes the records.

use std::collections::BTreeSet;

use crm::Fields;
use crm::model::{Entity, FieldKind};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::decide::Stored;

/// What one commit changes of the uses of blobs, as JSON rows of hash, record, field.
#[derive(Default)]
pub(super) struct BlobUses {
    begun: Vec<Value>,
    ended: Vec<Value>,
}

impl BlobUses {
    /// Notes what a record comes to name, and what it no longer does.
    pub(super) fn add(&mut self, hex: &str, entity: &Entity, before: Option<&Stored>, now: Option<&Stored>) {
        let named = |record: Option<&Stored>| record.map(|record| named_by(entity, &record.fields)).unwrap_or_default();
        let (old, new) = (named(before), named(now));
        self.ended.extend(old.difference(&new).map(|(hash, field)| json!([hash, hex, field])));
        self.begun.extend(new.difference(&old).map(|(hash, field)| json!([hash, hex, field])));
    }

    pub(super) async fn write(self, now_ms: i64, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        super::persist::run(include_str!("sql/delete_blob_uses.sql"), &self.ended, connection).await?;
        super::persist::run(include_str!("sql/put_blob_uses.sql"), &self.begun, connection).await?;
        super::persist::run(include_str!("sql/note_named_blobs.sql"), &self.begun, connection).await?;
        if self.ended.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("sql/note_unnamed_blobs.sql"))
            .bind(Value::Array(self.ended).to_string())
            .bind(now_ms)
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// Hashes with the fields that name them.
fn named_by(entity: &Entity, fields: &Fields) -> BTreeSet<(String, String)> {
    let mut named = BTreeSet::new();
    let holds_blobs = |kind: &FieldKind| matches!(kind, FieldKind::Blob { .. } | FieldKind::Blobs { .. });
    for field in entity.fields.values().filter(|field| holds_blobs(&field.kind)) {
        let Some(value) = fields.get(&field.name) else { continue };
        let files = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let hashes = files.iter().filter_map(|file| file.get("hash")?.as_str());
        named.extend(hashes.map(|hash| (hash.to_owned(), field.name.clone())));
    }
    named
}
