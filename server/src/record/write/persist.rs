//! Writes what was decided, each table in one statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crm::Fields;
use crm::model::Entity;
use crm::rules::carries;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sync_protocol::digest::{SetDigest, leaf};
use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::id::{RecordId, ScopeId, Sequence};
use uuid::Uuid;

use super::blobs::BlobUses;
use super::decide::{Stored, Touched, Working, link_targets, may_be_deleted};
use crate::record::catalogue::Catalogue;
use crate::record::search_text::search_text;
use crate::scope::{ScopeKey, Scopes};

const STANDS: u8 = 0;
const LEFT: u8 = 1;
const DELETED: u8 = 2;

/// What one commit writes, as JSON rows.
#[derive(Default)]
struct Rows {
    records: Vec<Value>,
    gone: Vec<Value>,
    entries: Vec<Value>,
    scopes: Vec<(i64, ScopeKey)>,
    /// By scope, what comes to its digest.
    digests: BTreeMap<ScopeId, SetDigest>,
    text_gone: Vec<i64>,
    text: Vec<Value>,
    links_gone: Vec<Value>,
    links: Vec<Value>,
    blobs: BlobUses,
    /// Every scope in which a record changed.
    touched: BTreeSet<ScopeId>,
    /// The tenant's day, which sync rules may depend on.
    today: i64,
}

/// Writes every record that differs from what was loaded, with its scopes, links, words and history; returns every scope
/// in which one changed.
///
/// `last_num` is the last local record number given out; `now_ms` is when the transaction decides, and `today` the
/// tenant's day.
pub(super) async fn persist(
    working: &Working,
    catalogue: &Catalogue,
    scopes: &mut Arc<Scopes>,
    last_num: &mut i64,
    (now_ms, today): (i64, i64),
    connection: &mut SqliteConnection,
) -> Result<BTreeSet<ScopeId>, sqlx::Error> {
    let mut rows = Rows { today, ..Rows::default() };
    let mut touched: Vec<(&RecordId, &Touched)> =
        working.records.iter().filter(|(_, touched)| is_changed(touched)).collect();
    touched.sort_unstable_by_key(|(id, touched)| (touched.now.as_ref().map(|now| now.seq), **id));
    for (id, touched) in touched {
        let code = touched.now.as_ref().or(touched.before.as_ref()).map_or(0, |record| record.entity);
        let Some(entity) = catalogue.entity_of(code) else { continue };
        rows.add(*id, entity, touched, working.deleted.get(id).copied(), scopes, last_num);
    }
    rows.write(working, now_ms, connection).await
}

fn is_changed(touched: &Touched) -> bool {
    match (&touched.before, &touched.now) {
        (None, None) => false,
        (Some(before), Some(now)) => !Arc::ptr_eq(before, now),
        _ => true,
    }
}

impl Rows {
    fn add(
        &mut self,
        id: RecordId,
        entity: &Entity,
        touched: &Touched,
        deleted: Option<Sequence>,
        scopes: &mut Arc<Scopes>,
        last_num: &mut i64,
    ) {
        let hex = hex(id.0);
        let (before, now) = (touched.before.as_deref(), touched.now.as_deref());
        let num = before.map_or_else(
            || {
                *last_num += 1;
                *last_num
            },
            |record| record.num,
        );
        let code = now.or(before).map_or(0, |record| record.entity);
        self.touched.extend(scopes.id(&ScopeKey::all(code)));
        let is_carried = now.is_some_and(|record| carries(entity, &record.fields, self.today));
        let keys = |record: Option<&Stored>, is_carried: bool| -> BTreeSet<ScopeKey> {
            let keys = record.map(|record| scopes.keys_of(record.entity, &record.place(), is_carried));
            keys.into_iter().flatten().collect()
        };
        let (old, new) = (keys(before, touched.was_carried), keys(now, is_carried));
        let seq = now.map(|record| record.seq).or(deleted).unwrap_or_default();
        self.add_entries(&hex, (&old, &new), seq, now.is_some(), scopes);
        self.add_digests(id, (before, old), (now, new), scopes);
        self.add_links(&hex, entity, before, now);
        self.blobs.add(&hex, entity, before, now);
        let words =
            |record: Option<&Stored>| record.map(|record| search_text(entity, &record.fields)).unwrap_or_default();
        let (old_words, new_words) = (words(before), words(now));
        if old_words != new_words {
            if !old_words.is_empty() {
                self.text_gone.push(num);
            }
            if !new_words.is_empty() {
                self.text.push(json!([num, new_words]));
            }
        }
        match now {
            Some(record) => {
                let place = record.place();
                let body = serde_json::to_string(record.fields.as_ref()).unwrap_or_default();
                let field_seq = serde_json::to_string(record.field_seq.as_ref()).unwrap_or_default();
                self.records.push(json!([
                    num,
                    hex,
                    record.entity,
                    record.seq,
                    record.created_seq,
                    record.created_by_device,
                    place.owner.map(self::hex),
                    place.team.map(self::hex),
                    place.territory.map(self::hex),
                    shared_column(&place.shared),
                    u8::from(is_carried),
                    body,
                    field_seq,
                ]));
            }
            None => {
                if let (Some(record), Some(seq)) = (before, deleted) {
                    self.gone.push(json!([hex, record.entity, seq]));
                }
            }
        }
    }

