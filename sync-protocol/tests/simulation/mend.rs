//! The server's side of mending, without an index: it answers a digest request from all that it has.

use std::collections::BTreeSet;

use serde_json::value::to_raw_value;
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::cursor::Cursor;
use sync_protocol::digest::{Hash, SetDigest, combine, deep_leaf, leaf};
use sync_protocol::id::{RecordId, ScopeId, Sequence};
use sync_protocol::wire::{DigestRange, DigestRequest, DigestResponse, Operation, Problem, RangeAnswer, ScopeDigest};

use super::server::{Row, Server};

/// Ranges that one answer looks at, so that some are left over.
const RANGES: usize = 3;

impl Server {
    /// What a device that is in step has for all held scopes.
    pub fn combined(&self) -> Hash {
        combine(self.held.iter().map(|scope| (*scope, self.standing(*scope, false, Sequence::MAX))))
    }

    fn standing(&self, scope: ScopeId, deep: bool, until: Sequence) -> SetDigest {
        let rows = self.rows.iter().filter(|(_, row)| row.scopes.contains_key(&scope) && row.seq <= until);
        SetDigest::of(rows.map(|(id, row)| own_leaf(*id, row, deep)))
    }

    pub fn digest(&self, request: &DigestRequest) -> Result<DigestResponse, Box<Problem>> {
        let cursor = self.open(&request.cursor)?;
        let is_old = cursor.epoch != self.epoch || cursor.seq < self.horizon;
        let seq = if is_old { self.head() } else { cursor.seq };
        let (scopes, dropped): (Vec<ScopeId>, Vec<ScopeId>) =
            cursor.scopes.iter().partition(|scope| self.held.contains(scope));
        let compared: BTreeSet<ScopeId> = scopes.iter().copied().collect();
        let cursor = Cursor { epoch: self.epoch, seq, from: 0, scopes, ..cursor };
        let scopes = request.scopes.as_ref().map(|scopes| self.differing(scopes, &compared)).unwrap_or_default();
        let mut operations: Vec<Operation> =
            dropped.iter().map(|scope| Operation::ScopeDrop { scope: *scope }).collect();
        let mut ranges = Vec::new();
        for range in request.ranges.iter().take(RANGES) {
            if operations.len() >= self.page() && !ranges.is_empty() {
                break;
            }
            let answer = if dropped.contains(&range.scope) {
                RangeAnswer::Same
            } else {
                self.answer_range(range, request.deep, seq, &compared, &mut operations)
            };
            ranges.push(answer);
        }
        Ok(DigestResponse {
            protocol: PROTOCOL_VERSION,
            cursor: self.seal(&cursor),
            scopes,
            ranges,
            operations: to_raw_value(&operations).expect("operations are JSON"),
        })
    }

    fn differing(&self, scopes: &[ScopeDigest], compared: &BTreeSet<ScopeId>) -> Vec<ScopeId> {
        let named = scopes.iter().map(|named| named.scope);
        let all: BTreeSet<ScopeId> = named.chain(compared.iter().copied()).collect();
        let theirs =
            |scope| scopes.iter().find(|named| named.scope == scope).map(|named| named.digest).unwrap_or_default();
        let own = |scope: &ScopeId| {
            if compared.contains(scope) { self.standing(*scope, false, Sequence::MAX) } else { SetDigest::default() }
        };
        all.into_iter().filter(|scope| own(scope) != theirs(*scope)).collect()
    }

    fn answer_range(
        &self,
        range: &DigestRange,
        deep: bool,
        seq: Sequence,
        compared: &BTreeSet<ScopeId>,
        operations: &mut Vec<Operation>,
    ) -> RangeAnswer {
        let until = range.until.unwrap_or(Sequence::MAX).min(seq);
        let mut own: Vec<(&RecordId, &Row)> = Vec::new();
        if compared.contains(&range.scope) {
            let stands = |row: &Row| row.scopes.contains_key(&range.scope) && row.seq > range.after && row.seq <= until;
            own.extend(self.rows.iter().filter(|(_, row)| stands(row)));
        }
        own.sort_by_key(|(_, row)| row.seq);
        let Some(listed) = &range.records else {
            let digest = SetDigest::of(own.iter().map(|(id, row)| own_leaf(**id, row, deep)));
            return if digest == range.digest { RangeAnswer::Same } else { RangeAnswer::Differs };
        };
        for (id, leaf) in listed {
            match self.rows.get(id).filter(|row| row.scopes.keys().any(|scope| compared.contains(scope))) {
                Some(row) if row.seq > seq => {}
                Some(row) if *leaf == own_leaf(*id, row, deep) && row.scopes.contains_key(&range.scope) => {}
                Some(row) => operations.push(self.put(*id, row, None)),
                None => operations.push(Operation::Exit { id: *id, seq }),
            }
        }
        for (id, row) in own.into_iter().filter(|(id, _)| listed.iter().all(|(listed, _)| listed != *id)) {
            operations.push(self.put(*id, row, None));
            if operations.len() > self.page() {
                return RangeAnswer::Mended { until: Some(row.seq) };
            }
        }
        RangeAnswer::Mended { until: None }
    }
}

fn own_leaf(id: RecordId, row: &Row, deep: bool) -> Hash {
    if deep { deep_leaf(id, row.seq, &row.fields) } else { leaf(id, row.seq) }
}
