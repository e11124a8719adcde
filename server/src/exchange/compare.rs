//! What differs between a device and the server, found range by range, and what mends it.
//!
//! A request costs no more than a page, whatever a device claims: a scope's digest stands in a table, a range is read as
//! far as the device's own count and one row more, the rows of all ranges are counted, and a list is looked up by id.

use std::collections::{HashMap, HashSet};

use sqlx::{Sqlite, Transaction};
use sync_protocol::cursor::Cursor;
use sync_protocol::digest::{Hash, SetDigest, deep_leaf, leaf};
use sync_protocol::id::{RecordId, ScopeId, Sequence};
use sync_protocol::wire::{
    DigestRange, DigestRequest, MAX_DEEP_RANGE_RECORDS, MAX_RANGE_RECORDS, RangeAnswer, ScopeDigest,
};
use uuid::Uuid;

use super::operation::Operations;
use super::point::Point;
use super::pull::{PullError, Puller, ROWS_PER_READ, read_scope, sql};
use super::row::{COLUMNS, Row};
use super::scope_digest;
use crate::platform::db::Db;
use crate::scope::{ScopeKey, ScopeKind};

/// What a comparison found.
#[derive(Debug)]
pub(super) struct Compared {
    /// From which to compare and pull on.
    pub(super) cursor: Cursor,
    /// Scopes that differ.
    pub(super) scopes: Vec<ScopeId>,
    /// Of the first ranges of the request.
    pub(super) ranges: Vec<RangeAnswer>,
    /// A JSON array of operations.
    pub(super) operations: String,
    /// How many there are.
    pub(super) count: usize,
}

/// One comparison under way, within one read of the database.
struct Comparison<'a> {
    puller: &'a Puller<'a>,
    tx: Transaction<'static, Sqlite>,
    deep: bool,
    /// Records with a later sequence are left to the pull that follows.
    until: Sequence,
    /// The scopes that are compared, sorted; in another one the server has nothing for this device.
    scopes: Vec<ScopeId>,
    operations: Operations,
    /// Records that were put already: they may stand in several ranges.
    put: HashSet<Uuid>,
    /// Rows that may still be read.
    budget: u64,
}

impl Puller<'_> {
    /// Compares what the request says with the database; `cursor` is the request's, `live_head` as in [`Puller::pull`].
    ///
    /// # Errors
    /// [`PullError`].
    pub(super) async fn compare(
        &self,
        db: &Db,
        live_head: Sequence,
        request: &DigestRequest,
        cursor: Cursor,
    ) -> Result<Compared, PullError> {
        let held = self.snapshot.scopes.held(self.rights, &self.snapshot.catalogue);
        let mut tx = db.readers().begin().await?;
        let point = Point::read(&mut tx, self.device).await?;
        if point.head > live_head {
            return Err(PullError::SnapshotBehind);
        }
        // Whose role sees other fields now gets everything anew: there is nothing to compare.
        let is_other_view = cursor.view != self.rights.view.hidden;
        // A deep comparison is of what the device has. It does not find what came where it has nothing, so a cursor that
        // no longer serves stays what it is, and the exchange after it orders the search that does.
        let is_renewed = !request.deep && point.why_mend(&cursor, self.epoch, &held).is_some();
        let (epoch, seq) = if is_renewed { (self.epoch, point.head) } else { (cursor.epoch, cursor.seq) };
        let mut operations = Operations::new();
        let (scopes, dropped): (Vec<ScopeId>, Vec<ScopeId>) = if is_other_view {
            (cursor.scopes, Vec::new())
        } else {
            cursor.scopes.into_iter().partition(|scope| held.binary_search(scope).is_ok())
        };
        for scope in &dropped {
            operations.scope_drop(*scope);
        }
        let cursor = Cursor { epoch, seq, from: 0, scopes, ..cursor };
        let answer = |range: &DigestRange| if range.records.is_some() { MENDED } else { RangeAnswer::Same };
        if is_other_view {
            let ranges = request.ranges.iter().map(answer).collect();
            return Ok(Compared { cursor, scopes: Vec::new(), ranges, operations: operations.finish(), count: 0 });
        }
        // Scopes that are still arriving come with the pull.
        let arriving = |scope: &ScopeId| cursor.backfill.iter().any(|(arriving, _)| arriving == scope);
        let scopes = cursor.scopes.iter().copied().filter(|scope| !arriving(scope)).collect();
        let budget = if request.deep { MAX_DEEP_RANGE_RECORDS } else { MAX_RANGE_RECORDS };
        let put = HashSet::new();
        let mut comparison =
            Comparison { puller: self, tx, deep: request.deep, until: seq, scopes, operations, put, budget };
        let scopes = match &request.scopes {
            Some(claimed) => comparison.differing(claimed, &held).await?,
            None => Vec::new(),
        };
        let mut ranges = Vec::with_capacity(request.ranges.len());
        for range in &request.ranges {
            if !ranges.is_empty() && (comparison.budget == 0 || comparison.is_full()) {
                break;
            }
            ranges.push(if dropped.contains(&range.scope) { answer(range) } else { comparison.take(range).await? });
        }
        let operations = comparison.operations;
        Ok(Compared { cursor, scopes, ranges, count: operations.count, operations: operations.finish() })
    }
}

