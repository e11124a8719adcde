//! Pull: what a device is told, from its cursor on.
//!
//! Scopes that the device did not have arrive first, one after the other (backfill); then what changed since the
//! cursor's main position, in the order of the sequence. A page is cut by bytes, at any sequence.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{FromRow as _, Row as _, Sqlite, Transaction};
use sync_protocol::cursor::Cursor;
use sync_protocol::digest::combine;
use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::id::{ScopeId, Sequence};
use uuid::Uuid;

use super::gained::{Gained, is_arriving};
use super::operation::{Head, Operations};
use super::page::Page;
use super::point::{Point, begin_of_news};
use super::row::{COLUMNS, Row};
use super::scope_digest;
use crate::live::Snapshot;
use crate::platform::db::Db;
use crate::record::catalogue::EntityCode;
use crate::record::write::decide::FieldSequences;
use crate::scope::{ScopeKey, ScopeKind};
use crate::user::rights::Rights;

/// Rows that one statement reads at a time: enough to make its fixed cost small, few enough to keep memory small.
pub(super) const ROWS_PER_READ: i64 = 1_000;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The database has a commit that [`Puller::snapshot`] does not know yet: take a new one and try again. A page cut
    /// with both would be up to date by its sequences and lack what came into scopes that are as new as they.
    #[error("the database is ahead of what is known of people and scopes")]
    SnapshotBehind,
    /// The database does not answer.
    #[error("could not read records")]
    Database(#[from] sqlx::Error),
    /// A stored body is not JSON.
    #[error("could not read a stored record's fields")]
    Body(#[from] serde_json::Error),
}

/// One device's pull.
#[derive(Debug)]
pub struct Puller<'a> {
    /// Model, people and scopes.
    pub snapshot: &'a Snapshot,
    /// What the user may see.
    pub rights: &'a Rights,
    /// The device's number: its own writes are not sent back to it.
    pub device: i64,
    /// The tenant's epoch.
    pub epoch: u64,
    /// The most bytes of operations, at least one operation aside.
    pub limit_bytes: usize,
    /// The device wants the digest even if nothing is new.
    pub compare: bool,
    /// The device holds the model that the user sees now: it has let go of what that does not show.
    pub holds_model: bool,
}

