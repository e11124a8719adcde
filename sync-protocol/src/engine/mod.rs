//! The client engine: a device's side of the protocol, without I/O.
//!
//! The host feeds [`Input`]s with the time and carries out the [`Effect`]s in order: it sends requests, commits
//! batches to its storage ([`crate::store`]), wakes the engine, shows the state. The engine keeps the outbox and the
//! cursor in memory, as they are durable in the host's storage: whatever is not committed has not happened, so a crash
//! at any point, followed by [`Engine::restore`], loses nothing and does nothing twice.
//!
//! - One exchange is in flight at a time, and one commit.
//! - A mutation is durable in the outbox before it is sent, and stays there until its outcome is durable.
//! - Every exchange carries the outbox from its lowest id on: mutations whose answer was lost always come again, so
//!   that no operation arrives that counts on an outcome which the device does not have.

mod answer;
mod backoff;
mod bootstrap;
mod effect;
mod hunt;
mod input;
mod live;
mod mend;
mod report;
mod request;
mod state;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use backoff::Backoff;
pub use bootstrap::Fetch;
use bootstrap::Next;
pub use effect::Effect;
pub use input::{Answer, CommitFailure, Draft, Edit, Input};
use live::News;
use mend::Mending;
use report::Reporting;
pub use state::{FirstSync, Phase, SyncState};

use crate::digest::Hash;
use crate::id::{MutationId, Sequence};
use crate::store::{Batch, Journaled, Names, Saved, StoreOp};
use crate::wire::{Delta, ExchangeResponse, ManifestResponse, MendReason, Operation, Problem};

/// What the host decides about its engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Language of reasons and problems: `es` or `en`.
    pub language: Option<String>,
    /// The most bytes of operations wanted in one answer.
    pub limit_bytes: u64,
    /// The most bytes of mutations sent in one request; a single mutation, or a group, may be larger.
    pub push_bytes: usize,
    /// Whether the host can fetch chunks: a first sync then begins with them, where the server has any.
    pub chunks: bool,
    /// Any number that differs between devices: it spreads their retries.
    pub jitter_seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { language: None, limit_bytes: 1 << 20, push_bytes: 1 << 20, chunks: false, jitter_seed: 0 }
    }
}

/// A device's side of the protocol.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// What is durable, and nothing else.
    saved: Saved,
    work: VecDeque<Work>,
    commit: Option<Commit>,
    commits: u64,
    flight: Option<Flight>,
    exchanges: u64,
    is_online: bool,
    offline_since_ms: Option<i64>,
    /// There is something to exchange, as soon as nothing stands in the way.
    is_wanted: bool,
    /// Only a person, or the network's return, makes the engine try again.
    is_blocked: bool,
    backoff: Backoff,
    /// Answered `deferred`: sent again after a pause, or with the next exchange that a person asks for.
    deferred: BTreeSet<MutationId>,
    /// What the server last said of that.
    why_deferred: Option<Problem>,
    /// The pause of what is deferred; everything else goes on meanwhile.
    deferral: Backoff,
    /// The wake-up that the host was last asked for.
    wake_at_ms: Option<i64>,
    problem: Option<Problem>,
    resets_in_a_row: u32,
    fetching_model: Option<String>,
    news: News,
    reporting: Reporting,
    bootstrap: bootstrap::Progress,
    mending: Mending,
    shown: Option<SyncState>,
}

#[derive(Debug)]
enum Work {
    Edit(Edit),
    Answer { response: Box<ExchangeResponse>, operations: Vec<Operation>, sent: Vec<MutationId>, outcomes_only: bool },
    Live { delta: Box<Delta>, operations: Vec<Operation> },
    Manifest(Box<ManifestResponse>),
    Chunks(Batch),
    Mend(MendReason),
    Mended(Vec<Operation>),
    MendEnded { cursor: Option<String> },
    Compared { at_ms: i64 },
    Reoffer { from: MutationId, journal: Vec<Journaled> },
    Reset,
    Dismiss(MutationId),
    Model(String, Names),
}

#[derive(Debug)]
struct Flight {
    number: u64,
    sent: Vec<MutationId>,
    outcomes_only: bool,
    /// What is fetched, when it is no exchange.
    fetch: Option<Fetch>,
}

