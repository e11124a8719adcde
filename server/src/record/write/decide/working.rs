//! What a commit reads and writes, in memory: the small store that decisions are made against.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crm::Fields;
use crm::rules::Place;
use sync_protocol::id::{RecordId, Sequence};
use uuid::Uuid;

use crate::record::catalogue::EntityCode;
use crate::user::directory::Directory;

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Local to the database; 0 until a new record is written.
    pub num: i64,
    /// Its entity.
    pub entity: EntityCode,
    /// Its last change.
    pub seq: Sequence,
    /// When it was made.
    pub created_seq: Sequence,
    /// By which device; 0 by none.
    pub created_by_device: i64,
    /// Its fields.
    pub fields: Arc<Fields>,
    /// Sequence and device of the last change of each field that changed after the record was made.
    pub field_seq: Arc<FieldSequences>,
}

/// By field: when it last changed, and by which device.
pub type FieldSequences = std::collections::BTreeMap<String, (Sequence, i64)>;

impl Stored {
    /// When `field` last changed, and by which device.
    #[must_use]
    pub fn changed(&self, field: &str) -> (Sequence, i64) {
        self.field_seq.get(field).copied().unwrap_or((self.created_seq, self.created_by_device))
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::of(&self.fields)
    }
}

/// A record that a commit touches: as the database has it, and as the commit leaves it.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// `None`: the database has no such record.
    pub before: Option<Arc<Stored>>,
    /// `None`: there is none now.
    pub now: Option<Arc<Stored>>,
    /// Whether devices carry it, as the database has it.
    pub was_carried: bool,
}

/// A value that must be unique in its entity: entity, field, folded value.
pub type UniqueKey = (EntityCode, String, String);

/// One row of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// Whose.
    pub record: RecordId,
    /// At which sequence.
    pub seq: Sequence,
    /// `made`, `changed`, `lost` or `deleted`.
    pub kind: &'static str,
    /// The field; empty for `made` and `deleted`.
    pub field: String,
    /// JSON.
    pub old: Option<String>,
    /// JSON.
    pub new: Option<String>,
    /// The user; `None` for the operator.
    pub who: Option<Uuid>,
    /// The device's number; 0 for none.
    pub device: i64,
    /// When the server decided it.
    pub at_ms: i64,
}

/// Everything that the decisions of one transaction see and change.
#[derive(Clone, Debug)]
pub struct Working {
    /// By id, whatever was loaded or made.
    pub records: HashMap<RecordId, Touched>,
    /// Ids of deleted records among those loaded.
    pub tombstones: HashSet<RecordId>,
    /// For records about to be deleted: the records and fields that link to them in the database.
    pub referrers: HashMap<RecordId, Vec<(RecordId, String)>>,
    /// By target: the records and fields that came to link to it in this transaction; some may have let go of it again.
    linked: HashMap<RecordId, Vec<(RecordId, String)>>,
    /// Who holds a unique value; `None`: nobody.
    pub unique: HashMap<UniqueKey, Option<RecordId>>,
    /// The last number of each series, by entity and year.
    pub numbers: HashMap<(EntityCode, i16), u64>,
    /// Who is who, with this transaction's changes.
    pub directory: Arc<Directory>,
    /// The last sequence given out.
    pub head: Sequence,
    /// The last sequence before this transaction: what is above it is this transaction's own.
    pub floor: Sequence,
    /// Records that are gone, with the sequence of their deletion.
    pub deleted: HashMap<RecordId, Sequence>,
    /// Rows to be written.
    pub history: Vec<HistoryRow>,
    journal: Vec<Undo>,
}

#[derive(Clone, Debug)]
enum Undo {
    Record(RecordId, Touched, bool),
    Unique(UniqueKey, Known),
    Number((EntityCode, i16), Option<u64>),
    Directory(Arc<Directory>),
}

/// What was known of who holds a unique value.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// Nothing: it was not loaded.
    Nothing,
    /// That this record does, or nobody.
    Holder(Option<RecordId>),
}

/// A point to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    journal: usize,
    history: usize,
    head: Sequence,
}

