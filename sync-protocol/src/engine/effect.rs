use std::sync::Arc;

use super::{Fetch, SyncState};
use crate::id::MutationId;
use crate::store::{Batch, Query};
use crate::wire::{DigestRequest, ExchangeRequest};

/// What the host is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a request; answer with [`super::Input::Answered`], however it ends.
    Send {
        /// The number of the exchange.
        exchange: u64,
        /// The request.
        request: ExchangeRequest,
    },
    /// Fetch a manifest or chunks; answer with [`super::Input::Answered`], however it ends. Only where
    /// [`super::Settings::chunks`] says that the host can.
    Fetch {
        /// The number of the exchange that it stands in the place of.
        exchange: u64,
        /// What to fetch.
        fetch: Fetch,
    },
    /// Send a digest request; answer with [`super::Input::Answered`], however it ends.
    Digest {
        /// The number of the exchange.
        exchange: u64,
        /// The request.
        request: DigestRequest,
    },
    /// Ask the storage with [`crate::store::look_up`]; answer with [`super::Input::Found`].
    LookUp {
        /// The number of the question.
        look: u64,
        /// The question.
        query: Query,
    },
    /// Apply a batch with [`crate::store::apply`] in one transaction and commit it; answer with
    /// [`super::Input::Committed`] or [`super::Input::CommitFailed`].
    Commit {
        /// The number of the commit.
        commit: u64,
        /// The batch.
        batch: Arc<Batch>,
    },
    /// Fetch the model and store it; answer with [`super::Input::ModelStored`] or [`super::Input::ModelFailed`].
    FetchModel {
        /// Its hash.
        hash: String,
    },
    /// Give [`super::Input::Tick`] at this time; a later one replaces an earlier one.
    WakeAt {
        /// By the host's clock.
        at_ms: i64,
    },
    /// An edit is durable.
    Saved {
        /// [`super::Edit::ticket`].
        ticket: u64,
        /// The numbers of its mutations.
        mutations: Vec<MutationId>,
    },
    /// An edit could not be stored: nothing of it was, and the person has to know.
    NotSaved {
        /// [`super::Edit::ticket`].
        ticket: u64,
    },
    /// What a person sees has changed.
    State(SyncState),
}
