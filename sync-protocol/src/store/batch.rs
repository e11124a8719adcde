use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Journaled;
use super::Names;
use crate::id::{MutationId, RecordId, Sequence};
use crate::wire::chunk::ChunkHash;
use crate::wire::{
    ChunkEntry, FieldOperation, Fields, MendReason, Mutation, MutationKind, Operation, Outcome, Verdict,
};

/// Steps that become durable together or not at all, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The steps.
    pub ops: Vec<StoreOp>,
}

impl Batch {
    pub(crate) fn of(op: StoreOp) -> Self {
        Self { ops: vec![op] }
    }
}

/// One step of a [`Batch`].
#[derive(Clone, Debug, PartialEq)]
pub enum StoreOp {
    /// A mutation was made: it stays in the outbox until its outcome is here.
    OutboxAdd(Mutation),
    /// A mutation has its outcome.
    OutboxRemove {
        /// The mutation.
        mutation: MutationId,
        /// The record it is about; when it is hidden and nothing else needs it, it goes.
        record: RecordId,
    },
    /// A person has to look at an outcome.
    AttentionAdd(Box<Attention>),
    /// The person has dealt with it.
    AttentionRemove {
        /// The mutation.
        mutation: MutationId,
    },
    /// An outcome changes the base.
    LayOver(LayOver),
    /// Operations change the base.
    Apply {
        /// In the order received.
        operations: Vec<Operation>,
    },
    /// Operations are kept aside until a consistent point is in.
    Stage {
        /// In the order received.
        operations: Vec<Operation>,
        /// Where the next exchange goes on.
        cursor: String,
    },
    /// All that is staged changes the base, page by page.
    ApplyStaged,
    /// A consistent point is in.
    Checkpoint {
        /// Its cursor.
        cursor: String,
        /// The pages since the device started over are the whole of what its user may hold: base records that none of
        /// them touched leave.
        sweep: bool,
        /// When.
        at_ms: i64,
    },
    /// A manifest is in: what a device without a cursor fetches, and where it goes on from then.
    Manifest {
        /// The model that its chunks speak in the words of.
        model: String,
        /// The chunks.
        chunks: Vec<ChunkEntry>,
        /// For the exchange after them.
        cursor: String,
    },
    /// A chunk of the manifest changes the base.
    Chunk {
        /// Its name.
        hash: ChunkHash,
        /// What it is the name of.
        bytes: Arc<[u8]>,
    },
    /// Start over: forget the cursor and what is staged, keep the base until the next checkpoint, and the outbox.
    Reset,
    /// Begin to compare with the server: forget what is staged, count the digests anew from the records.
    BeginMend {
        /// Why.
        why: MendReason,
    },
    /// Operations that the comparison brought are kept aside until it ends; a [`StoreOp::Stage`] ends it.
    StageMended {
        /// In the order received.
        operations: Vec<Operation>,
    },
    /// The comparison has ended without a difference.
    EndMend,
    /// A mutation has its outcome, and the server might yet lose both.
    Journal(Box<Journaled>),
    /// Part of the journal is no longer needed: see [`super::Store::trim_journal`].
    JournalTrim {
        /// What was decided up to here is in a backup.
        safe: Sequence,
        /// What was answered before is too old, by the server's clock.
        before_ms: i64,
    },
    /// The server was restored and has lost mutations: they go back into the outbox, in front of what waits there.
    Reoffer {
        /// The mutation that the server waits for.
        from: MutationId,
        /// All from there on that the outbox does not have; void where the journal does not have them either.
        mutations: Vec<Mutation>,
    },
    /// The contents were compared.
    Compared {
        /// When.
        at_ms: i64,
    },
    /// The device holds this model: base and outbox are called as it calls them, and what is staged under other names
    /// goes, to be fetched again.
    Model {
        /// Its hash.
        hash: String,
        /// What it calls otherwise than the one before.
        names: Names,
    },
    /// A mutation of the outbox is called as the new model calls it.
    OutboxRename(Mutation),
}

/// What an outcome says about a base record: the mutation's own change, then the server's values over it.
///
/// It does not touch the record's sequence (that comes with an operation): until then another person's change of
/// another field may be on its way, which an edit made now must not claim to know.
#[derive(Clone, Debug, PartialEq)]
pub struct LayOver {
    /// `Create` makes the base record, `Delete` removes it; at `Update` a record that is not there stays away.
    pub kind: MutationKind,
    /// The record's entity.
    pub entity: String,
    /// The record.
    pub record: RecordId,
    /// The mutation's fields; empty where it was rejected.
    pub set: Fields,
    /// The mutation's operations; empty where it was rejected.
    pub ops: Vec<FieldOperation>,
    /// The server's values.
    pub server: Fields,
    /// The outcome's sequence.
    pub seq: Sequence,
}

/// An outcome that a person has to look at: a rejected mutation, or a value that lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// What the person wanted.
    pub mutation: Mutation,
    /// What became of it.
    pub outcome: Outcome,
    /// When the outcome came.
    pub at_ms: i64,
}

impl Attention {
    /// The values of the person that do not stand.
    #[must_use]
    pub fn lost(&self) -> Fields {
        lost(&self.mutation, &self.outcome)
    }
}

/// The values of a mutation that its outcome left out.
pub(crate) fn lost(mutation: &Mutation, outcome: &Outcome) -> Fields {
    let stands = |field: &String, value: &serde_json::Value| match outcome.verdict {
        Verdict::Applied | Verdict::Deferred => true,
        Verdict::Merged => outcome.server.get(field).is_none_or(|server| server == value),
        Verdict::Rejected => false,
    };
    let lost = mutation.set.iter().filter(|(field, value)| !stands(field, value));
    lost.map(|(field, value)| (field.clone(), value.clone())).collect()
}