impl Working {
    /// Nothing loaded yet; `head` is the last sequence given out.
    #[must_use]
    pub fn new(directory: Arc<Directory>, head: Sequence) -> Self {
        Self {
            records: HashMap::new(),
            tombstones: HashSet::new(),
            referrers: HashMap::new(),
            linked: HashMap::new(),
            unique: HashMap::new(),
            numbers: HashMap::new(),
            directory,
            head,
            floor: head,
            deleted: HashMap::new(),
            history: Vec::new(),
            journal: Vec::new(),
        }
    }

    /// The record as it is now.
    #[must_use]
    pub fn get(&self, id: RecordId) -> Option<&Arc<Stored>> {
        self.records.get(&id)?.now.as_ref()
    }

    /// Who links to `id`, or may: the database does not know the links of this transaction, nor which it has cut.
    #[must_use]
    pub fn referrers_of(&self, id: RecordId) -> BTreeSet<(RecordId, String)> {
        let loaded = self.referrers.get(&id).into_iter().flatten();
        loaded.chain(self.linked.get(&id).into_iter().flatten()).cloned().collect()
    }

    /// Remembers that `field` of `source` came to link to `target`.
    pub fn note_link(&mut self, source: RecordId, field: &str, target: RecordId) {
        self.linked.entry(target).or_default().push((source, field.to_owned()));
    }

    /// The sequence for a change of `id`: one number per changed record and transaction.
    pub fn sequence_for(&mut self, id: RecordId) -> Sequence {
        if let Some(own) = self.get(id).map(|record| record.seq).filter(|seq| *seq > self.floor) {
            return own;
        }
        self.head += 1;
        self.head
    }

    /// Puts a record into its new state, or away.
    pub fn put(&mut self, entity: &str, id: RecordId, now: Option<Stored>) {
        let was_tombstone = self.tombstones.contains(&id);
        let touched = self.records.entry(id).or_default();
        self.journal.push(Undo::Record(id, touched.clone(), was_tombstone));
        if Directory::follows(entity) {
            self.journal.push(Undo::Directory(self.directory.clone()));
            let directory = Arc::make_mut(&mut self.directory);
            match &now {
                Some(record) => directory.put(entity, id.0, &record.fields),
                None => directory.remove(entity, id.0),
            }
        }
        if now.is_none() {
            self.tombstones.insert(id);
        }
        touched.now = now.map(Arc::new);
    }

    /// Gives a unique value to `holder`, or frees it.
    pub fn hold_unique(&mut self, key: UniqueKey, holder: Option<RecordId>) {
        let before = self.unique.insert(key.clone(), holder).map_or(Known::Nothing, Known::Holder);
        self.journal.push(Undo::Unique(key, before));
    }

    /// The next number of a series.
    pub fn next_number(&mut self, series: (EntityCode, i16)) -> u64 {
        let last = self.numbers.get(&series).copied();
        self.journal.push(Undo::Number(series, last));
        let next = last.unwrap_or(0) + 1;
        self.numbers.insert(series, next);
        next
    }

    /// Where things stand, to come back to.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { journal: self.journal.len(), history: self.history.len(), head: self.head }
    }

    /// Takes back all that was done since `mark`.
    pub fn back_to(&mut self, mark: Mark) {
        for undo in self.journal.drain(mark.journal..).rev() {
            match undo {
                Undo::Record(id, touched, was_tombstone) => {
                    if touched.now.is_some() {
                        self.deleted.remove(&id);
                    }
                    self.records.insert(id, touched);
                    if !was_tombstone {
                        self.tombstones.remove(&id);
                    }
                }
                Undo::Unique(key, Known::Holder(holder)) => {
                    self.unique.insert(key, holder);
                }
                Undo::Unique(key, Known::Nothing) => {
                    self.unique.remove(&key);
                }
                Undo::Number(series, Some(last)) => {
                    self.numbers.insert(series, last);
                }
                Undo::Number(series, None) => {
                    self.numbers.remove(&series);
                }
                Undo::Directory(directory) => self.directory = directory,
            }
        }
        self.history.truncate(mark.history);
        self.head = mark.head;
    }
}
