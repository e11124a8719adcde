//! Mending: the base is compared with what the server says it should be, and only what differs is fetched.
//!
//! There is one mechanism for a checkpoint whose digest is another than the server's, for an operation that does not
//! fit the base, for a server that was restored from a backup, and for a device that was away beyond the horizon. While
//! it runs the base stays visible and the outbox waits; what it fetches is staged, and the ordinary exchange that
//! follows makes it visible together with its checkpoint.

use super::hunt::Hunt;
use super::{Cause, Effect, Engine, Work};
use crate::digest::{Hash, combine};
use crate::id::MutationId;
use crate::store::{Attention, Batch, Found, Journaled, Query, Saved, StoreOp};
use crate::wire::{DigestRequest, DigestResponse, MendReason, Mutation, Operation, Outcome, Problem, Reason, Verdict};

/// A device compares contents when it last did so this long ago, and a part of a day that differs between devices.
const DEEP_AFTER_MS: i64 = 7 * 24 * 3_600_000;
const DEEP_SPREAD_MS: u64 = 24 * 3_600_000;
/// After so many searches in a row that did not help, the digest waits for the next start; a base that pages do not
/// fit is fetched anew.
const MOST_IN_A_ROW: u32 = 5;

/// How far mending has come.
#[derive(Debug, Default)]
pub(super) struct Mending {
    stage: Stage,
    looks: u64,
    /// Since the engine was restored the records themselves were counted: what is kept beside them can be believed.
    has_counted: bool,
    in_a_row: u32,
    /// The server gave outcomes without news: nothing but a search says what the base is.
    is_ordered: bool,
    /// Whether the last comparison of digests found no difference.
    was_same: Option<bool>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// The digests of a checkpoint are being read.
    Comparing { look: u64, expected: Hash },
    /// The journal is being read: the server expects this mutation.
    Offering { look: u64, from: MutationId },
    /// The store is being made ready.
    Preparing { why: MendReason },
    /// What the device holds is being read.
    Reading { look: u64, why: MendReason },
    /// The server is being asked.
    Asking(Box<Hunt>),
}

impl Mending {
    /// The device asks for the digest even if nothing is new.
    pub(super) fn wants_digest(&self) -> bool {
        !self.has_counted
    }

    /// What the last comparison of digests said, for the device's report.
    pub(super) fn said(&self) -> Option<String> {
        self.was_same.map(|was_same| if was_same { "same" } else { "differs" }.to_owned())
    }

    /// Whether the engine is busy with the store, so that nothing may be sent.
    pub(super) fn is_reading(&self) -> bool {
        !matches!(self.stage, Stage::Idle | Stage::Asking(_))
    }

    /// Whether the base is being compared, so that nothing may change it.
    pub(super) fn is_comparing(&self) -> bool {
        self.is_ordered || !matches!(self.stage, Stage::Idle)
    }

    /// Whether a difference is being looked for.
    pub(super) fn is_mending(&self) -> bool {
        matches!(self.stage, Stage::Preparing { .. } | Stage::Reading { .. } | Stage::Asking(_))
    }
}

impl Engine {
    /// A page completed a consistent point: the digests are compared.
    pub(super) fn compare(&mut self, expected: Hash, effects: &mut Vec<Effect>) {
        let recount = !self.mending.has_counted;
        let look = self.look(Query::Digests { recount }, effects);
        self.mending.stage = Stage::Comparing { look, expected };
    }

    /// The server gives no news from this cursor. First it decides all that the outbox has, then the device mends.
    pub(super) fn take_order(&mut self, why: MendReason) {
        self.mending.is_ordered = true;
        if !self.is_rest() {
            self.work.push_back(Work::Mend(why));
        }
    }

    /// Whether a mutation from this one on has its outcome here: the server that waits for it has lost it.
    pub(super) fn has_answered(&self, expected: MutationId) -> bool {
        let Saved { position, outbox, .. } = &self.saved;
        let waiting = outbox.iter().filter(|mutation| mutation.id >= expected).count();
        let numbered = (position.last_mutation + 1).saturating_sub(expected);
        expected > 0 && numbered > waiting as u64
    }

    /// The server, restored, waits for a mutation that it had answered.
    pub(super) fn offer_again(&mut self, from: MutationId, effects: &mut Vec<Effect>) {
        let look = self.look(Query::Journal { from }, effects);
        self.mending.stage = Stage::Offering { look, from };
    }

