//! From an answer to what becomes durable of it.

use std::collections::BTreeSet;

use serde_json::Map;

use super::{Answer, Answered, Cause, Effect, Engine, Work};
use crate::PROTOCOL_VERSION;
use crate::fault::{Fault, is_seeded};
use crate::id::MutationId;
use crate::store::{Attention, Batch, JOURNAL_DAYS, Journaled, LayOver, Names, Saved, StoreOp, lost};
use crate::wire::{ExchangeResponse, Fields, Mutation, MutationKind, Operation, Order, Outcome, Problem, Verdict};

impl Engine {
    pub(super) fn take_answer(
        &mut self,
        now_ms: i64,
        answer: Answer,
        sent: Vec<MutationId>,
        outcomes_only: bool,
        effects: &mut Vec<Effect>,
    ) {
        if !matches!(answer, Answer::Digest(_)) {
            self.lose_digest();
        }
        match answer {
            Answer::Digest(response) => {
                self.note_contact();
                self.problem = None;
                if let Err(problem) = self.take_digest(now_ms, &response) {
                    self.lose_digest();
                    self.stand_back(now_ms, Some(*problem), None);
                }
            }
            Answer::Response(response) if is_too_old(&response) => {
                self.note_contact();
                self.problem = Some(too_old());
                // A person, or a newer program that starts, tries again: nothing else helps.
                self.is_blocked = true;
                let operations = Vec::new();
                self.work.push_back(Work::Answer { response, operations, sent, outcomes_only: true });
                // The outcomes may speak of fields by other names: with a newer program the device starts over.
                if self.saved.position.cursor.is_some() {
                    self.work.push_back(Work::Reset);
                }
            }
            Answer::Response(response) if self.lacks(&response.model) => {
                self.note_contact();
                self.problem = None;
                self.is_wanted = true;
                self.want_model(response.model, effects);
            }
            Answer::Response(response) => {
                self.note_contact();
                match read(&response) {
                    Ok(operations) => {
                        self.problem = None;
                        self.why_deferred = why_deferred(&response).or(self.why_deferred.take());
                        self.work.push_back(Work::Answer { response, operations, sent, outcomes_only });
                    }
                    Err(problem) => self.stand_back(now_ms, Some(*problem), None),
                }
            }
            Answer::Problem { problem, retry_after_ms } => {
                self.note_contact();
                match (problem.status, problem.code.as_str()) {
                    (_, code) if code.starts_with("cursor-") => self.work.push_back(Work::Reset),
                    (_, "mutation-gap") if self.has_answered(expected(&problem)) => {
                        self.is_wanted = true;
                        self.offer_again(expected(&problem), effects);
                    }
                    (401, _) => {
                        self.problem = Some(*problem);
                        self.is_blocked = true;
                    }
                    // What was deferred was left out, and the server has begun to decide again.
                    (_, "mutation-gap") if self.deferred.contains(&expected(&problem)) => self.offer_deferred(),
                    (429 | 500.., _) => self.stand_back(now_ms, None, retry_after_ms),
                    _ => self.stand_back(now_ms, Some(*problem), retry_after_ms),
                }
            }
            Answer::Manifest(_) | Answer::Chunks(_) => {
                let problem = unreadable("The host handed the answer of another request to the engine.".to_owned());
                self.stand_back(now_ms, Some(*problem), None);
            }
            Answer::Failed => {
                self.offline_since_ms.get_or_insert(now_ms);
                self.stand_back(now_ms, self.problem.clone(), None);
            }
        }
    }

    /// Whether the device does not hold this model: then the answer speaks of fields by names that mean nothing here
    /// or something else, and nothing of it is taken until the model is here. The next exchange brings the same again.
    fn lacks(&self, model: &str) -> bool {
        self.saved.position.model.as_deref() != Some(model)
    }

    pub(super) fn note_contact(&mut self) {
        if self.is_online {
            self.offline_since_ms = None;
        }
    }

