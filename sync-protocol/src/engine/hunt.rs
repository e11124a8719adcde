//! The search for what differs: ranges of sequences, halved many times over until a short list says which records.
//!
//! Ranges are of sequences and not of ids: the server keeps its records in that order, what a restored server lost
//! stands together at the end, and what a device missed lies where it was when it missed it.

use std::collections::{BTreeMap, VecDeque};

use crate::PROTOCOL_VERSION;
use crate::digest::{Hash, SetDigest, deep_leaf, leaf};
use crate::id::{RecordId, ScopeId, Sequence};
use crate::store::HeldRecord;
use crate::wire::{
    DigestRange, DigestRequest, DigestResponse, MAX_DEEP_RANGE_RECORDS, MAX_RANGE_RECORDS, MAX_RANGES_PER_DIGEST,
    MAX_RECORDS_PER_DIGEST, MendReason, Operation, RangeAnswer, ScopeDigest,
};

/// A range of so many records is listed; a larger one is cut into at most [`PARTS`] first.
const LISTED_RECORDS: usize = 128;
const PARTS: usize = 64;

/// What the device held when the search began, and what is still to be asked about it.
#[derive(Debug)]
pub(super) struct Hunt {
    pub(super) why: MendReason,
    /// For the next request.
    pub(super) cursor: String,
    has_begun: bool,
    /// The server has said up to where it compares.
    is_fixed: bool,
    /// By scope, in the order of the sequence.
    held: BTreeMap<ScopeId, Vec<(Sequence, RecordId, Hash)>>,
    /// What operations that are staged have said of records: where they stand now; `None`: nowhere.
    mended: BTreeMap<RecordId, Option<Mended>>,
    waiting: VecDeque<Range>,
    asked: Vec<Range>,
    /// Whether any operation came.
    pub(super) has_mended: bool,
}

#[derive(Debug)]
struct Mended {
    seq: Sequence,
    scopes: Vec<ScopeId>,
    leaf: Hash,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    scope: ScopeId,
    after: Sequence,
    until: Option<Sequence>,
    /// The server said that something in it differs.
    differs: bool,
}

impl Range {
    fn whole(scope: ScopeId) -> Self {
        Self { scope, after: 0, until: None, differs: false }
    }

    fn holds(&self, seq: Sequence) -> bool {
        // No sequence is 0, but a damaged record may say so: it belongs to the first range.
        (seq > self.after || self.after == 0) && self.until.is_none_or(|until| seq <= until)
    }
}

impl Hunt {
    pub(super) fn new(why: MendReason, cursor: String, records: Vec<HeldRecord>) -> Self {
        let mut held: BTreeMap<ScopeId, Vec<(Sequence, RecordId, Hash)>> = BTreeMap::new();
        for HeldRecord { id, seq, scopes, leaf } in records {
            for scope in scopes {
                held.entry(scope).or_default().push((seq, id, leaf));
            }
        }
        for records in held.values_mut() {
            records.sort_unstable();
        }
        let mut hunt = Self {
            why,
            cursor,
            has_begun: false,
            is_fixed: false,
            held,
            mended: BTreeMap::new(),
            waiting: VecDeque::new(),
            asked: Vec::new(),
            has_mended: false,
        };
        hunt.begin();
        hunt
    }

    fn is_deep(&self) -> bool {
        self.why == MendReason::Deep
    }

    fn begin(&mut self) {
        self.has_begun = false;
        self.is_fixed = false;
        self.asked.clear();
        self.waiting.clear();
        if self.is_deep() {
            let scopes: Vec<ScopeId> = self.held.keys().copied().collect();
            self.waiting = scopes.into_iter().flat_map(|scope| self.parts(Range::whole(scope))).collect();
        }
    }

    /// Whether nothing is left to ask.
    pub(super) fn is_done(&self) -> bool {
        (self.has_begun || self.is_deep()) && self.waiting.is_empty() && self.asked.is_empty()
    }

    /// The next request.
    pub(super) fn ask(&mut self, limit_bytes: u64) -> DigestRequest {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let scopes = (is_first && !self.is_deep()).then(|| self.scopes());
        self.put_back();
        let mut ranges = Vec::new();
        let (mut compared, mut listed) = (0, 0);
        while let Some(range) = self.waiting.pop_front() {
            let mut records = self.records(&range);
            let digest = SetDigest::of(records.iter().map(|(_, leaf)| *leaf));
            compared += digest.count + 1;
            listed += if range.differs { records.len() } else { 0 };
            let is_full =
                ranges.len() == MAX_RANGES_PER_DIGEST || compared > self.most() || listed > MAX_RECORDS_PER_DIGEST;
            if is_full && !ranges.is_empty() {
                self.waiting.push_front(range);
                break;
            }
            // More than that have the same sequence: the store is damaged beyond one search.
            records.truncate(MAX_RECORDS_PER_DIGEST);
            let Range { scope, after, until, differs } = range;
            ranges.push(DigestRange { scope, after, until, digest, records: differs.then_some(records) });
            self.asked.push(range);
        }
        DigestRequest {
            protocol: PROTOCOL_VERSION,
            cursor: self.cursor.clone(),
            why: is_first.then_some(self.why),
            deep: self.is_deep(),
            scopes,
            ranges,
            limit_bytes,
        }
    }

    /// The request that was asked last had no answer: it is asked again.
    pub(super) fn ask_again(&mut self) {
        if self.asked.is_empty() && self.waiting.is_empty() {
            self.has_begun = false;
        }
        self.put_back();
    }