    fn add_entries(
        &mut self,
        hex: &str,
        (old, new): (&BTreeSet<ScopeKey>, &BTreeSet<ScopeKey>),
        seq: Sequence,
        is_there: bool,
        scopes: &mut Arc<Scopes>,
    ) {
        for key in new {
            let scope = self.scope(scopes, *key);
            self.touched.insert(scope);
            self.entries.push(json!([scope, seq, hex, STANDS]));
        }
        let left = if is_there { LEFT } else { DELETED };
        for key in old.difference(new).filter(|_| !is_seeded(Fault::SkipExit)) {
            let scope = self.scope(scopes, *key);
            self.touched.insert(scope);
            self.entries.push(json!([scope, seq, hex, left]));
        }
    }

    /// The record leaves the digests of the scopes that it stood in, as it was, and comes into those that it stands in.
    fn add_digests(
        &mut self,
        id: RecordId,
        before: (Option<&Stored>, BTreeSet<ScopeKey>),
        now: (Option<&Stored>, BTreeSet<ScopeKey>),
        scopes: &mut Arc<Scopes>,
    ) {
        for ((record, keys), stands) in [(before, false), (now, true)] {
            let Some(record) = record else { continue };
            let leaf = leaf(id, record.seq);
            for key in std::iter::once(ScopeKey::all(record.entity)).chain(keys) {
                let scope = self.scope(scopes, key);
                let digest = self.digests.entry(scope).or_default();
                if stands { digest.add(leaf) } else { digest.remove(leaf) }
            }
        }
    }

    /// The scope's number; readers of the snapshot keep theirs when a new one has to be given out.
    fn scope(&mut self, scopes: &mut Arc<Scopes>, key: ScopeKey) -> ScopeId {
        if let Some(id) = scopes.id(&key) {
            return id;
        }
        let id = Arc::make_mut(scopes).give_out(key);
        self.scopes.push((i64::from(id), key));
        id
    }

    fn add_links(&mut self, hex: &str, entity: &Entity, before: Option<&Stored>, now: Option<&Stored>) {
        let links = |record: Option<&Stored>| record.map(|record| links_of(entity, &record.fields)).unwrap_or_default();
        let (old, new) = (links(before), links(now));
        self.links_gone.extend(old.difference(&new).map(|(field, target)| json!([hex, field, self::hex(*target)])));
        self.links.extend(new.difference(&old).map(|(field, target)| json!([hex, field, self::hex(*target)])));
    }

