//! The chunks of one scope under one projection, and what is known of how they stand to the records.

use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::id::{ScopeId, Sequence};
use sync_protocol::wire::chunk::{ChunkHash, ChunkWriter};
use uuid::Uuid;

use crate::scope::ScopeKey;

/// What comes after the cursor of a manifest goes out whole once more, so a chunk may lie back this many sequences: at
/// most so many records come twice.
const MOST_SEQUENCES_BEHIND: u64 = 2_000;

/// One in this many records, and a few more, may have changed before a chunk is cut anew.
const ONE_CHANGED_IN: u64 = 8;
const FEW: u64 = 4;

/// Which records, as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetKey {
    /// The scope.
    pub scope: ScopeId,
    /// A number for the fields that the projection shows.
    pub shown: u64,
}

/// A set that a manifest wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which one.
    pub key: SetKey,
    /// What its scope is.
    pub scope: ScopeKey,
    /// Its entity's name.
    pub entity: String,
    /// How soon a device needs it.
    pub priority: u8,
}

impl Wanted {
    /// An empty chunk of the set.
    pub fn writer(&self) -> ChunkWriter {
        ChunkWriter::new(self.key.scope, &self.entity)
    }
}

/// The chunks of one scope under one projection.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// What happened up to here is reflected in `parts`.
    pub seen: Sequence,
    /// By the ids that they hold, without a gap: each goes up to where the next begins. Empty before the first build.
    pub parts: Vec<Part>,
}

/// A range of ids.
#[derive(Clone, Debug)]
pub struct Part {
    /// The first id of the range.
    pub low: Uuid,
    /// Its records as a chunk; none where there are none.
    pub cut: Option<Cut>,
    /// The first of the last changes of its records since then, at most as far back as it is true.
    pub changed: Option<Sequence>,
    /// How many changes were seen.
    pub changes: u64,
    /// A record of the range was deleted or left the scope.
    pub is_broken: bool,
}

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its name.
    pub hash: ChunkHash,
    /// Its records.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// Its length as it is kept.
    pub packed_bytes: u64,
}

/// Something that happened to a record in the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The record.
    pub record: Uuid,
    /// When.
    pub seq: Sequence,
    /// It was deleted or left; else it changed or came.
    pub is_gone: bool,
}

impl Part {
    /// A range that was just read.
    pub fn fresh(low: Uuid, cut: Option<Cut>) -> Self {
        Self { low, cut, changed: None, changes: 0, is_broken: false }
    }

    /// Up to where the chunk has all that happened, when events up to `seen` were followed.
    pub fn as_of(&self, seen: Sequence) -> Sequence {
        self.changed.map_or(seen, |changed| changed.saturating_sub(1))
    }

    /// Whether the chunk may still be named in a manifest.
    pub fn is_usable(&self, seen: Sequence) -> bool {
        let rows = self.cut.as_ref().map_or(0, |cut| cut.rows);
        let is_near = seen - self.as_of(seen).min(seen) <= MOST_SEQUENCES_BEHIND;
        !self.is_broken && is_near && self.changes <= rows / ONE_CHANGED_IN + FEW
    }

    fn follow(&mut self, event: &Event) {
        if event.is_gone && !is_seeded(Fault::ReuseStaleChunk) {
            self.is_broken = true;
        } else {
            self.changes += 1;
            self.changed = Some(self.changed.map_or(event.seq, |changed| changed.min(event.seq)));
        }
    }
}

impl Set {
    /// Notes what happened up to `until`; what was seen before does not count again.
    pub fn follow(&mut self, events: &[Event], until: Sequence) {
        for event in events.iter().filter(|event| event.seq > self.seen) {
            let after = self.parts.partition_point(|part| part.low <= event.record);
            if let Some(part) = after.checked_sub(1).and_then(|at| self.parts.get_mut(at)) {
                part.follow(event);
            }
        }
        self.seen = self.seen.max(until);
    }

    /// Notes that too much happened to follow it.
    pub fn give_up(&mut self, until: Sequence) {
        self.parts.iter_mut().for_each(|part| part.is_broken = true);
        self.seen = until;
    }

    /// The range of the part at `at`: from its first id up to, and without, the first of the next.
    pub fn range(&self, at: usize) -> (Uuid, Option<Uuid>) {
        (self.parts[at].low, self.parts.get(at + 1).map(|next| next.low))
    }

    /// The place of the part that holds this chunk.
    pub fn find(&self, hash: ChunkHash) -> Option<usize> {
        self.parts.iter().position(|part| part.cut.as_ref().is_some_and(|cut| cut.hash == hash))
    }
}