const MENDED: RangeAnswer = RangeAnswer::Mended { until: None };

impl Comparison<'_> {
    fn is_full(&self) -> bool {
        self.operations.count > 0 && self.operations.len() >= self.puller.limit_bytes
    }

    /// The scopes whose digest is another than the device's. What changed after `until` makes one differ too, and the
    /// ranges tell it apart.
    async fn differing(&mut self, claimed: &[ScopeDigest], held: &[ScopeId]) -> Result<Vec<ScopeId>, PullError> {
        let own: HashMap<ScopeId, SetDigest> = scope_digest::read(&mut self.tx, held).await?.into_iter().collect();
        let theirs: HashMap<ScopeId, SetDigest> = claimed.iter().map(|one| (one.scope, one.digest)).collect();
        let mut scopes: Vec<ScopeId> = self.scopes.iter().chain(theirs.keys()).copied().collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes.retain(|scope| {
            let own = own.get(scope).filter(|_| self.scopes.binary_search(scope).is_ok()).copied().unwrap_or_default();
            own != theirs.get(scope).copied().unwrap_or_default()
        });
        Ok(scopes)
    }

    async fn take(&mut self, range: &DigestRange) -> Result<RangeAnswer, PullError> {
        let key = self.puller.snapshot.scopes.key(range.scope);
        let key = key.filter(|_| self.scopes.binary_search(&range.scope).is_ok());
        match &range.records {
            None => self.weigh(range, key).await,
            Some(records) => self.mend(range, key, records).await,
        }
    }

    /// Whether the server's records of a range are those that the device claims to have.
    async fn weigh(&mut self, range: &DigestRange, key: Option<ScopeKey>) -> Result<RangeAnswer, PullError> {
        let most = if self.deep { MAX_DEEP_RANGE_RECORDS } else { MAX_RANGE_RECORDS };
        if range.digest.count >= most {
            return Ok(RangeAnswer::Differs);
        }
        let mut own = SetDigest::default();
        if let Some(key) = key {
            let limit = (range.digest.count + 1).cast_signed();
            self.budget = self.budget.saturating_sub(range.digest.count + 1);
            let until = self.end_of(range);
            if self.deep {
                for row in read_scope(&mut self.tx, range.scope, key, range.after, until, limit).await? {
                    own.add(self.leaf(&row)?);
                }
            } else {
                for (id, seq) in read_leaves(&mut self.tx, range.scope, key, range.after, until, limit).await? {
                    own.add(leaf(RecordId(id), seq.cast_unsigned()));
                }
            }
        }
        Ok(if own == range.digest { RangeAnswer::Same } else { RangeAnswer::Differs })
    }

    /// Tells the device what it lists otherwise than the server has it, and what it does not list.
    async fn mend(
        &mut self,
        range: &DigestRange,
        key: Option<ScopeKey>,
        records: &[(RecordId, Hash)],
    ) -> Result<RangeAnswer, PullError> {
        self.budget = self.budget.saturating_sub(records.len() as u64);
        let mut found: HashMap<Uuid, Row> = HashMap::new();
        for row in self.look_up(records).await? {
            found.insert(row.id, row);
        }
        for (id, leaf) in records {
            let row = found.get(&id.0);
            let scopes = row.map(|row| self.puller.scopes_of(row, &self.scopes)).unwrap_or_default();
            match row.filter(|_| !scopes.is_empty()) {
                // The pull brings it whole.
                Some(row) if row.seq > self.until => {}
                Some(row) if scopes.contains(&range.scope) && self.leaf(row)? == *leaf => {}
                Some(row) => self.put(row, &scopes)?,
                // Deleted, or out of reach: which of the two is not told to somebody who may no longer see it.
                None => self.operations.exit(id.0, self.until),
            }
        }
        let Some(key) = key else { return Ok(MENDED) };
        let listed: HashSet<Uuid> = records.iter().map(|(id, _)| id.0).collect();
        let until = self.end_of(range);
        let mut after = range.after;
        loop {
            let rows = read_scope(&mut self.tx, range.scope, key, after, until, ROWS_PER_READ).await?;
            let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < ROWS_PER_READ;
            self.budget = self.budget.saturating_sub(rows.len() as u64);
            for row in rows {
                if self.is_full() && after > range.after {
                    return Ok(RangeAnswer::Mended { until: Some(after) });
                }
                after = row.seq;
                if !listed.contains(&row.id) {
                    let scopes = self.puller.scopes_of(&row, &self.scopes);
                    self.put(&row, &scopes)?;
                }
            }
            if is_last {
                return Ok(MENDED);
            }
        }
    }

    fn put(&mut self, row: &Row, scopes: &[ScopeId]) -> Result<(), PullError> {
        if self.put.insert(row.id) {
            self.puller.put_whole(row, scopes, &mut self.operations)?;
        }
        Ok(())
    }

    fn end_of(&self, range: &DigestRange) -> Sequence {
        range.until.map_or(self.until, |until| until.min(self.until))
    }

    /// What a record counts with, its fields as the user may see them.
    fn leaf(&self, row: &Row) -> Result<Hash, PullError> {
        let id = RecordId(row.id);
        if !self.deep {
            return Ok(leaf(id, row.seq));
        }
        let mut fields: crm::Fields = serde_json::from_str(&row.body)?;
        let entity = self.puller.snapshot.catalogue.name_of(row.entity).unwrap_or_default();
        if let Some(projection) = self.puller.rights.projection(entity) {
            projection.apply(&mut fields);
        }
        Ok(deep_leaf(id, row.seq, &fields))
    }

    async fn look_up(&mut self, records: &[(RecordId, Hash)]) -> Result<Vec<Row>, sqlx::Error> {
        let ids: Vec<String> = records.iter().map(|(id, _)| id.0.as_simple().to_string()).collect();
        let statement =
            format!("SELECT {COLUMNS} FROM record AS r WHERE r.id IN (SELECT unhex(value) FROM json_each($1))");
        sqlx::query_as(sql(statement)).bind(sqlx::types::Json(ids)).fetch_all(&mut *self.tx).await
    }
}

/// Id and sequence of a scope's records in a range.
async fn read_leaves(
    tx: &mut Transaction<'_, Sqlite>,
    scope: ScopeId,
    key: ScopeKey,
    after: Sequence,
    until: Sequence,
    limit: i64,
) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    let (statement, of) = if key.kind == ScopeKind::All {
        let statement = "SELECT id, seq FROM record WHERE entity = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4";
        (statement, key.entity)
    } else {
        let statement = "SELECT record, seq FROM scope_entry
                         WHERE scope = $1 AND seq > $2 AND seq <= $3 AND state = 0 ORDER BY seq LIMIT $4";
        (statement, i64::from(scope))
    };
    sqlx::query_as(statement)
        .bind(of)
        .bind(after.cast_signed())
        .bind(until.cast_signed())
        .bind(limit)
        .fetch_all(&mut **tx)
        .await
}