#[derive(Debug)]
struct Commit {
    number: u64,
    batch: Arc<Batch>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Edit { ticket: u64, mutations: Vec<MutationId> },
    Answer(Box<Answered>),
    Live { head: Sequence },
    Manifest { model: String },
    Chunks,
    Mend,
    Mended,
    Compared,
    Reoffer,
    Reset,
    Dismiss,
    Model,
}

/// What an answer said besides what its batch does.
#[derive(Debug)]
struct Answered {
    more: bool,
    head: Sequence,
    deferred: BTreeSet<MutationId>,
    unanswered: bool,
    digest: Option<Hash>,
    mend: Option<MendReason>,
    expected: Option<MutationId>,
}

impl Engine {
    /// Goes on from what the host's storage holds; a new device starts with [`Saved::default`].
    #[must_use]
    pub fn restore(saved: Saved, settings: Settings) -> Self {
        Self {
            backoff: Backoff::new(settings.jitter_seed),
            why_deferred: None,
            deferral: Backoff::new(settings.jitter_seed),
            wake_at_ms: None,
            settings,
            saved,
            work: VecDeque::new(),
            commit: None,
            commits: 0,
            flight: None,
            exchanges: 0,
            is_online: true,
            offline_since_ms: None,
            is_wanted: false,
            is_blocked: false,
            deferred: BTreeSet::new(),
            problem: None,
            resets_in_a_row: 0,
            fetching_model: None,
            news: News::default(),
            reporting: Reporting::default(),
            bootstrap: bootstrap::Progress::default(),
            mending: Mending::default(),
            shown: None,
        }
    }

    /// What is durable on the device, as far as the engine knows.
    #[must_use]
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// What a person sees of it.
    #[must_use]
    pub fn state(&self) -> SyncState {
        let is_committing = self.commit.as_ref().is_some_and(|commit| {
            !matches!(commit.cause, Cause::Edit { .. } | Cause::Dismiss | Cause::Model | Cause::Compared)
        });
        let is_syncing = self.flight.is_some() || is_committing || self.mending.is_mending();
        let why_deferred = self.why_deferred.as_ref().filter(|_| !self.deferred.is_empty());
        let problem = self.problem.as_ref().or(why_deferred);
        state::describe(&self.saved, is_syncing, self.offline_since_ms, problem)
    }

    /// Takes what happened and says what to do, in order.
    pub fn handle(&mut self, now_ms: i64, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.take(now_ms, input, &mut effects);
        if self.may_send(now_ms) {
            self.resume_mend();
        }
        self.commit_next(now_ms, &mut effects);
        self.send_if_due(now_ms, &mut effects);
        let wake_at_ms = self.backoff.until_ms().into_iter().chain(self.deferral.until_ms()).min();
        if self.wake_at_ms != wake_at_ms {
            self.wake_at_ms = wake_at_ms;
            effects.extend(wake_at_ms.map(|at_ms| Effect::WakeAt { at_ms }));
        }
        let state = self.state();
        if self.shown.as_ref() != Some(&state) {
            self.shown = Some(state.clone());
            effects.push(Effect::State(state));
        }
        effects
    }