    fn put_back(&mut self) {
        for range in self.asked.drain(..).rev() {
            self.waiting.push_front(range);
        }
    }

    /// Takes an answer; false when it says nothing of what was asked, so that asking again would lead nowhere.
    pub(super) fn take(&mut self, response: &DigestResponse, operations: &[Operation]) -> bool {
        if response.ranges.is_empty() && !self.asked.is_empty() {
            return false;
        }
        let is_moved = self.is_fixed && self.cursor != response.cursor;
        self.is_fixed = true;
        self.cursor.clone_from(&response.cursor);
        self.has_mended |= !operations.is_empty();
        for operation in operations {
            self.follow(operation);
        }
        if is_moved {
            // The server was restored meanwhile, or compares up to another point for another reason: what was said to
            // be the same holds no longer.
            self.begin();
            return true;
        }
        let asked = std::mem::take(&mut self.asked);
        for (index, range) in asked.into_iter().enumerate() {
            match response.ranges.get(index) {
                Some(RangeAnswer::Same | RangeAnswer::Mended { until: None }) => {}
                Some(RangeAnswer::Mended { until: Some(until) }) => {
                    if *until > range.after && range.until.is_none_or(|end| *until < end) {
                        self.waiting.push_back(Range { after: *until, ..range });
                    }
                }
                // A list is mended or left over; there is no smaller question.
                Some(RangeAnswer::Differs) if range.differs => {}
                Some(RangeAnswer::Differs) => {
                    let parts = self.cut(range);
                    self.waiting.extend(parts);
                }
                None => self.waiting.push_back(range),
            }
        }
        for scope in &response.scopes {
            let parts = self.cut(Range::whole(*scope));
            self.waiting.extend(parts);
        }
        true
    }

    /// Smaller ranges of one that differs, or, where it is small, the same with its records.
    fn cut(&self, range: Range) -> Vec<Range> {
        let is_small = self.standing(&range).nth(LISTED_RECORDS).is_none();
        let parts = if is_small { Vec::new() } else { self.parts(range) };
        if parts.len() > 1 { parts } else { vec![Range { differs: true, ..range }] }
    }

    /// The range in parts of about equal size, to be compared one by one.
    fn parts(&self, range: Range) -> Vec<Range> {
        let mut sequences: Vec<Sequence> = self.standing(&range).map(|(seq, _, _)| seq).collect();
        sequences.sort_unstable();
        let most = usize::try_from(self.most() - 1).unwrap_or(usize::MAX);
        let size = sequences.len().div_ceil(PARTS).max(LISTED_RECORDS).min(most);
        let mut ends: Vec<Sequence> = sequences.chunks(size).filter_map(|part| part.last().copied()).collect();
        // The last part ends where the range does.
        ends.pop();
        ends.dedup();
        let mut parts = Vec::with_capacity(ends.len() + 1);
        let mut after = range.after;
        for end in ends.into_iter().filter(|end| *end > range.after) {
            parts.push(Range { after, until: Some(end), differs: false, ..range });
            after = end;
        }
        parts.push(Range { after, differs: false, ..range });
        parts
    }

    /// How many records a server compares for one request.
    fn most(&self) -> u64 {
        if self.is_deep() { MAX_DEEP_RANGE_RECORDS } else { MAX_RANGE_RECORDS }
    }

    fn scopes(&self) -> Vec<ScopeDigest> {
        let digest = |records: &[(Sequence, RecordId, Hash)]| SetDigest::of(records.iter().map(|(_, _, leaf)| *leaf));
        self.held.iter().map(|(scope, records)| ScopeDigest { scope: *scope, digest: digest(records) }).collect()
    }

    /// The records in a range, with what is staged laid over what was held.
    fn records(&self, range: &Range) -> Vec<(RecordId, Hash)> {
        self.standing(range).map(|(_, id, leaf)| (id, leaf)).collect()
    }

    fn standing<'a>(&'a self, range: &'a Range) -> impl Iterator<Item = (Sequence, RecordId, Hash)> + 'a {
        let held = self.held.get(&range.scope).map(Vec::as_slice).unwrap_or_default();
        let from = held.partition_point(|(seq, _, _)| *seq <= range.after && range.after > 0);
        let to = range.until.map_or(held.len(), |until| held.partition_point(|(seq, _, _)| *seq <= until)).max(from);
        let untouched = held[from..to].iter().copied().filter(|(_, id, _)| !self.mended.contains_key(id));
        let mended = self.mended.iter().filter_map(|(id, mended)| {
            let Mended { seq, scopes, leaf } = mended.as_ref()?;
            (range.holds(*seq) && scopes.contains(&range.scope)).then_some((*seq, *id, *leaf))
        });
        untouched.chain(mended)
    }

    fn follow(&mut self, operation: &Operation) {
        match operation {
            Operation::Put { id, seq, scopes, set, .. } => {
                let leaf = if self.is_deep() { deep_leaf(*id, *seq, set) } else { leaf(*id, *seq) };
                self.mended.insert(*id, Some(Mended { seq: *seq, scopes: scopes.clone(), leaf }));
            }
            Operation::Exit { id, .. } | Operation::Delete { id, .. } => {
                self.mended.insert(*id, None);
            }
            Operation::ScopeDrop { scope } => {
                self.held.remove(scope);
                for mended in self.mended.values_mut().flatten() {
                    mended.scopes.retain(|held| held != scope);
                }
            }
            Operation::Acknowledged { .. } | Operation::ScopeAdd { .. } => {}
        }
    }
}