    pub(super) fn stand_back(&mut self, now_ms: i64, problem: Option<Problem>, retry_after_ms: Option<i64>) {
        self.problem = problem;
        self.is_wanted = true;
        self.backoff.fail(now_ms, retry_after_ms);
    }
}

/// What a person is told of mutations that are not decided for now, where the server says why.
fn why_deferred(response: &ExchangeResponse) -> Option<Problem> {
    let deferred = |outcome: &&Outcome| outcome.verdict == Verdict::Deferred;
    let reason = response.outcomes.iter().find(deferred)?.reason.clone()?;
    Some(Problem {
        kind: format!("urn:cartera:problem:{}", reason.code),
        code: reason.code,
        title: "What was done here is not decided for now.".to_owned(),
        status: 503,
        detail: Some(reason.message),
        fields: Vec::new(),
        extra: Map::new(),
    })
}

/// Whether the server takes what the device pushes, and tells it nothing else.
fn is_too_old(response: &ExchangeResponse) -> bool {
    response.orders.iter().any(|order| matches!(order, Order::Update { .. }))
}

fn too_old() -> Problem {
    Problem {
        kind: "urn:cartera:problem:client-too-old".to_owned(),
        code: "client-too-old".to_owned(),
        title: "This program is too old for the server.".to_owned(),
        status: 426,
        detail: Some("What was done here is sent. Update this program to receive what others do.".to_owned()),
        fields: Vec::new(),
        extra: Map::new(),
    }
}

/// The mutation that the server waits for; 0: it does not say.
fn expected(problem: &Problem) -> MutationId {
    problem.extra.get("expected").and_then(serde_json::Value::as_u64).unwrap_or_default()
}

/// The operations of a response that this device understands whole; to skip one would be to lose it.
fn read(response: &ExchangeResponse) -> Result<Vec<Operation>, Box<Problem>> {
    if response.protocol != PROTOCOL_VERSION {
        return Err(unreadable(format!(
            "The server speaks version {} of the protocol and this device version {PROTOCOL_VERSION}: update the one that is older.",
            response.protocol
        )));
    }
    serde_json::from_str(response.operations.get())
        .map_err(|error| unreadable(format!("The server's operations cannot be read ({error}): update this device.")))
}

pub(super) fn unreadable(detail: String) -> Box<Problem> {
    Box::new(Problem {
        kind: "urn:cartera:problem:unreadable-answer".to_owned(),
        code: "unreadable-answer".to_owned(),
        title: "The server's answer cannot be read".to_owned(),
        status: 502,
        detail: Some(detail),
        fields: Vec::new(),
        extra: Map::new(),
    })
}

