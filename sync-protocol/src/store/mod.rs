//! What a device keeps, and what a commit does to it.
//!
//! The host (a native client, the app, a simulation) owns the storage and implements [`Store`]: small reads and writes
//! without meaning. The meaning is here, once: [`apply`] carries out a [`Batch`] on any store, [`replay`] lays the
//! outbox over a record. [`MemoryStore`] is the store of tests and of a first start.
//!
//! **Base** records hold the server's state only. What the person sees is the base with the outbox replayed over it.

mod apply;
mod batch;
mod bootstrap;
mod journal;
mod memory;
mod query;
mod renaming;
mod replay;
mod saved;
mod tally;

use std::collections::BTreeMap;

pub use apply::{ApplyError, apply};
pub(crate) use batch::lost;
pub use batch::{Attention, Batch, LayOver, StoreOp};
pub use bootstrap::Bootstrap;
pub use journal::{JOURNAL_DAYS, JOURNAL_LENGTH, Journaled};
pub use memory::MemoryStore;
pub use query::{Found, HeldRecord, Query, look_up};
pub use renaming::{Names, Renaming};
pub use replay::{View, lay, replay};
pub use saved::{Position, Saved};

use serde::{Deserialize, Serialize};

use crate::digest::SetDigest;
use crate::id::{MutationId, RecordId, ScopeId, Sequence};
use crate::wire::chunk::{ChunkError, ChunkRow};
use crate::wire::{Fields, Mutation, Operation};

/// A record as the server last described it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseRecord {
    /// Its entity.
    pub entity: String,
    /// Its sequence at the last checkpoint: the `base` of an edit made now.
    pub seq: Sequence,
    /// The held scopes in which it stands; none yet on a record that this device made and the server has not placed.
    pub scopes: Vec<ScopeId>,
    /// Its fields; an absent field is empty.
    pub fields: Fields,
    /// It left the device's scopes while an unanswered mutation needs it: nobody sees it, and it goes with the last
    /// such mutation.
    pub hidden: bool,
    /// [`Position::run`] when an operation last spoke of it; 0 while only an outcome did, which does not say that the
    /// record stands in a held scope.
    pub generation: u64,
}

impl BaseRecord {
    /// What it says beside its fields.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { seq: self.seq, scopes: self.scopes.clone(), generation: self.generation }
    }
}

/// Where a base record stands, and since which change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// [`BaseRecord::seq`].
    pub seq: Sequence,
    /// [`BaseRecord::scopes`].
    pub scopes: Vec<ScopeId>,
    /// [`BaseRecord::generation`].
    pub generation: u64,
}

/// A chunk's row on its way into the base.
#[derive(Clone, Copy, Debug)]
pub struct PutRow<'a> {
    /// Its entity.
    pub entity: &'a str,
    /// The row.
    pub row: ChunkRow<'a>,
    /// [`BaseRecord::scopes`].
    pub scopes: &'a [ScopeId],
    /// [`BaseRecord::generation`].
    pub generation: u64,
    /// Nothing of this record is stored: a store need not look for what it replaces.
    pub is_new: bool,
}

impl PutRow<'_> {
    /// As a record, its fields read.
    ///
    /// # Errors
    ///
    /// When a field cannot be read.
    pub fn to_record(&self) -> Result<BaseRecord, ChunkError> {
        Ok(BaseRecord {
            entity: self.entity.to_owned(),
            seq: self.row.seq,
            scopes: self.scopes.to_vec(),
            fields: self.row.fields()?,
            hidden: false,
            generation: self.generation,
        })
    }
}

/// Storage, as [`apply`] needs it: every call of one batch belongs to one transaction of the host.
pub trait Store {
    /// Why the storage failed.
    type Error;

    /// The base record, hidden or not.
    ///
    /// # Errors
    ///
    /// The storage failed; likewise in every other method.
    fn base(&self, id: RecordId) -> Result<Option<BaseRecord>, Self::Error>;

