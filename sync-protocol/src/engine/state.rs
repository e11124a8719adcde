use serde::{Deserialize, Serialize};

use crate::store::Saved;
use crate::wire::Problem;

/// How a device stands, for the person who holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncState {
    /// In one word.
    #[serde(flatten)]
    pub phase: Phase,
    /// Mutations without a final outcome.
    pub waiting: usize,
    /// Outcomes that a person has to look at.
    pub attention: usize,
    /// What the server refuses until something is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// How far the first sync is, while it brings chunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sync: Option<FirstSync>,
    /// When the device was last in step with the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_at_ms: Option<i64>,
}

/// How far a first sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSync {
    /// Records that are here.
    pub taken_rows: u64,
    /// Records that are still to come.
    pub waiting_rows: u64,
    /// What a person needs first is here: she can work while the rest arrives.
    pub is_usable: bool,
}

/// [`SyncState`] in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Nothing is waiting, and the last exchange ended well.
    InStep,
    /// An exchange is under way.
    Syncing,
    /// Something is waiting for the next exchange.
    Waiting,
    /// A person has to look at an outcome or a problem.
    NeedsAttention,
    /// There is no connection.
    Offline {
        /// Since when.
        since_ms: i64,
    },
}

pub(super) fn describe(
    saved: &Saved,
    is_syncing: bool,
    offline_since_ms: Option<i64>,
    problem: Option<&Problem>,
) -> SyncState {
    let position = &saved.position;
    let is_whole = position.cursor.is_some() && position.staged_cursor.is_none();
    let phase = if is_syncing {
        Phase::Syncing
    } else if let Some(since_ms) = offline_since_ms {
        Phase::Offline { since_ms }
    } else if problem.is_some() || !saved.attention.is_empty() {
        Phase::NeedsAttention
    } else if is_whole && saved.outbox.is_empty() {
        Phase::InStep
    } else {
        Phase::Waiting
    };
    let first_sync = position.bootstrap.as_ref().map(|bootstrap| FirstSync {
        taken_rows: bootstrap.taken_rows,
        waiting_rows: bootstrap.waiting_rows(),
        is_usable: bootstrap.is_usable(),
    });
    SyncState {
        phase,
        first_sync,
        waiting: saved.outbox.len(),
        attention: saved.attention.len(),
        problem: problem.cloned(),
        checkpoint_at_ms: position.checkpoint_at_ms,
    }
}