    fn take(&mut self, now_ms: i64, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Start | Input::SyncRequested => self.try_now(),
            Input::Edit(edit) => self.work.push_back(Work::Edit(edit)),
            Input::Answered { exchange, answer } => {
                if let Some(flight) = self.flight.take_if(|flight| flight.number == exchange) {
                    match flight.fetch {
                        Some(fetch) => self.take_fetched(now_ms, fetch, answer, effects),
                        None => self.take_answer(now_ms, answer, flight.sent, flight.outcomes_only, effects),
                    }
                }
            }
            Input::Live(event) => self.take_live(event),
            Input::Found { look, found } => self.take_found(now_ms, look, found),
            Input::Committed { commit } => {
                if let Some(commit) = self.commit.take_if(|pending| pending.number == commit) {
                    self.take_commit(now_ms, commit, effects);
                }
            }
            Input::CommitFailed { commit, failure } => {
                if let Some(commit) = self.commit.take_if(|pending| pending.number == commit) {
                    self.take_failed_commit(now_ms, &commit.cause, failure, effects);
                }
            }
            Input::Online => {
                self.is_online = true;
                self.offline_since_ms = None;
                self.try_now();
            }
            Input::Offline => {
                self.is_online = false;
                self.offline_since_ms.get_or_insert(now_ms);
            }
            Input::Tick => {
                self.is_wanted |= self.backoff.is_over(now_ms);
                if self.deferral.is_over(now_ms) {
                    self.offer_deferred();
                }
            }
            Input::Dismiss { mutation } => self.work.push_back(Work::Dismiss(mutation)),
            Input::ModelStored { hash, names } => self.work.push_back(Work::Model(hash, names)),
            Input::ModelFailed => {
                self.fetching_model = None;
                // Nothing is taken under a model that is not here: it is asked for again, but not at once.
                self.stand_back(now_ms, self.problem.clone(), None);
            }
        }
    }

    fn try_now(&mut self) {
        self.is_blocked = false;
        self.backoff.end();
        self.offer_deferred();
    }

    /// Has the next exchange carry what was deferred.
    pub(super) fn offer_deferred(&mut self) {
        self.is_wanted = true;
        self.deferred.clear();
        self.deferral.end();
    }

    fn take_commit(&mut self, now_ms: i64, commit: Commit, effects: &mut Vec<Effect>) {
        for op in &commit.batch.ops {
            self.saved.follow(op);
        }
        match commit.cause {
            Cause::Edit { ticket, mutations } => {
                self.is_wanted = true;
                effects.push(Effect::Saved { ticket, mutations });
            }
            Cause::Answer(answered) => self.take_answered(now_ms, *answered, effects),
            Cause::Live { head } => self.news.know(head),
            Cause::Manifest { model } => {
                self.follow_manifest();
                self.want_model(model, effects);
            }
            Cause::Chunks => self.follow_chunks(),
            Cause::Mend => self.take_prepared(now_ms, effects),
            Cause::Mended | Cause::Reoffer => self.is_wanted = true,
            Cause::Reset => {
                self.is_wanted = true;
                self.resets_in_a_row += 1;
                if self.resets_in_a_row > 1 {
                    self.backoff.fail(now_ms, None);
                }
            }
            Cause::Model => self.fetching_model = None,
            Cause::Dismiss | Cause::Compared => {}
        }
    }

    fn take_answered(&mut self, now_ms: i64, answered: Answered, effects: &mut Vec<Effect>) {
        let Answered { more, head, deferred, unanswered, digest, mend, expected } = answered;
        self.news.know(head);
        self.deferred.extend(deferred);
        let is_whole = !more && mend.is_none();
        if is_whole {
            self.resets_in_a_row = 0;
        }
        let rest = self.is_rest();
        self.is_wanted = more || rest;
        if unanswered {
            self.backoff.fail(now_ms, None);
        } else {
            self.backoff.succeed();
        }
        if self.deferred.is_empty() {
            self.deferral.succeed();
        } else if self.deferral.until_ms().is_none() {
            self.deferral.fail(now_ms, None);
        }
        match (expected, mend, digest) {
            (Some(expected), _, _) if self.has_answered(expected) => {
                self.is_wanted = true;
                self.offer_again(expected, effects);
            }
            (_, Some(why), _) => self.take_order(why),
            (_, None, Some(digest)) if is_whole => self.compare(digest, effects),
            (_, None, _) => {}
        }
    }

    fn want_model(&mut self, hash: String, effects: &mut Vec<Effect>) {
        if self.saved.position.model.as_ref() != Some(&hash) && self.fetching_model.as_ref() != Some(&hash) {
            self.fetching_model = Some(hash.clone());
            effects.push(Effect::FetchModel { hash });
        }
    }

    fn take_failed_commit(&mut self, now_ms: i64, cause: &Cause, failure: CommitFailure, effects: &mut Vec<Effect>) {
        match (cause, failure) {
            (Cause::Edit { ticket, .. }, _) => effects.push(Effect::NotSaved { ticket: *ticket }),
            (Cause::Answer(_), CommitFailure::BaseMissing) => self.work.push_back(Work::Mend(MendReason::BaseMissing)),
            // An exchange from the same cursor brings the same, and finds out what is wrong with it.
            (Cause::Live { .. }, CommitFailure::BaseMissing) => self.is_wanted = true,
            (Cause::Chunks, CommitFailure::Chunk) => self.avoid_chunks(),
            (
                Cause::Answer(_)
                | Cause::Live { .. }
                | Cause::Manifest { .. }
                | Cause::Chunks
                | Cause::Mend
                | Cause::Mended
                | Cause::Reoffer
                | Cause::Reset,
                _,
            ) => {
                self.stop_mending();
                self.is_wanted = true;
                self.backoff.fail(now_ms, None);
            }
            (Cause::Model, _) => {
                self.fetching_model = None;
                self.is_wanted = true;
                self.backoff.fail(now_ms, None);
            }
            (Cause::Dismiss | Cause::Compared, _) => {}
        }
    }

    fn commit_next(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        if self.commit.is_some() {
            return;
        }
        let Some(work) = self.next_work() else {
            return;
        };
        let (batch, cause) = match work {
            Work::Edit(edit) => {
                let (batch, mutations) = input::number(&self.saved, edit.drafts);
                (batch, Cause::Edit { ticket: edit.ticket, mutations })
            }
            Work::Answer { response, operations, sent, outcomes_only } => {
                answer::commit(&self.saved, *response, operations, &sent, outcomes_only, now_ms)
            }
            Work::Live { delta, operations } => live::commit(*delta, operations, now_ms),
            Work::Manifest(manifest) => bootstrap::commit(&self.saved, *manifest),
            Work::Chunks(batch) => (batch, Cause::Chunks),
            Work::Mend(why) => self.begin_mend(why),
            Work::Mended(operations) => (Batch::of(StoreOp::StageMended { operations }), Cause::Mended),
            Work::MendEnded { cursor: Some(cursor) } => {
                (Batch::of(StoreOp::Stage { operations: Vec::new(), cursor }), Cause::Mended)
            }
            Work::MendEnded { cursor: None } => (Batch::of(StoreOp::EndMend), Cause::Compared),
            Work::Compared { at_ms } => (Batch::of(StoreOp::Compared { at_ms }), Cause::Compared),
            Work::Reoffer { from, journal } => self.reoffer(now_ms, from, journal),
            Work::Reset => {
                self.stop_mending();
                (Batch::of(StoreOp::Reset), Cause::Reset)
            }
            Work::Dismiss(mutation) => (Batch::of(StoreOp::AttentionRemove { mutation }), Cause::Dismiss),
            Work::Model(hash, names) => (answer::take_model(&self.saved, hash, names), Cause::Model),
        };
        self.commits += 1;
        let batch = Arc::new(batch);
        effects.push(Effect::Commit { commit: self.commits, batch: batch.clone() });
        self.commit = Some(Commit { number: self.commits, batch, cause });
    }

    fn may_send(&mut self, now_ms: i64) -> bool {
        let is_busy = self.flight.is_some() || self.commit.is_some() || self.mending.is_reading();
        let is_free = !is_busy && self.work.is_empty();
        self.is_wanted |= is_free && self.news.want_exchange();
        let may_try = self.is_online && !self.is_blocked && self.backoff.allows(now_ms);
        is_free && may_try && self.is_wanted
    }

    fn send_if_due(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        if !self.may_send(now_ms) {
            return;
        }
        let next = self.next();
        if matches!(next, Next::AfterModel) {
            return;
        }
        self.is_wanted = false;
        self.backoff.end();
        self.exchanges += 1;
        let exchange = self.exchanges;
        let mut flight = Flight { number: exchange, sent: Vec::new(), outcomes_only: false, fetch: None };
        match (self.ask_digest(), next) {
            (Some(request), _) => effects.push(Effect::Digest { exchange, request }),
            (None, Next::Exchange { outcomes_only }) => {
                let compare = self.mending.wants_digest();
                let request = request::build(&self.saved, &self.deferred, &self.settings, outcomes_only, compare);
                flight.sent = request.mutations.iter().map(|mutation| mutation.id).collect();
                flight.outcomes_only = outcomes_only;
                for id in &flight.sent {
                    self.deferred.remove(id);
                }
                effects.push(Effect::Send { exchange, request });
            }
            (None, Next::Fetch(fetch)) => {
                flight.fetch = Some(fetch.clone());
                effects.push(Effect::Fetch { exchange, fetch });
            }
            (None, Next::AfterModel) => {}
        }
        self.flight = Some(flight);
    }
}
