//! What comes over the live stream: applied where it fits exactly, otherwise a reason to exchange.
//!
//! The stream is a help, never a need: its events may be lost, come twice, late or in another order, and the device
//! still comes in step, because an exchange alone decides what it has. So nothing here may do more than an exchange
//! would, and what is not understood here is left to one.

use serde_json::Map;

use super::{Cause, Engine, Work};
use crate::id::Sequence;
use crate::store::{Batch, Saved, StoreOp};
use crate::wire::{Delta, LiveEvent, Operation, Order, Problem};

/// Which of the server's sequences the engine has heard of; nothing of it is durable, for an exchange finds out anew.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The head of the last answer or delta that is durable here.
    known: Option<Sequence>,
    /// The head that an event told and that no exchange has been sent for.
    heard: Option<Sequence>,
    /// An exchange is wanted whatever the heads are.
    is_urgent: bool,
}

impl News {
    /// Everything up to `head` is durable here.
    pub(super) fn know(&mut self, head: Sequence) {
        self.known = Some(head);
        self.heard.take_if(|heard| *heard <= head);
    }

    fn hear(&mut self, head: Sequence) {
        self.heard = self.heard.max(Some(head));
    }

    /// Whether something was heard of that an exchange has to bring; asked once for each, when none is under way.
    ///
    /// A head below the known one counts as well: the server may have been restored from a backup.
    pub(super) fn want_exchange(&mut self) -> bool {
        let is_news = self.heard.take().is_some_and(|heard| Some(heard) != self.known);
        std::mem::take(&mut self.is_urgent) || is_news
    }
}

impl Engine {
    pub(super) fn take_live(&mut self, event: LiveEvent) {
        match event {
            LiveEvent::Poke(poke) => self.news.hear(poke.head),
            LiveEvent::Delta(delta) => match serde_json::from_str(delta.operations.get()) {
                Ok(operations) => self.work.push_back(Work::Live { delta, operations }),
                // The exchange that follows says what cannot be read.
                Err(_) => self.news.hear(delta.head),
            },
            LiveEvent::Order(Order::Upgrade { model }) => {
                self.news.is_urgent |= self.saved.position.model.as_ref() != Some(&model);
            }
            LiveEvent::Order(Order::SignedOut) => {
                self.problem = Some(signed_out());
                self.is_blocked = true;
            }
            // An exchange says the same.
            LiveEvent::Order(Order::Update { .. } | Order::Unknown) => {}
        }
    }

    /// Another model is in force, as far as is known: a delta may speak of fields by its names.
    fn is_behind_model(&self) -> bool {
        self.fetching_model.is_some() || self.news.is_urgent
    }

    /// The next thing to commit; a delta that does not fit is none.
    pub(super) fn next_work(&mut self) -> Option<Work> {
        loop {
            match self.work.pop_front()? {
                Work::Live { delta, .. }
                    if self.flight.is_some()
                        || self.mending.is_comparing()
                        || self.is_behind_model()
                        || !fits(&self.saved, &delta) =>
                {
                    self.news.hear(delta.head);
                }
                work => return Some(work),
            }
        }
    }
}

/// An exchange under way would be answered from another cursor, and staged pages go on from another one: neither may
/// meet a delta.
fn fits(saved: &Saved, delta: &Delta) -> bool {
    let position = &saved.position;
    position.staged_cursor.is_none() && position.cursor.as_ref() == Some(&delta.from)
}

/// The batch of a delta: that of an answer without outcomes.
pub(super) fn commit(delta: Delta, operations: Vec<Operation>, now_ms: i64) -> (Batch, Cause) {
    let checkpoint = StoreOp::Checkpoint { cursor: delta.cursor, sweep: false, at_ms: now_ms };
    (Batch { ops: vec![StoreOp::Apply { operations }, checkpoint] }, Cause::Live { head: delta.head })
}

fn signed_out() -> Problem {
    Problem {
        kind: "urn:cartera:problem:unauthenticated".to_owned(),
        code: "unauthenticated".to_owned(),
        title: "Nobody is signed in.".to_owned(),
        status: 401,
        detail: Some("The server has ended the session of this device; sign in again.".to_owned()),
        fields: Vec::new(),
        extra: Map::new(),
    }
}