impl Puller<'_> {
    /// Cuts the page after `cursor`; without one, the first page of everything. `live_head` is the last sequence that is
    /// known without asking the database, read before [`Puller::snapshot`]: a device that has it and holds what it held
    /// costs no statement.
    ///
    /// # Errors
    /// [`PullError`].
    pub async fn pull(&self, db: &Db, live_head: Sequence, cursor: Option<Cursor>) -> Result<Page, PullError> {
        let held = self.snapshot.scopes.held(self.rights, &self.snapshot.catalogue);
        if let Some(cursor) = cursor.as_ref().filter(|cursor| !self.compare && self.is_idle(cursor, &held, live_head)) {
            return Ok(Page::nothing_new(Cursor { from: live_head, ..cursor.clone() }, live_head));
        }
        let mut tx = db.readers().begin().await?;
        let point = Point::read(&mut tx, self.device).await?;
        let head = point.head;
        if head > live_head {
            return Err(PullError::SnapshotBehind);
        }
        let why = cursor.as_ref().and_then(|cursor| point.why_mend(cursor, self.epoch, &held));
        if let Some((why, cursor)) = why.zip(cursor.clone()) {
            let nothing = Page::nothing_new(cursor, head);
            return Ok(Page {
                mend: Some(why),
                more: true,
                expected: Some(point.expected),
                safe: point.safe,
                ..nothing
            });
        }
        let mut operations = Operations::new();
        let mut cursor = cursor.unwrap_or_else(|| self.beginning(head));
        let gained = self.gained(&mut tx, &cursor).await?;
        self.follow_view(head, &mut cursor, gained.as_ref(), &mut operations);
        let gained = gained.filter(|_| cursor.gaining.is_some()).unwrap_or_default();
        self.follow_scopes(&mut cursor, &held, &mut operations);
        self.gain(&mut tx, &mut cursor, &gained, &mut operations).await?;
        self.backfill(&mut tx, &mut cursor, &mut operations).await?;
        if !is_arriving(&cursor) {
            cursor.first_sync = false;
            self.changes(&mut tx, head, &mut cursor, &gained, &mut operations).await?;
        }
        let more = is_arriving(&cursor) || cursor.seq < head;
        if !more {
            cursor.from = cursor.seq;
            cursor.gaining = None;
        }
        let digest = if more { None } else { Some(combine(scope_digest::read(&mut tx, &held).await?)) };
        Ok(Page {
            count: operations.count,
            operations: operations.finish(),
            cursor,
            more,
            head,
            digest,
            mend: None,
            expected: Some(point.expected),
            safe: point.safe,
        })
    }

    /// A page without operations, for a device that has to come again for them.
    #[must_use]
    pub fn nothing_yet(&self, head: Sequence, cursor: Option<Cursor>) -> Page {
        let cursor = cursor.unwrap_or_else(|| self.beginning(head));
        Page { more: true, ..Page::nothing_new(cursor, head) }
    }

    /// Where a device begins that has nothing.
    fn beginning(&self, head: Sequence) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq: head,
            from: 0,
            scopes: Vec::new(),
            backfill: Vec::new(),
            first_sync: true,
            view: self.rights.view.hidden,
            gaining: None,
        }
    }

    fn is_idle(&self, cursor: &Cursor, held: &[ScopeId], head: Sequence) -> bool {
        // One that has just mended may have done so with a server that was restored once more since it was told to: it is told
        // which mutation is expected.
        let is_settled = cursor.epoch == self.epoch && cursor.from == cursor.seq && cursor.seq == head;
        let is_whole = is_settled && cursor.backfill.is_empty() && cursor.gaining.is_none();
        is_whole && cursor.scopes == held && cursor.view == self.rights.view.hidden
    }

    /// Tells which scopes came and went since the cursor.
    fn follow_scopes(&self, cursor: &mut Cursor, held: &[ScopeId], operations: &mut Operations) {
        let before: HashSet<ScopeId> = cursor.scopes.iter().copied().collect();
        for scope in cursor.scopes.iter().filter(|scope| held.binary_search(scope).is_err()) {
            operations.scope_drop(*scope);
        }
        cursor.seq = begin_of_news(cursor, held);
        cursor.backfill.retain(|(scope, _)| held.binary_search(scope).is_ok());
        let mut added: Vec<ScopeId> = held.iter().filter(|scope| !before.contains(scope)).copied().collect();
        if !added.is_empty() && !before.is_empty() {
            cursor.first_sync = false;
            // Of a record in a scope that is still arriving, nothing is known of what the device has.
            cursor.from = 0;
        }
        // As the model says what is urgent; of an entity the widest first: what it brings need not come again with a
        // narrower one.
        added.sort_by_key(|scope| {
            let key = self.snapshot.scopes.key(*scope);
            let entity = key.and_then(|key| self.snapshot.catalogue.entity_of(key.entity));
            (entity.map(|entity| entity.sync.priority), std::cmp::Reverse(key.map(|key| key.kind)))
        });
        for scope in added {
            operations.scope_add(scope);
            cursor.backfill.push((scope, 0));
        }
        cursor.scopes = held.to_vec();
    }

    /// Brings the records of scopes that are still arriving, up to the main position.
    async fn backfill(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        cursor: &mut Cursor,
        operations: &mut Operations,
    ) -> Result<(), PullError> {
        while let Some(&(scope, position)) = cursor.backfill.first() {
            if operations.len() >= self.limit_bytes && operations.count > 0 {
                return Ok(());
            }
            let Some(key) = self.snapshot.scopes.key(scope) else {
                cursor.backfill.remove(0);
                continue;
            };
            let rows = read_scope(tx, scope, key, position, cursor.seq, ROWS_PER_READ).await?;
            let is_last = rows.len() < usize::try_from(ROWS_PER_READ).unwrap_or(usize::MAX);
            let arriving: HashSet<ScopeId> = cursor.backfill.iter().map(|(scope, _)| *scope).collect();
            for row in rows {
                if operations.len() >= self.limit_bytes && operations.count > 0 {
                    if is_seeded(Fault::DropBackfillMark) {
                        cursor.backfill.remove(0);
                    }
                    return Ok(());
                }
                let scopes = self.scopes_of(&row, &cursor.scopes);
                let is_known = scopes.iter().any(|scope| !arriving.contains(scope));
                let seq = row.seq;
                if !is_known {
                    self.put_whole(&row, &scopes, operations)?;
                } else if !cursor.first_sync {
                    operations.acknowledged(&self.head(&row, &scopes));
                }
                cursor.backfill[0].1 = seq;
            }
            if is_last {
                cursor.backfill.remove(0);
            }
        }
        Ok(())
    }

    /// Brings what changed after the main position.
    async fn changes(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        head: Sequence,
        cursor: &mut Cursor,
        gained: &Gained,
        operations: &mut Operations,
    ) -> Result<(), PullError> {
        while cursor.seq < head {
            let (events, until) = self.read_events(tx, cursor, head).await?;
            for event in events {
                if operations.len() >= self.limit_bytes && operations.count > 0 {
                    return Ok(());
                }
                let seq = event.seq;
                self.tell(event, cursor, gained, operations)?;
                cursor.seq = seq;
            }
            cursor.seq = until;
        }
        Ok(())
    }

    /// The events after the cursor in order, and up to where they are all that there is.
    async fn read_events(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        cursor: &Cursor,
        head: Sequence,
    ) -> Result<(Vec<Event>, Sequence), sqlx::Error> {
        let whole_entities: Vec<EntityCode> = cursor
            .scopes
            .iter()
            .filter_map(|scope| self.snapshot.scopes.key(*scope))
            .filter(|key| key.kind == ScopeKind::All)
            .map(|key| key.entity)
            .collect();
        let position = cursor.seq.cast_signed();
        let mut until = head;
        let mut events: HashMap<Uuid, Event> = HashMap::new();

        // The `+` keeps the planner on the index of the sequence: by entity it would sort all that is left for each page.
        let rows: Vec<Row> = sqlx::query_as(sql(format!(
            "SELECT {COLUMNS} FROM record AS r
             WHERE r.seq > $1 AND +r.entity IN (SELECT value FROM json_each($2)) ORDER BY r.seq LIMIT {ROWS_PER_READ}"
        )))
        .bind(position)
        .bind(Json(&whole_entities))
        .fetch_all(&mut **tx)
        .await?;
        until = bound(until, rows.last().map(|row| row.seq), rows.len());
        for row in rows {
            let had = row.created_seq <= cursor.from;
            events.insert(row.id, Event { id: row.id, seq: row.seq, had, what: What::Stands(Box::new(row)) });
        }

        let rows: Vec<(Uuid, i64)> = sqlx::query_as(sql(format!(
            "SELECT id, seq FROM tombstone
             WHERE seq > $1 AND +entity IN (SELECT value FROM json_each($2)) ORDER BY seq LIMIT {ROWS_PER_READ}"
        )))
        .bind(position)
        .bind(Json(&whole_entities))
        .fetch_all(&mut **tx)
        .await?;
        until = bound(until, rows.last().map(|(_, seq)| seq.cast_unsigned()), rows.len());
        for (id, seq) in rows {
            events.insert(id, Event { id, seq: seq.cast_unsigned(), had: true, what: What::Deleted });
        }

        let rows = sqlx::query(sql(format!(
            "SELECT e.record, e.seq AS entry_seq, e.entered, e.state, {COLUMNS}
             FROM (
                 SELECT record, seq, entered, state FROM scope_entry
                 WHERE scope IN (SELECT value FROM json_each($2)) AND seq > $1 ORDER BY seq LIMIT {ROWS_PER_READ}
             ) AS e LEFT JOIN record AS r ON r.id = e.record
             ORDER BY e.seq"
        )))
        .bind(position)
        .bind(Json(&cursor.scopes))
        .fetch_all(&mut **tx)
        .await?;
        let last = rows.last().map(|row| row.try_get::<i64, _>("entry_seq")).transpose()?;
        until = bound(until, last.map(i64::cast_unsigned), rows.len());
        for row in &rows {
            self.take_entry(row, cursor, &mut events)?;
        }
        let mut events: Vec<Event> = events.into_values().filter(|event| event.seq <= until).collect();
        events.sort_unstable_by_key(|event| event.seq);
        Ok((events, until))
    }

    fn take_entry(
        &self,
        row: &SqliteRow,
        cursor: &Cursor,
        events: &mut HashMap<Uuid, Event>,
    ) -> Result<(), sqlx::Error> {
        const LEFT: i64 = 1;
        const DELETED: i64 = 2;
        let id: Uuid = row.try_get("record")?;
        let seq = row.try_get::<i64, _>("entry_seq")?.cast_unsigned();
        let entered = row.try_get::<i64, _>("entered")?.cast_unsigned();
        let had = entered <= cursor.from;
        let state: i64 = row.try_get("state")?;
        let record = row.try_get::<Option<Uuid>, _>("id")?.map(|_| Row::from_row(row)).transpose()?;
        let what = match (state, record) {
            (LEFT, Some(record)) if !self.scopes_of(&record, &cursor.scopes).is_empty() => {
                // It stands in another held scope, whose entry tells where it is now; that the device had it stays true.
                // Before there is a consistent point to go back to, it is told at once: that scope may be gone when it is
                // the turn of its entry.
                if cursor.from == 0 {
                    What::Stands(Box::new(record))
                } else {
                    if let Some(event) = events.get_mut(&id) {
                        event.had |= had;
                    }
                    return Ok(());
                }
            }
            (DELETED, _) => What::Deleted,
            // Also when it was made since the cursor: a page before may have brought it, from where the news began again
            // when a scope was dropped; or a chunk.
            (LEFT, _) => What::Left,
            (_, Some(record)) => What::Stands(Box::new(record)),
            (_, None) => return Ok(()),
        };
        events.entry(id).and_modify(|event| event.had |= had).or_insert(Event { id, seq, had, what });
        Ok(())
    }

    fn tell(
        &self,
        event: Event,
        cursor: &Cursor,
        gained: &Gained,
        operations: &mut Operations,
    ) -> Result<(), PullError> {
        match event.what {
            What::Deleted => operations.delete(event.id, event.seq),
            What::Left => operations.exit(event.id, event.seq),
            What::Stands(row) => {
                let scopes = self.scopes_of(&row, &cursor.scopes);
                let made_it = row.created_by_device == self.device && self.device != 0 && row.created_seq > cursor.seq;
                if event.had || (made_it && cursor.from > 0) {
                    self.put_changes(&row, &scopes, cursor.from, gained, operations)?;
                } else {
                    self.put_whole(&row, &scopes, operations)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn put_whole(
        &self,
        row: &Row,
        scopes: &[ScopeId],
        operations: &mut Operations,
    ) -> Result<(), serde_json::Error> {
        let head = self.head(row, scopes);
        match self.rights.projection(head.entity) {
            Some(projection) => operations.put(&head, &row.body, projection),
            None => Ok(()),
        }
    }

    /// Only what the device does not have: fields that changed after it was last whole, by others than itself.
    fn put_changes(
        &self,
        row: &Row,
        scopes: &[ScopeId],
        since: Sequence,
        gained: &Gained,
        operations: &mut Operations,
    ) -> Result<(), serde_json::Error> {
        let head = self.head(row, scopes);
        let Some(projection) = self.rights.projection(head.entity) else { return Ok(()) };
        let field_seq: FieldSequences = serde_json::from_str(&row.field_seq)?;
        let mut names: BTreeSet<&str> = field_seq
            .iter()
            .filter(|(name, (seq, device))| {
                *seq > since && (self.device == 0 || *device != self.device) && projection.shows(name)
            })
            .map(|(name, _)| name.as_str())
            .collect();
        names.extend(gained.get(head.entity).into_iter().flatten().map(String::as_str));
        if names.is_empty() {
            operations.acknowledged(&head);
            return Ok(());
        }
        operations.put_partial(&head, &row.body, &names.into_iter().collect::<Vec<_>>())
    }

    pub(super) fn head<'r>(&'r self, row: &Row, scopes: &'r [ScopeId]) -> Head<'r> {
        let entity = self.snapshot.catalogue.name_of(row.entity).unwrap_or_default();
        Head { entity, id: row.id, seq: row.seq, scopes }
    }

    /// The held scopes that a record stands in.
    pub(super) fn scopes_of(&self, row: &Row, held: &[ScopeId]) -> Vec<ScopeId> {
        let mut scopes: Vec<ScopeId> = std::iter::once(ScopeKey::all(row.entity))
            .chain(self.snapshot.scopes.keys_of(row.entity, &row.place, row.is_carried))
            .filter_map(|key| self.snapshot.scopes.id(&key))
            .filter(|scope| held.binary_search(scope).is_ok())
            .collect();
        scopes.sort_unstable();
        scopes
    }
}

/// Something that happened to a record after a cursor.
struct Event {
    id: Uuid,
    seq: Sequence,
    /// The device had the record when it was last whole: all but what changed since is on it.
    had: bool,
    what: What,
}

enum What {
    Stands(Box<Row>),
    Left,
    Deleted,
}

/// A statement that read as many rows as it may says nothing of what comes after its last row.
fn bound(until: Sequence, last: Option<Sequence>, rows: usize) -> Sequence {
    match last {
        Some(last) if i64::try_from(rows).unwrap_or(i64::MAX) >= ROWS_PER_READ => until.min(last),
        _ => until,
    }
}

pub(super) async fn read_scope(
    tx: &mut Transaction<'_, Sqlite>,
    scope: ScopeId,
    key: ScopeKey,
    after: Sequence,
    until: Sequence,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let (statement, of) = if key.kind == ScopeKind::All {
        let statement = format!(
            "SELECT {COLUMNS} FROM record AS r
             WHERE r.entity = $1 AND r.seq > $2 AND r.seq <= $3 ORDER BY r.seq LIMIT $4"
        );
        (statement, key.entity)
    } else {
        let statement = format!(
            "SELECT {COLUMNS} FROM scope_entry AS e JOIN record AS r ON r.id = e.record
             WHERE e.scope = $1 AND e.seq > $2 AND e.seq <= $3 AND e.state = 0 ORDER BY e.seq LIMIT $4"
        );
        (statement, i64::from(scope))
    };
    sqlx::query_as(sql(statement))
        .bind(of)
        .bind(after.cast_signed())
        .bind(until.cast_signed())
        .bind(limit)
        .fetch_all(&mut **tx)
        .await
}

/// These statements are put together from constants of this file alone.
pub(super) fn sql(statement: String) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(statement)
}