    async fn write(
        self,
        working: &Working,
        now_ms: i64,
        connection: &mut SqliteConnection,
    ) -> Result<BTreeSet<ScopeId>, sqlx::Error> {
        for (id, key) in &self.scopes {
            sqlx::query("INSERT INTO scope (id, kind, entity, holder) VALUES ($1, $2, $3, $4)")
                .bind(id)
                .bind(key.kind.as_str())
                .bind(key.entity)
                .bind(key.holder)
                .execute(&mut *connection)
                .await?;
        }
        run(include_str!("sql/put_records.sql"), &self.records, connection).await?;
        if !self.gone.is_empty() {
            let deleted_ms = working.history.last().map_or(0, |row| row.at_ms);
            sqlx::query(include_str!("sql/put_tombstones.sql"))
                .bind(Value::Array(self.gone.clone()).to_string())
                .bind(deleted_ms)
                .execute(&mut *connection)
                .await?;
            run(
                "DELETE FROM record WHERE id IN (SELECT unhex(value ->> 0) FROM json_each($1))",
                &self.gone,
                connection,
            )
            .await?;
        }
        run(include_str!("sql/put_scope_entries.sql"), &self.entries, connection).await?;
        let digests = self.digests.iter().filter(|(_, digest)| **digest != SetDigest::default());
        let digests: Vec<Value> = digests
            .map(|(scope, digest)| json!([scope, digest.count.cast_signed(), digest.hash.0.cast_signed()]))
            .collect();
        run(include_str!("sql/put_scope_digests.sql"), &digests, connection).await?;
        run(include_str!("sql/delete_links.sql"), &self.links_gone, connection).await?;
        run(include_str!("sql/put_links.sql"), &self.links, connection).await?;
        let text_gone: Vec<Value> = self.text_gone.into_iter().map(Value::from).collect();
        run("DELETE FROM record_text WHERE rowid IN (SELECT value FROM json_each($1))", &text_gone, connection).await?;
        run(
            "INSERT INTO record_text (rowid, text) SELECT value ->> 0, value ->> 1 FROM json_each($1)",
            &self.text,
            connection,
        )
        .await?;
        self.blobs.write(now_ms, connection).await?;
        write_side_tables(working, connection).await?;
        Ok(self.touched)
    }
}

async fn write_side_tables(working: &Working, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let history: Vec<Value> = working
        .history
        .iter()
        .map(|row| {
            json!([
                hex(row.record.0),
                row.seq,
                row.kind,
                row.field,
                row.old,
                row.new,
                row.who.map(hex),
                row.device,
                row.at_ms
            ])
        })
        .collect();
    run(include_str!("sql/put_history.sql"), &history, connection).await?;
    let (mut freed, mut held) = (Vec::new(), Vec::new());
    for ((entity, field, value), holder) in &working.unique {
        match holder {
            Some(holder) => held.push(json!([entity, field, value, hex(holder.0)])),
            None => freed.push(json!([entity, field, value])),
        }
    }
    run(include_str!("sql/delete_unique_values.sql"), &freed, connection).await?;
    run(include_str!("sql/put_unique_values.sql"), &held, connection).await?;
    let numbers: Vec<Value> =
        working.numbers.iter().map(|((entity, year), last)| json!([entity, year, last])).collect();
    run(include_str!("sql/put_number_series.sql"), &numbers, connection).await?;
    sqlx::query("UPDATE tenant SET head = $1 WHERE head < $1")
        .bind(working.head.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Runs a statement over JSON rows, unless there are none.
pub(super) async fn run(
    sql: &'static str,
    rows: &[Value],
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(sql).bind(rows).execute(connection).await?;
    Ok(())
}

/// Whom a record is shared with, as the JSON array that the column holds; nothing where with nobody.
fn shared_column(shared: &[Uuid]) -> Option<String> {
    let ids: Vec<String> = shared.iter().copied().map(hex).collect();
    (!ids.is_empty()).then(|| json!(ids).to_string())
}

/// The links of a record to records that can be deleted.
fn links_of(entity: &Entity, fields: &Fields) -> BTreeSet<(String, Uuid)> {
    let mut links = BTreeSet::new();
    for (name, value) in fields {
        let Some(field) = entity.field(name).filter(|field| may_be_deleted(field)) else { continue };
        links.extend(link_targets(field, value).into_iter().map(|target| (name.clone(), target.0)));
    }
    links
}

fn hex(id: Uuid) -> String {
    id.as_simple().to_string()
}