    /// What a base record says beside its fields; asked before each one is put, so a store should not read the fields.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn standing(&self, id: RecordId) -> Result<Option<Standing>, Self::Error> {
        Ok(self.base(id)?.map(|record| record.standing()))
    }

    /// The same of every record whose id is in this range, both ends included: asked once for a chunk, most of whose
    /// records are new.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn standings(&self, first: RecordId, last: RecordId) -> Result<BTreeMap<RecordId, Standing>, Self::Error>;

    /// Stores a chunk's row in the place of the former record; a store that keeps the JSON of fields copies it.
    ///
    /// # Errors
    ///
    /// The storage failed, or a field of the row cannot be read.
    fn put_row(&mut self, put: &PutRow<'_>) -> Result<(), ApplyError<Self::Error>> {
        let record = put.to_record().map_err(ApplyError::Chunk)?;
        Ok(self.put_base(put.row.id, record)?)
    }

    /// Stores a base record in the place of the former one.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn put_base(&mut self, id: RecordId, record: BaseRecord) -> Result<(), Self::Error>;

    /// Forgets a base record; not there is not an error.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn remove_base(&mut self, id: RecordId) -> Result<(), Self::Error>;

    /// Hands every base record to `each`.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn each_base(&self, each: &mut dyn FnMut(RecordId, BaseRecord)) -> Result<(), Self::Error>;

    /// The digest of each scope that [`Store::put_digest`] stored.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn digests(&self) -> Result<BTreeMap<ScopeId, SetDigest>, Self::Error>;

    /// Stores a scope's digest in the place of the former one.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn put_digest(&mut self, scope: ScopeId, digest: SetDigest) -> Result<(), Self::Error>;

    /// The base records whose scopes contain `scope`.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn bases_in_scope(&self, scope: ScopeId) -> Result<Vec<RecordId>, Self::Error>;

    /// The base records with a generation below `generation`. Every checkpoint asks it with 1, so an index of the
    /// records with generation 0 pays.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn bases_before(&self, generation: u64) -> Result<Vec<RecordId>, Self::Error>;

    /// Whether a mutation in the outbox is about the record.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn is_pending(&self, record: RecordId) -> Result<bool, Self::Error>;

    /// Appends a mutation to the outbox.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn add_to_outbox(&mut self, mutation: &Mutation) -> Result<(), Self::Error>;

    /// Takes an answered mutation out of the outbox.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn remove_from_outbox(&mut self, mutation: MutationId) -> Result<(), Self::Error>;

    /// Remembers an answered mutation for as long as the server might lose it.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn add_to_journal(&mut self, entry: &Journaled) -> Result<(), Self::Error>;

    /// The journal from a mutation on, by mutation.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn journal(&self, from: MutationId) -> Result<Vec<Journaled>, Self::Error>;

    /// Forgets what the journal has from a mutation on: it is in the outbox again.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn take_journal(&mut self, from: MutationId) -> Result<(), Self::Error>;

    /// Forgets journal entries whose `head` is at most `safe`, whose `at_ms` is below `before_ms`, and all but the
    /// last [`JOURNAL_LENGTH`].
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn trim_journal(&mut self, safe: Sequence, before_ms: i64) -> Result<(), Self::Error>;

    /// Keeps something that a person has to look at.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn add_attention(&mut self, attention: &Attention) -> Result<(), Self::Error>;

    /// Forgets it, because the person has dealt with it.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn remove_attention(&mut self, mutation: MutationId) -> Result<(), Self::Error>;

    /// Keeps a page for later, after those that are staged already.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn push_staged(&mut self, page: &[Operation]) -> Result<(), Self::Error>;

    /// Takes the oldest staged page; `None` when none is left.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn pop_staged(&mut self) -> Result<Option<Vec<Operation>>, Self::Error>;

    /// Which fields an outcome has laid over a base record since the last checkpoint, at which sequence.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn laid(&self) -> Result<BTreeMap<RecordId, BTreeMap<String, Sequence>>, Self::Error>;

    /// Remembers that an outcome has laid a field over a base record; an empty name, that it removed the record.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn put_laid(&mut self, record: RecordId, field: &str, seq: Sequence) -> Result<(), Self::Error>;

    /// Forgets all that [`Store::put_laid`] remembers.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn clear_laid(&mut self) -> Result<(), Self::Error>;

    /// The position; the default one in a new store.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn position(&self) -> Result<Position, Self::Error>;

    /// Stores the position; it is small, and one JSON value will do.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn put_position(&mut self, position: &Position) -> Result<(), Self::Error>;
}
