//! One batch of the engine as one transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use sync_protocol::digest::{Hash, SetDigest};
use sync_protocol::id::{MutationId, RecordId, ScopeId, Sequence};
use sync_protocol::store::{
    ApplyError, Attention, BaseRecord, Batch, JOURNAL_LENGTH, Journaled, Position, PutRow, Standing, Store, StoreOp,
};
use sync_protocol::wire::chunk::ChunkRow;
use sync_protocol::wire::{Mutation, Operation};
use uuid::Uuid;

use super::error::Attempt;
use super::plan::Indexed;
use super::{IndexPlan, StorageError, json};

/// How soon a transaction must be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Before the commit returns.
    Now,
    /// Whenever the system likes: if it is lost, so is the checkpoint in the same transaction, and the server sends
    /// it again.
    Later,
}

impl Durability {
    /// What a person did, and what the server answered to it, is in no other place: once an outcome is acknowledged
    /// the server may forget it. What the server sends is.
    pub(super) fn of(batch: &Batch) -> Self {
        let is_only_here = |op: &StoreOp| match op {
            StoreOp::OutboxAdd(_)
            | StoreOp::OutboxRename(_)
            | StoreOp::OutboxRemove { .. }
            | StoreOp::AttentionAdd(_)
            | StoreOp::AttentionRemove { .. }
            | StoreOp::LayOver(_)
            | StoreOp::Journal(_)
            | StoreOp::Reoffer { .. }
            | StoreOp::Reset => true,
            StoreOp::Apply { .. }
            | StoreOp::Stage { .. }
            | StoreOp::ApplyStaged
            | StoreOp::Manifest { .. }
            | StoreOp::Chunk { .. }
            | StoreOp::Checkpoint { .. }
            | StoreOp::BeginMend { .. }
            | StoreOp::StageMended { .. }
            | StoreOp::EndMend
            | StoreOp::Compared { .. }
            | StoreOp::JournalTrim { .. }
            | StoreOp::Model { .. } => false,
        };
        if batch.ops.iter().any(is_only_here) { Self::Now } else { Self::Later }
    }

    pub(super) fn pragma(self) -> &'static str {
        match self {
            Self::Now => "PRAGMA synchronous = FULL",
            Self::Later => "PRAGMA synchronous = NORMAL",
        }
    }
}

/// The store as the engine's batches see it, inside a transaction.
pub(super) struct Writing<'a> {
    connection: &'a Connection,
    plan: &'a IndexPlan,
    /// Codes of entities seen in this transaction.
    codes: BTreeMap<String, i64>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(connection: &'a Connection, plan: &'a IndexPlan) -> Self {
        Self { connection, plan, codes: BTreeMap::new() }
    }

    fn code(&mut self, entity: &str) -> Result<i64, StorageError> {
        if let Some(code) = self.codes.get(entity) {
            return Ok(*code);
        }
        let sql = "INSERT INTO entity (name) VALUES (?1) ON CONFLICT (name) DO UPDATE SET name = name RETURNING code";
        let code = self.connection.query_row(sql, [entity], |row| row.get(0)).attempting("name an entity")?;
        self.codes.insert(entity.to_owned(), code);
        Ok(code)
    }

    /// Keeps a record in the place of the one that `known` numbers. No statement here has a clause RETURNING: SQLite
    /// begins a savepoint for one, and at each savepoint the search index writes what it has gathered, a segment for
    /// every record.
    fn put(&mut self, stored: &Stored<'_>, indexed: &Indexed, known: Option<i64>) -> Result<(), StorageError> {
        let attempt = "keep a record";
        let code = self.code(stored.entity)?;
        let sql = if known.is_some() {
            "UPDATE record SET entity = ?2, seq = ?3, scopes = ?4, generation = ?5, hidden = ?6, title = ?7, body = ?8
             WHERE id = ?1"
        } else {
            "INSERT INTO record (id, entity, seq, scopes, generation, hidden, title, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        };
        let mut statement = self.connection.prepare_cached(sql).attempting(attempt)?;
        let values = params![
            stored.id.as_bytes(),
            code,
            signed(stored.seq),
            json::write(&stored.scopes),
            signed(stored.generation),
            stored.hidden,
            indexed.title,
            stored.body,
        ];
        statement.execute(values).attempting(attempt)?;
        let (num, sql) = match known {
            Some(num) => (num, "INSERT OR REPLACE INTO record_text (rowid, words) VALUES (?1, ?2)"),
            None => (self.connection.last_insert_rowid(), "INSERT INTO record_text (rowid, words) VALUES (?1, ?2)"),
        };
        let mut statement = self.connection.prepare_cached(sql).attempting(attempt)?;
        statement.execute(params![num, indexed.words]).attempting("keep a record's words")?;
        Ok(())
    }

    fn num(&self, id: RecordId) -> Result<Option<i64>, StorageError> {
        let attempt = "look for a record";
        let mut statement =
            self.connection.prepare_cached("SELECT num FROM record WHERE id = ?1").attempting(attempt)?;
        statement.query_row([id.as_bytes()], |row| row.get(0)).optional().attempting(attempt)
    }

    fn ids(&self, sql: &str, parameter: i64, attempt: &'static str) -> Result<Vec<RecordId>, StorageError> {
        let mut statement = self.connection.prepare_cached(sql).attempting(attempt)?;
        let ids = statement.query_map([parameter], |row| row.get(0).map(record_id)).attempting(attempt)?;
        ids.collect::<Result<_, _>>().attempting(attempt)
    }
}

