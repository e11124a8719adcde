use serde::{Deserialize, Serialize};

use super::{Attention, Bootstrap, StoreOp};
use crate::id::MutationId;
use crate::wire::{MendReason, Mutation};

/// How far the device has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The cursor of the last checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The cursor of the last staged page, while there are staged pages: where the next exchange goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_cursor: Option<String>,
    /// What a first sync by chunks has brought and still waits for, until its checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// Hash of the model that the device holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The last mutation that was numbered.
    pub last_mutation: MutationId,
    /// How many times the device started over.
    pub resets: u64,
    /// When the last checkpoint was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_at_ms: Option<i64>,
    /// The device is comparing what it holds with the server: what is staged is not yet all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mending: Option<MendReason>,
    /// A model took the place of another since the last checkpoint: fields may be gone that the cursor counts as held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_let_go: bool,
    /// When the contents were last compared with the server's, or the device began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_at_ms: Option<i64>,
}

impl Position {
    /// The run of pages since the device last started over, from 1: see [`super::BaseRecord::generation`].
    #[must_use]
    pub fn run(&self) -> u64 {
        self.resets + 1
    }

    /// Follows one step of a batch.
    pub fn follow(&mut self, op: &StoreOp) {
        match op {
            StoreOp::OutboxAdd(mutation) => self.last_mutation = mutation.id,
            StoreOp::Stage { cursor, .. } => {
                self.staged_cursor = Some(cursor.clone());
                self.mending = None;
            }
            StoreOp::ApplyStaged => self.staged_cursor = None,
            StoreOp::Checkpoint { cursor, at_ms, .. } => {
                self.cursor = Some(cursor.clone());
                self.bootstrap = None;
                self.checkpoint_at_ms = Some(*at_ms);
                self.has_let_go = false;
                self.compared_at_ms.get_or_insert(*at_ms);
            }
            StoreOp::Reset => {
                self.cursor = None;
                self.staged_cursor = None;
                self.bootstrap = None;
                self.mending = None;
                self.has_let_go = false;
                self.resets += 1;
            }
            StoreOp::Manifest { model, chunks, cursor } => match &mut self.bootstrap {
                Some(bootstrap) => bootstrap.renew(model, chunks),
                None => self.bootstrap = Some(Bootstrap::new(model, chunks, cursor)),
            },
            StoreOp::Chunk { hash, .. } => {
                if let Some(bootstrap) = &mut self.bootstrap {
                    bootstrap.take(*hash);
                }
            }
            StoreOp::Model { hash, names } => {
                self.has_let_go |= self.model.is_some();
                self.model = Some(hash.clone());
                if !names.are_the_same() {
                    self.staged_cursor = None;
                    self.mending = None;
                }
            }
            StoreOp::BeginMend { why } => {
                self.staged_cursor = None;
                self.mending = Some(*why);
            }
            StoreOp::EndMend => self.mending = None,
            StoreOp::Compared { at_ms } => self.compared_at_ms = Some(*at_ms),
            StoreOp::StageMended { .. }
            | StoreOp::Reoffer { .. }
            | StoreOp::Journal(_)
            | StoreOp::JournalTrim { .. }
            | StoreOp::OutboxRemove { .. }
            | StoreOp::OutboxRename(_)
            | StoreOp::AttentionAdd(_)
            | StoreOp::AttentionRemove { .. }
            | StoreOp::LayOver(_)
            | StoreOp::Apply { .. } => {}
        }
    }
}

/// All that the engine needs to go on where it stopped; the host reads it from its storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// How far the device has come.
    pub position: Position,
    /// The mutations that have no final outcome, by id.
    pub outbox: Vec<Mutation>,
    /// What a person has to look at, by mutation.
    pub attention: Vec<Attention>,
}

impl Saved {
    /// Follows one step of a batch.
    pub fn follow(&mut self, op: &StoreOp) {
        self.position.follow(op);
        match op {
            StoreOp::OutboxAdd(mutation) => self.outbox.push(mutation.clone()),
            StoreOp::OutboxRemove { mutation, .. } => {
                self.outbox.retain(|pending| pending.id != *mutation);
            }
            StoreOp::OutboxRename(renamed) => {
                if let Some(known) = self.outbox.iter_mut().find(|known| known.id == renamed.id) {
                    known.clone_from(renamed);
                }
            }
            StoreOp::Reoffer { mutations, .. } => {
                self.outbox.extend(mutations.iter().cloned());
                self.outbox.sort_unstable_by_key(|mutation| mutation.id);
            }
            StoreOp::AttentionAdd(attention) => {
                // A mutation that was offered again may have a second outcome.
                self.attention.retain(|known| known.mutation.id != attention.mutation.id);
                let at = self.attention.partition_point(|known| known.mutation.id < attention.mutation.id);
                self.attention.insert(at, (**attention).clone());
            }
            StoreOp::AttentionRemove { mutation } => self.attention.retain(|known| known.mutation.id != *mutation),
            _ => {}
        }
    }
}