    /// The batch that begins a search, or the one that fetches everything where there is nothing to compare from.
    pub(super) fn begin_mend(&mut self, why: MendReason) -> (Batch, Cause) {
        self.mending.is_ordered = false;
        let gives_up = why == MendReason::BaseMissing && self.mending.in_a_row >= MOST_IN_A_ROW;
        // The server may have gone back to before a field was removed or renamed, of which the device has let go since: no
        // sequence tells of that.
        let may_lack_fields = why == MendReason::Epoch && self.saved.position.has_let_go;
        if self.saved.position.cursor.is_none() || gives_up || may_lack_fields {
            self.mending.stage = Stage::Idle;
            return (Batch::of(StoreOp::Reset), Cause::Reset);
        }
        self.mending.stage = Stage::Preparing { why };
        self.mending.in_a_row += 1;
        (Batch::of(StoreOp::BeginMend { why }), Cause::Mend)
    }

    pub(super) fn take_prepared(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        if let Stage::Preparing { why } = self.mending.stage {
            let look = self.look(Query::Held { deep: why == MendReason::Deep }, effects);
            self.mending.stage = Stage::Reading { look, why };
            self.is_wanted = true;
            if self.mending.in_a_row > 1 {
                self.backoff.fail(now_ms, None);
            }
        }
    }

    /// What could not be made ready, or read, is tried again with the next request.
    pub(super) fn stop_mending(&mut self) {
        self.mending.stage = Stage::Idle;
        let is_of_search =
            |work: &Work| matches!(work, Work::Mended(_) | Work::MendEnded { .. } | Work::Compared { .. });
        self.work.retain(|work| !is_of_search(work));
    }

    /// A search that was begun and did not end, by a crash or a failure, begins again before anything is exchanged.
    pub(super) fn resume_mend(&mut self) {
        if let (Stage::Idle, Some(why)) = (&self.mending.stage, self.saved.position.mending) {
            self.work.push_back(Work::Mend(why));
        }
    }

    fn look(&mut self, query: Query, effects: &mut Vec<Effect>) -> u64 {
        self.mending.looks += 1;
        effects.push(Effect::LookUp { look: self.mending.looks, query });
        self.mending.looks
    }

    /// Takes what the store said to a query.
    pub(super) fn take_found(&mut self, now_ms: i64, number: u64, found: Option<Found>) {
        match (std::mem::take(&mut self.mending.stage), found) {
            (Stage::Comparing { look, expected }, Some(Found::Digests(digests))) if look == number => {
                self.mending.has_counted = true;
                let is_same = combine(digests) == expected;
                self.mending.was_same = Some(is_same);
                if is_same {
                    self.mending.in_a_row = 0;
                    if self.is_deep_due(now_ms) {
                        self.work.push_back(Work::Mend(MendReason::Deep));
                    }
                } else if self.mending.in_a_row < MOST_IN_A_ROW {
                    self.work.push_back(Work::Mend(MendReason::Digest));
                }
            }
            (Stage::Offering { look, from }, Some(Found::Journal(journal))) if look == number => {
                self.work.push_back(Work::Reoffer { from, journal });
            }
            (Stage::Reading { look, why }, Some(Found::Held(records))) if look == number => {
                let cursor = self.saved.position.cursor.clone().unwrap_or_default();
                self.mending.stage = Stage::Asking(Box::new(Hunt::new(why, cursor, records)));
                self.end_mend_if_done(now_ms);
            }
            // The storage failed: the next checkpoint, or the next start, tries again.
            (Stage::Comparing { look, .. } | Stage::Offering { look, .. } | Stage::Reading { look, .. }, _)
                if look == number =>
            {
                self.is_wanted = true;
                self.backoff.fail(now_ms, None);
            }
            (stage, _) => self.mending.stage = stage,
        }
    }

    fn is_deep_due(&self, now_ms: i64) -> bool {
        let spread = i64::try_from(self.settings.jitter_seed % DEEP_SPREAD_MS).unwrap_or(0);
        let last = self.saved.position.compared_at_ms;
        last.is_some_and(|last| now_ms.saturating_sub(last) >= DEEP_AFTER_MS + spread)
    }