/// A record on its way into its row.
struct Stored<'a> {
    id: RecordId,
    entity: &'a str,
    seq: Sequence,
    scopes: &'a [ScopeId],
    generation: u64,
    hidden: bool,
    /// The fields as JSON.
    body: &'a str,
}

/// The fields of a chunk's row as the JSON object that is stored: their values are copied, not read.
fn body(row: &ChunkRow<'_>) -> String {
    let mut body = String::with_capacity(512);
    for (name, value) in row.values() {
        body.push(if body.is_empty() { '{' } else { ',' });
        json::push_name(&mut body, name);
        body.push(':');
        body.push_str(value);
    }
    if body.is_empty() {
        body.push('{');
    }
    body.push('}');
    body
}

fn record_id(bytes: [u8; 16]) -> RecordId {
    RecordId(Uuid::from_bytes(bytes))
}

impl Store for Writing<'_> {
    type Error = StorageError;

    fn base(&self, id: RecordId) -> Result<Option<BaseRecord>, StorageError> {
        super::read::base(self.connection, id)
    }

    fn put_base(&mut self, id: RecordId, record: BaseRecord) -> Result<(), StorageError> {
        let indexed = self.plan.index(&record.entity, &record.fields);
        let stored = Stored {
            id,
            entity: &record.entity,
            seq: record.seq,
            scopes: &record.scopes,
            generation: record.generation,
            hidden: record.hidden,
            body: &json::write(&record.fields),
        };
        let known = self.num(id)?;
        self.put(&stored, &indexed, known)
    }

    fn standing(&self, id: RecordId) -> Result<Option<Standing>, StorageError> {
        Ok(self.standings(id, id)?.remove(&id))
    }

    fn standings(&self, first: RecordId, last: RecordId) -> Result<BTreeMap<RecordId, Standing>, StorageError> {
        let attempt = "see where records stand";
        let sql = "SELECT id, seq, scopes, generation FROM record WHERE id BETWEEN ?1 AND ?2";
        let mut statement = self.connection.prepare_cached(sql).attempting(attempt)?;
        let mut rows = statement.query([first.as_bytes(), last.as_bytes()]).attempting(attempt)?;
        let mut standings = BTreeMap::new();
        while let Some(row) = rows.next().attempting(attempt)? {
            let id = record_id(row.get(0).attempting(attempt)?);
            let scopes = row.get_ref(2).attempting(attempt)?.as_str().unwrap_or_default();
            let standing = Standing {
                seq: super::read::number(row, 1)?,
                scopes: json::read(scopes, || format!("record.scopes of {id}"))?,
                generation: super::read::number(row, 3)?,
            };
            standings.insert(id, standing);
        }
        Ok(standings)
    }

    fn put_row(&mut self, put: &PutRow<'_>) -> Result<(), ApplyError<StorageError>> {
        let row = &put.row;
        let indexed = self.plan.index_row(put.entity, row).map_err(ApplyError::Chunk)?;
        let stored = Stored {
            id: row.id,
            entity: put.entity,
            seq: row.seq,
            scopes: put.scopes,
            generation: put.generation,
            hidden: false,
            body: &body(row),
        };
        let known = if put.is_new { None } else { self.num(row.id)? };
        Ok(self.put(&stored, &indexed, known)?)
    }

    fn remove_base(&mut self, id: RecordId) -> Result<(), StorageError> {
        let attempt = "remove a record";
        if let Some(num) = self.num(id)? {
            for sql in ["DELETE FROM record WHERE num = ?1", "DELETE FROM record_text WHERE rowid = ?1"] {
                self.connection.prepare_cached(sql).attempting(attempt)?.execute([num]).attempting(attempt)?;
            }
        }
        Ok(())
    }

    fn each_base(&self, each: &mut dyn FnMut(RecordId, BaseRecord)) -> Result<(), StorageError> {
        super::read::each_base(self.connection, each)
    }

    fn digests(&self) -> Result<BTreeMap<ScopeId, SetDigest>, StorageError> {
        let attempt = "read the digests";
        let mut statement =
            self.connection.prepare_cached("SELECT scope, records, hash FROM scope_digest").attempting(attempt)?;
        let digest = |row: &rusqlite::Row<'_>| {
            let (count, hash): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, SetDigest { count: count.cast_unsigned(), hash: Hash(hash.cast_unsigned()) }))
        };
        let digests = statement.query_map([], digest).attempting(attempt)?;
        digests.collect::<Result<_, _>>().attempting(attempt)
    }

    fn put_digest(&mut self, scope: ScopeId, digest: SetDigest) -> Result<(), StorageError> {
        let attempt = "keep a digest";
        let sql = "INSERT OR REPLACE INTO scope_digest (scope, records, hash) VALUES (?1, ?2, ?3)";
        let values = params![scope, signed(digest.count), signed(digest.hash.0)];
        self.connection.prepare_cached(sql).attempting(attempt)?.execute(values).attempting(attempt)?;
        Ok(())
    }

    fn bases_in_scope(&self, scope: ScopeId) -> Result<Vec<RecordId>, StorageError> {
        let sql = "SELECT id FROM record WHERE EXISTS (SELECT 1 FROM json_each(scopes) WHERE value = ?1)";
        self.ids(sql, i64::from(scope), "find a scope's records")
    }

    fn bases_before(&self, generation: u64) -> Result<Vec<RecordId>, StorageError> {
        self.ids("SELECT id FROM record WHERE generation < ?1", signed(generation), "find old records")
    }

    fn is_pending(&self, record: RecordId) -> Result<bool, StorageError> {
        let attempt = "look into the outbox";
        let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE record = ?1)";
        let mut statement = self.connection.prepare_cached(sql).attempting(attempt)?;
        statement.query_row([record.as_bytes()], |row| row.get(0)).attempting(attempt)
    }

    fn add_to_outbox(&mut self, mutation: &Mutation) -> Result<(), StorageError> {
        let sql = "INSERT INTO outbox (mutation, record, body) VALUES (?1, ?2, ?3)";
        let values = params![signed(mutation.id), mutation.record.as_bytes(), json::write(mutation)];
        self.connection.execute(sql, values).attempting("queue a change")?;
        Ok(())
    }

    fn remove_from_outbox(&mut self, mutation: MutationId) -> Result<(), StorageError> {
        let sql = "DELETE FROM outbox WHERE mutation = ?1";
        self.connection.execute(sql, [signed(mutation)]).attempting("take a change out of the outbox")?;
        Ok(())
    }

    fn add_to_journal(&mut self, entry: &Journaled) -> Result<(), StorageError> {
        let attempt = "remember an answered change";
        let sql = "INSERT OR REPLACE INTO journal (mutation, head, at_ms, body) VALUES (?1, ?2, ?3, ?4)";
        let values = params![signed(entry.mutation.id), signed(entry.head), entry.at_ms, json::write(entry)];
        self.connection.prepare_cached(sql).attempting(attempt)?.execute(values).attempting(attempt)?;
        Ok(())
    }

    fn journal(&self, from: MutationId) -> Result<Vec<Journaled>, StorageError> {
        let attempt = "read the answered changes";
        let sql = "SELECT mutation, body FROM journal WHERE mutation >= ?1 ORDER BY mutation";
        let mut statement = self.connection.prepare_cached(sql).attempting(attempt)?;
        let mut rows = statement.query([signed(from)]).attempting(attempt)?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next().attempting(attempt)? {
            let (mutation, body): (i64, String) = (row.get(0).attempting(attempt)?, row.get(1).attempting(attempt)?);
            entries.push(json::read(&body, || format!("journal.body of {mutation}"))?);
        }
        Ok(entries)
    }

    fn take_journal(&mut self, from: MutationId) -> Result<(), StorageError> {
        let sql = "DELETE FROM journal WHERE mutation >= ?1";
        self.connection.execute(sql, [signed(from)]).attempting("offer answered changes again")?;
        Ok(())
    }

    fn trim_journal(&mut self, safe: Sequence, before_ms: i64) -> Result<(), StorageError> {
        let attempt = "forget answered changes";
        let sql = "DELETE FROM journal WHERE at_ms < ?1
                   OR mutation <= (SELECT max(mutation) FROM journal) - ?2
                   OR (?3 > 0 AND head <= ?3)";
        let values = params![before_ms, i64::try_from(JOURNAL_LENGTH).unwrap_or(i64::MAX), signed(safe)];
        self.connection.prepare_cached(sql).attempting(attempt)?.execute(values).attempting(attempt)?;
        Ok(())
    }

    fn add_attention(&mut self, attention: &Attention) -> Result<(), StorageError> {
        let sql = "INSERT OR REPLACE INTO attention (mutation, body) VALUES (?1, ?2)";
        let values = params![signed(attention.mutation.id), json::write(attention)];
        self.connection.execute(sql, values).attempting("keep an outcome")?;
        Ok(())
    }

    fn remove_attention(&mut self, mutation: MutationId) -> Result<(), StorageError> {
        let sql = "DELETE FROM attention WHERE mutation = ?1";
        self.connection.execute(sql, [signed(mutation)]).attempting("dismiss an outcome")?;
        Ok(())
    }

    fn push_staged(&mut self, page: &[Operation]) -> Result<(), StorageError> {
        let sql = "INSERT INTO staged_page (operations) VALUES (?1)";
        self.connection.execute(sql, [json::write(&page)]).attempting("stage a page")?;
        Ok(())
    }

    fn pop_staged(&mut self) -> Result<Option<Vec<Operation>>, StorageError> {
        let sql = "DELETE FROM staged_page WHERE num = (SELECT min(num) FROM staged_page) RETURNING num, operations";
        let page: Option<(i64, String)> = self
            .connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .attempting("take a staged page")?;
        page.map(|(num, operations)| json::read(&operations, || format!("staged_page.operations of {num}"))).transpose()
    }

    fn laid(&self) -> Result<BTreeMap<RecordId, BTreeMap<String, Sequence>>, StorageError> {
        let attempt = "read the outcomes since the last checkpoint";
        let sql = "SELECT record, field, seq FROM laid_field";
        let mut statement = self.connection.prepare_cached(sql).attempting(attempt)?;
        let mut laid: BTreeMap<RecordId, BTreeMap<String, Sequence>> = BTreeMap::new();
        let mut rows = statement.query([]).attempting(attempt)?;
        while let Some(row) = rows.next().attempting(attempt)? {
            let id = record_id(row.get(0).attempting(attempt)?);
            let seq: i64 = row.get(2).attempting(attempt)?;
            laid.entry(id).or_default().insert(row.get(1).attempting(attempt)?, seq.cast_unsigned());
        }
        Ok(laid)
    }

    fn put_laid(&mut self, record: RecordId, field: &str, seq: Sequence) -> Result<(), StorageError> {
        let sql = "INSERT OR REPLACE INTO laid_field (record, field, seq) VALUES (?1, ?2, ?3)";
        let values = params![record.as_bytes(), field, signed(seq)];
        self.connection.execute(sql, values).attempting("remember an outcome's field")?;
        Ok(())
    }

    fn clear_laid(&mut self) -> Result<(), StorageError> {
        self.connection.execute("DELETE FROM laid_field", []).attempting("forget the outcomes' fields")?;
        Ok(())
    }

    fn position(&self) -> Result<Position, StorageError> {
        super::read::position(self.connection)
    }

    fn put_position(&mut self, position: &Position) -> Result<(), StorageError> {
        let sql = "INSERT OR REPLACE INTO position (only_row, body) VALUES (1, ?1)";
        self.connection.execute(sql, [json::write(position)]).attempting("keep the position")?;
        Ok(())
    }
}

