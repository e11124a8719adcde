use std::sync::Arc;

use crate::id::{MutationId, RecordId, Sequence};
use crate::store::{Batch, Found, Names, Saved, StoreOp};
use crate::wire::{
    DigestResponse, ExchangeResponse, FieldOperation, Fields, LiveEvent, ManifestResponse, Mutation, MutationKind,
    Problem,
};

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The host has restored the engine and is ready.
    Start,
    /// A person made an edit.
    Edit(Edit),
    /// A person, a poke or a timer wants an exchange now, whatever pause there is.
    SyncRequested,
    /// An exchange ended.
    Answered {
        /// The number of its [`super::Effect::Send`], [`super::Effect::Fetch`] or [`super::Effect::Digest`]; any other is
        /// ignored.
        exchange: u64,
        /// How it ended.
        answer: Answer,
    },
    /// An event of the live stream; it may be late, come twice or never.
    Live(LiveEvent),
    /// The storage was asked.
    Found {
        /// The number of its [`super::Effect::LookUp`]; any other is ignored.
        look: u64,
        /// What it said; `None`: it failed.
        found: Option<Found>,
    },
    /// A batch is durable.
    Committed {
        /// The number of its [`super::Effect::Commit`].
        commit: u64,
    },
    /// A batch could not be committed, and nothing of it was.
    CommitFailed {
        /// The number of its [`super::Effect::Commit`].
        commit: u64,
        /// Why.
        failure: CommitFailure,
    },
    /// The network is there.
    Online,
    /// The network is gone.
    Offline,
    /// Time passed.
    Tick,
    /// The person has dealt with an outcome that needed attention.
    Dismiss {
        /// Its mutation.
        mutation: MutationId,
    },
    /// The model asked for by [`super::Effect::FetchModel`] is stored.
    ModelStored {
        /// Its hash.
        hash: String,
        /// What it calls otherwise than the model before.
        names: Names,
    },
    /// It could not be fetched; a later exchange asks again.
    ModelFailed,
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Answer {
    /// With a response.
    Response(Box<ExchangeResponse>),
    /// With a manifest.
    Manifest(Box<ManifestResponse>),
    /// With the uncompressed bytes of chunks, in any order; one that did not come whole is left out.
    Chunks(Vec<Arc<[u8]>>),
    /// With the answer to a digest request.
    Digest(Box<DigestResponse>),
    /// With a problem.
    Problem {
        /// The problem.
        problem: Box<Problem>,
        /// From `Retry-After`.
        retry_after_ms: Option<i64>,
    },
    /// Without a whole answer: no connection, a time-out, a cut body.
    Failed,
}

/// Why a commit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFailure {
    /// The storage failed.
    Storage,
    /// [`crate::store::ApplyError::BaseMissing`]: the engine starts over.
    BaseMissing,
    /// [`crate::store::ApplyError::Chunk`]: the engine exchanges without chunks.
    Chunk,
}

/// What a person changed in one go: applied whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The host's own number for it, given back with the result.
    pub ticket: u64,
    /// The changes, in order; more than one form a group.
    pub drafts: Vec<Draft>,
}

/// A mutation before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What to do with the record.
    pub kind: MutationKind,
    /// The record's entity.
    pub entity: String,
    /// The record.
    pub record: RecordId,
    /// The record's sequence that the person saw ([`crate::store::View::base`]); 0 on `create`.
    pub base: Sequence,
    /// Fields to set.
    pub set: Fields,
    /// Changes that say what to do instead of what to be.
    pub ops: Vec<FieldOperation>,
    /// When the person acted, by the device's clock.
    pub at_ms: i64,
}

/// Numbers drafts: contiguous ids, a group where there are several, a dependency on an unanswered create.
pub(super) fn number(saved: &Saved, drafts: Vec<Draft>) -> (Batch, Vec<MutationId>) {
    let first = saved.position.last_mutation + 1;
    let group = (drafts.len() > 1).then_some(first);
    let mut mutations: Vec<Mutation> = Vec::with_capacity(drafts.len());
    for (id, draft) in (first..).zip(drafts) {
        let mut latest_first = saved.outbox.iter().chain(&mutations).rev();
        let depends_on = latest_first
            .find(|earlier| earlier.kind == MutationKind::Create && earlier.record == draft.record)
            .map(|create| create.id);
        mutations.push(Mutation {
            id,
            kind: draft.kind,
            entity: draft.entity,
            record: draft.record,
            base: draft.base,
            set: draft.set,
            ops: draft.ops,
            group,
            depends_on,
            at_ms: draft.at_ms,
            model: saved.position.model.clone(),
        });
    }
    let ids = mutations.iter().map(|mutation| mutation.id).collect();
    (Batch { ops: mutations.into_iter().map(StoreOp::OutboxAdd).collect() }, ids)
}