    /// The next request of a search, if one is under way.
    pub(super) fn ask_digest(&mut self) -> Option<DigestRequest> {
        match &mut self.mending.stage {
            Stage::Asking(hunt) => Some(hunt.ask(self.settings.limit_bytes)),
            _ => None,
        }
    }

    /// Where something was mended, or the old cursor no longer serves, the exchange goes on from the new one.
    fn end_mend_if_done(&mut self, now_ms: i64) {
        let Stage::Asking(hunt) = &self.mending.stage else { return };
        if !hunt.is_done() {
            return;
        }
        let is_cursor_old = matches!(hunt.why, MendReason::Epoch | MendReason::Horizon | MendReason::BaseMissing);
        let goes_on = hunt.has_mended || is_cursor_old;
        self.work.push_back(Work::MendEnded { cursor: goes_on.then(|| hunt.cursor.clone()) });
        if hunt.why == MendReason::Deep {
            self.mending.was_same = Some(!hunt.has_mended);
            self.work.push_back(Work::Compared { at_ms: now_ms });
        }
        self.is_wanted = goes_on || self.is_rest();
        self.mending.stage = Stage::Idle;
    }

    pub(super) fn take_digest(&mut self, now_ms: i64, response: &DigestResponse) -> Result<(), Box<Problem>> {
        let Stage::Asking(hunt) = &mut self.mending.stage else { return Ok(()) };
        let operations: Vec<Operation> = serde_json::from_str(response.operations.get()).map_err(|error| {
            super::answer::unreadable(format!("The server's operations cannot be read ({error}): update this device."))
        })?;
        if !hunt.take(response, &operations) {
            self.stop_mending();
            self.backoff.fail(now_ms, None);
            self.is_wanted = true;
            return Ok(());
        }
        if !operations.is_empty() {
            self.work.push_back(Work::Mended(operations));
        }
        self.is_wanted = true;
        self.end_mend_if_done(now_ms);
        Ok(())
    }

    /// The request had no answer.
    pub(super) fn lose_digest(&mut self) {
        if let Stage::Asking(hunt) = &mut self.mending.stage {
            hunt.ask_again();
        }
    }

    /// The outbox has something to send that is not deferred.
    pub(super) fn is_rest(&self) -> bool {
        self.saved.outbox.iter().any(|mutation| !self.deferred.contains(&mutation.id))
    }

    /// What the server has lost goes back into the outbox; of what the journal does not have the person is told.
    pub(super) fn reoffer(&self, now_ms: i64, from: MutationId, journal: Vec<Journaled>) -> (Batch, Cause) {
        let is_waiting = |id: MutationId| self.saved.outbox.iter().any(|mutation| mutation.id == id);
        let mut journal = journal.into_iter().peekable();
        let mut mutations = Vec::new();
        let mut lost = Vec::new();
        for id in from..=self.saved.position.last_mutation {
            let entry = journal.next_if(|entry| entry.mutation.id == id);
            if is_waiting(id) {
                continue;
            }
            mutations.push(entry.map_or_else(
                || {
                    lost.push(id);
                    Mutation::void(id)
                },
                Journaled::offer,
            ));
        }
        let mut ops = vec![StoreOp::Reoffer { from, mutations }];
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            let attention = self.lost(*first, *last, lost.len(), now_ms);
            ops.push(StoreOp::AttentionAdd(Box::new(attention)));
        }
        (Batch { ops }, Cause::Reoffer)
    }

    fn lost(&self, first: MutationId, last: MutationId, count: usize, at_ms: i64) -> Attention {
        let message = if self.settings.language.as_deref() == Some("es") {
            format!(
                "El servidor se restauró desde una copia y perdió {count} cambios de este dispositivo ({first} a {last}) que \
                 ya no están aquí. Revisa lo que hiciste entonces y repítelo si falta."
            )
        } else {
            format!(
                "The server was restored from a backup and lost {count} changes of this device ({first} to {last}) that \
                 are no longer here. Look at what you did then, and repeat what is missing."
            )
        };
        let reason = Reason { code: "lost-in-restore".to_owned(), message, fields: Vec::new() };
        let mutation = Mutation::void(last);
        let outcome = Outcome {
            mutation: last,
            verdict: Verdict::Rejected,
            seq: 0,
            reason: Some(reason),
            server: crate::wire::Fields::new(),
        };
        Attention { mutation, outcome, at_ms }
    }
}