/// Sequences and mutation ids are far below 2^63; the database has only signed integers.
pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// Builds the search index and the titles anew, for a model that asks for others.
pub(super) fn reindex(connection: &Connection, plan: &IndexPlan) -> Result<(), StorageError> {
    let attempt = "build the search index anew";
    let sql = "SELECT r.num, e.name, r.body FROM record r JOIN entity e ON e.code = r.entity ORDER BY r.num";
    let mut reading = connection.prepare(sql).attempting(attempt)?;
    let mut titling = connection.prepare("UPDATE record SET title = ?2 WHERE num = ?1").attempting(attempt)?;
    let mut wording =
        connection.prepare("INSERT OR REPLACE INTO record_text (rowid, words) VALUES (?1, ?2)").attempting(attempt)?;
    let mut rows = reading.query([]).attempting(attempt)?;
    let mut indexed = Vec::new();
    while let Some(row) = rows.next().attempting(attempt)? {
        let num: i64 = row.get(0).attempting(attempt)?;
        let entity: String = row.get(1).attempting(attempt)?;
        let body: String = row.get(2).attempting(attempt)?;
        let fields: BTreeMap<String, Value> = json::read(&body, || format!("record.body of {num}"))?;
        indexed.push((num, plan.index(&entity, &fields)));
    }
    for (num, indexed) in indexed {
        titling.execute(params![num, indexed.title]).attempting(attempt)?;
        wording.execute(params![num, indexed.words]).attempting(attempt)?;
    }
    Ok(())
}