/// The one batch of a response: outcomes first, then operations, then the checkpoint.
pub(super) fn commit(
    saved: &Saved,
    response: ExchangeResponse,
    operations: Vec<Operation>,
    sent: &[MutationId],
    outcomes_only: bool,
    now_ms: i64,
) -> (Batch, Cause) {
    let mut ops = Vec::new();
    let mut answered = BTreeSet::new();
    let mut deferred = BTreeSet::new();
    let mut outcomes = response.outcomes;
    // In the order decided: a deferred mutation may have been decided after later ones.
    outcomes.sort_by_key(|outcome| outcome.seq);
    for outcome in outcomes {
        let Some(mutation) = saved.outbox.iter().find(|mutation| mutation.id == outcome.mutation) else {
            continue;
        };
        if answered.insert(mutation.id) {
            if outcome.verdict == Verdict::Deferred {
                deferred.insert(mutation.id);
            } else {
                let (head, at_ms) = (response.head, response.server_time_ms);
                let rejected = outcome.verdict == Verdict::Rejected;
                let entry = Journaled { mutation: mutation.clone(), rejected, head, at_ms };
                settle(mutation, outcome, now_ms, &mut ops);
                ops.push(StoreOp::Journal(Box::new(entry)));
            }
        }
    }
    if !answered.is_empty() {
        let before_ms = response.server_time_ms - JOURNAL_DAYS * 24 * 3_600_000;
        ops.push(StoreOp::JournalTrim { safe: response.safe.unwrap_or_default(), before_ms });
    }

    let is_staging = saved.position.staged_cursor.is_some();
    let unanswered = sent.iter().any(|id| !answered.contains(id));
    let ExchangeResponse { cursor, more, head, digest, mend, expected, .. } = response;
    if outcomes_only {
        // The cursor stays where it is, and what it stands for is still arriving by chunks.
        let answered = Answered { more: true, head, deferred, unanswered, digest: None, mend, expected };
        return (Batch { ops }, Cause::Answer(Box::new(answered)));
    }
    if mend.is_some() {
        // There are no news from this cursor.
    } else if more {
        ops.push(StoreOp::Stage { operations, cursor });
    } else {
        if is_staging && !is_seeded(Fault::ForgetStagedPages) {
            ops.push(StoreOp::ApplyStaged);
        }
        ops.push(StoreOp::Apply { operations });
        let sweep = saved.position.cursor.is_none();
        ops.push(StoreOp::Checkpoint { cursor, sweep, at_ms: now_ms });
    }
    let answered = Answered { more, head, deferred, unanswered, digest, mend, expected };
    (Batch { ops }, Cause::Answer(Box::new(answered)))
}

/// The batch of a model that is here: what waits in the outbox is called as it calls it.
pub(super) fn take_model(saved: &Saved, hash: String, names: Names) -> Batch {
    let renamed = saved.outbox.iter().filter_map(|mutation| names.mutation(mutation));
    let renamed = renamed.filter(|_| !is_seeded(Fault::KeepFormerNames));
    let mut ops: Vec<StoreOp> = renamed.map(StoreOp::OutboxRename).collect();
    let attention = saved.attention.iter().filter_map(|known| {
        let mutation = names.mutation(&known.mutation)?;
        let server = names.values(&mutation.entity, &known.outcome.server);
        Some(Attention { mutation, outcome: Outcome { server, ..known.outcome.clone() }, at_ms: known.at_ms })
    });
    ops.extend(attention.map(|known| StoreOp::AttentionAdd(Box::new(known))));
    ops.push(StoreOp::Model { hash, names });
    // Where this is the model that the cursor is of, the server does not know what the one in between has taken away.
    if saved.position.has_let_go {
        ops.push(StoreOp::Reset);
    }
    Batch { ops }
}

/// A mutation leaves the outbox: its effect goes into the base, what did not come of it to the person.
fn settle(mutation: &Mutation, outcome: Outcome, now_ms: i64, ops: &mut Vec<StoreOp>) {
    let record = mutation.record;
    let is_done = matches!(outcome.verdict, Verdict::Applied | Verdict::Merged);
    if (is_done || !outcome.server.is_empty()) && !is_seeded(Fault::SkipOwnChange) {
        ops.push(StoreOp::LayOver(LayOver {
            // What was rejected makes nothing; the server's values are news of a record that is here already.
            kind: if is_done { mutation.kind } else { MutationKind::Update },
            entity: mutation.entity.clone(),
            record,
            set: if is_done { mutation.set.clone() } else { Fields::new() },
            ops: if is_done { mutation.ops.clone() } else { Vec::new() },
            server: outcome.server.clone(),
            seq: outcome.seq,
        }));
    }
    ops.push(StoreOp::OutboxRemove { mutation: mutation.id, record });
    // A void one did nothing, and what it stands for was told when it was put in its place.
    if !mutation.is_void() && (outcome.verdict == Verdict::Rejected || !lost(mutation, &outcome).is_empty()) {
        ops.push(StoreOp::AttentionAdd(Box::new(Attention { mutation: mutation.clone(), outcome, at_ms: now_ms })));
    }
}
