//! Every change of a record, whoever asks for it: read what it touches, decide in memory, write set-based, commit.

mod blobs;
mod bulk;
mod children;
pub mod decide;
mod error;
pub mod evolve;
mod load;
mod persist;
mod push;
mod queue;
#[cfg(test)]
mod tests;
mod unit;
mod upcast;
mod writer;

use std::sync::Arc;

use crm::Fields;
use crm::model::Language;
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::wire::{FieldOperation, FieldProblem, MutationKind, Reason, Verdict};

pub use bulk::{BulkWrite, Following, Then};
pub use error::{PushError, WriteError};
pub use writer::{Commit, Pause, Writer};

use crate::user::rights::Rights;

/// One intended change of one record.
#[derive(Clone, Debug)]
pub struct Change {
    /// What to do.
    pub kind: MutationKind,
    /// The record's entity.
    pub entity: String,
    /// The record; a new UUIDv7 for `create`.
    pub record: RecordId,
    /// The record's sequence that the author knew; `None`: whatever it is now.
    pub base: Option<Sequence>,
    /// Fields to set; `null` clears.
    pub set: Fields,
    /// Relative changes.
    pub ops: Vec<FieldOperation>,
}

/// Who makes a change.
#[derive(Clone, Debug)]
pub struct Author {
    /// `None`: the operator of the machine.
    pub user: Option<RecordId>,
    /// The device's number in the database; 0: none.
    pub device: i64,
    /// What the author may do.
    pub rights: Arc<Rights>,
    /// In which reasons are told.
    pub language: Language,
}

/// What became of a [`Change`].
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The record.
    pub record: RecordId,
    /// What became of the change.
    pub verdict: Verdict,
    /// The record's sequence afterwards; 0 where there is no such record.
    pub seq: Sequence,
    /// Why, where it is not `applied`.
    pub reason: Option<Reason>,
    /// What the author should know although the change was made.
    pub warnings: Vec<FieldProblem>,
    /// Fields that ended otherwise than the change said, or that follow from it; `null` where one is empty. Only those
    /// that the author may see.
    pub server: Fields,
}
