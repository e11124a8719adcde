use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::Serialize;
use sync_protocol::engine::{Answer, Effect, Fetch, Input};
use sync_protocol::id::{MutationId, RecordId};
use sync_protocol::store::{Batch, Saved, StoreOp};
use sync_protocol::wire::{DigestRequest, ExchangeRequest, ExchangeResponse, LiveEvent, Operation, Report, Verdict};

use super::{Device, DeviceError};
use crate::storage::StorageError;
use crate::transport::{Transport, TransportError};
use crate::value::{LinkTargets, Titles};

/// How often a sync waits as long as a busy server asks for, before it leaves the rest to the next one.
const PATIENCE: u32 = 3;
/// It does not wait longer than this at a time: a person is looking.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How far a sync has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Exchanges made.
    pub exchanges: u64,
    /// Mutations sent.
    pub sent: u64,
    /// Operations, and records in chunks, received.
    pub received: u64,
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// Whether nothing waits any more, here or on the server.
    pub in_step: bool,
    /// Exchanges made.
    pub exchanges: u64,
    /// Requests that compared what the device holds with the server.
    pub comparisons: u64,
    /// Mutations sent, retries included.
    pub sent: u64,
    /// Mutations done as said.
    pub applied: u64,
    /// Mutations done in part or in another form.
    pub merged: u64,
    /// Mutations that the server did not do.
    pub rejected: u64,
    /// Operations, and records in chunks, received.
    pub received: u64,
    /// Mutations that still wait for an outcome.
    pub waiting: usize,
    /// Outcomes that a person has to look at.
    pub attention: usize,
    /// Whether the model changed.
    pub model_changed: bool,
}

/// One run of the engine against a transport.
struct Run<'a> {
    transport: &'a dyn Transport,
    progress: &'a mut dyn FnMut(&Progress),
    report: SyncReport,
    /// The mutations whose outcomes came.
    outcomes: BTreeSet<MutationId>,
    /// Why the last exchange brought nothing; none after one that did.
    refusal: Option<TransportError>,
    /// Why the model could not be taken.
    unusable: Option<DeviceError>,
    failure: Option<StorageError>,
    wake_at_ms: Option<i64>,
    arrived: Vec<Arrival>,
}

/// Of so many records it is told that they came; more are only counted.
const ARRIVALS_TOLD: usize = 50;

/// Something that came from the server and is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// `put`, `delete` or `exit`.
    pub op: &'static str,
    /// The record.
    pub id: RecordId,
    /// Its entity, where it is still here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// What became of an event of the live stream, or of a sync while the device follows.
#[derive(Clone, Debug)]
pub struct Followed {
    /// What was done.
    pub report: SyncReport,
    /// The first of what came.
    pub arrived: Vec<Arrival>,
}

impl Device {
    /// Exchanges until the device is in step with its server, and says how far it is after each exchange.
    ///
    /// # Errors
    /// When the server was not reached or refused; what was done here still waits, and what came is kept.
    pub fn sync(
        &mut self,
        transport: &dyn Transport,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<SyncReport, DeviceError> {
        self.pass(transport, progress, vec![Input::Online, Input::SyncRequested]).map(|followed| followed.report)
    }

    /// Takes an event of the live stream, and exchanges where that is called for; without one, as [`Device::sync`].
    ///
    /// # Errors
    /// As [`Device::sync`].
    pub fn follow(&mut self, transport: &dyn Transport, event: Option<LiveEvent>) -> Result<Followed, DeviceError> {
        let inputs = match event {
            Some(event) => vec![Input::Live(event)],
            None => vec![Input::Online, Input::SyncRequested],
        };
        let mut followed = self.pass(transport, &mut |_| {}, inputs)?;
        for arrival in &mut followed.arrived {
            arrival.entity = self.entity_of(arrival.id);
            arrival.title = self.title(&arrival.id.to_string());
        }
        Ok(followed)
    }

    fn pass(
        &mut self,
        transport: &dyn Transport,
        progress: &mut dyn FnMut(&Progress),
        inputs: Vec<Input>,
    ) -> Result<Followed, DeviceError> {
        let mut run = Run {
            transport,
            progress,
            report: SyncReport::default(),
            outcomes: BTreeSet::new(),
            refusal: None,
            unusable: None,
            failure: None,
            wake_at_ms: None,
            arrived: Vec::new(),
        };
        self.run(&mut run, inputs);
        for _ in 0..PATIENCE {
            let Some(pause) = run.pause(self.host.now_ms()) else { break };
            self.host.wait(pause);
            self.run(&mut run, vec![Input::Tick]);
        }
        if run.is_heard() {
            self.report(transport);
        }
        self.finish(run)
    }

    /// Tells the server how the device stands, when that is due.
    fn report(&mut self, transport: &dyn Transport) {
        let Some(report) = self.engine.report_due(self.host.now_ms()) else { return };
        let app = Some(concat!("cartera-device ", env!("CARGO_PKG_VERSION")).to_owned());
        let storage_bytes = self.store.size_bytes().ok();
        // A report that does not arrive is made up for by the next.
        drop(transport.report(&Report { app, storage_bytes, ..report }));
    }

    fn run(&mut self, run: &mut Run, inputs: Vec<Input>) {
        let mut inputs = VecDeque::from(inputs);
        while let Some(input) = inputs.pop_front() {
            for effect in self.engine.handle(self.host.now_ms(), input) {
                match effect {
                    Effect::Send { exchange, request } => {
                        let answer = run.exchange(&request);
                        inputs.push_back(Input::Answered { exchange, answer });
                    }
                    Effect::Fetch { exchange, fetch } => {
                        let answer = run.fetch(&fetch);
                        inputs.push_back(Input::Answered { exchange, answer });
                    }
                    Effect::Commit { commit, batch } => {
                        run.count(&batch, self.engine.saved());
                        inputs.push_back(self.commit(commit, &batch, &mut run.failure));
                    }
                    Effect::Digest { exchange, request } => {
                        let answer = run.compare(&request);
                        inputs.push_back(Input::Answered { exchange, answer });
                    }
                    Effect::LookUp { look, query } => inputs.push_back(self.look_up(look, &query, &mut run.failure)),
                    Effect::FetchModel { hash } => inputs.push_back(self.fetch_model(run, hash)),
                    Effect::WakeAt { at_ms } => run.wake_at_ms = Some(at_ms),
                    Effect::Saved { .. } | Effect::NotSaved { .. } | Effect::State(_) => {}
                }
            }
        }
    }

    fn fetch_model(&mut self, run: &mut Run, hash: String) -> Input {
        let taken = match run.transport.model(&hash) {
            Ok(json) => self.take_model(&hash, json),
            Err(error) => Err(error.into()),
        };
        match taken {
            Ok(names) => {
                run.report.model_changed = true;
                Input::ModelStored { hash, names }
            }
            Err(error) => {
                run.unusable = Some(error);
                Input::ModelFailed
            }
        }
    }

    fn finish(&mut self, run: Run) -> Result<Followed, DeviceError> {
        if let Some(failure) = run.failure {
            return Err(failure.into());
        }
        if let Some(refusal) = run.refusal {
            return Err(refusal.into());
        }
        let state = self.engine.state();
        if let Some(problem) = state.problem {
            return Err(TransportError::Refused { problem: Box::new(problem), retry_after: None }.into());
        }
        if let Some(unusable) = run.unusable {
            return Err(unusable);
        }
        let position = &self.engine.saved().position;
        let is_whole = position.cursor.is_some() && position.staged_cursor.is_none();
        let report = SyncReport {
            in_step: is_whole && state.waiting == 0,
            waiting: state.waiting,
            attention: state.attention,
            ..run.report
        };
        Ok(Followed { report, arrived: run.arrived })
    }
}

impl Run<'_> {
    fn exchange(&mut self, request: &ExchangeRequest) -> Answer {
        self.report.exchanges += 1;
        self.report.sent += request.mutations.len() as u64;
        let answer = self.transport.exchange(request);
        match answer {
            Ok(response) => {
                self.refusal = None;
                self.count_outcomes(&response);
                Answer::Response(Box::new(response))
            }
            Err(error) => self.refuse(error),
        }
    }

    fn compare(&mut self, request: &DigestRequest) -> Answer {
        self.report.comparisons += 1;
        match self.transport.digest(request) {
            Ok(response) => {
                self.refusal = None;
                Answer::Digest(Box::new(response))
            }
            Err(error) => self.refuse(error),
        }
    }

    fn fetch(&mut self, fetch: &Fetch) -> Answer {
        let answer = match fetch {
            Fetch::Manifest(request) => {
                self.transport.manifest(request).map(|manifest| Answer::Manifest(Box::new(manifest)))
            }
            Fetch::Chunks(chunks) => self.transport.chunks(chunks).map(Answer::Chunks),
        };
        match answer {
            Ok(answer) => {
                self.refusal = None;
                answer
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&mut self, error: TransportError) -> Answer {
        let answer = match &error {
            TransportError::Refused { problem, retry_after } => Answer::Problem {
                problem: problem.clone(),
                retry_after_ms: retry_after.and_then(|pause| i64::try_from(pause.as_millis()).ok()),
            },
            _ => Answer::Failed,
        };
        self.refusal = Some(error);
        answer
    }

    fn count_outcomes(&mut self, response: &ExchangeResponse) {
        for outcome in &response.outcomes {
            // One that comes again, because the answer that had it was lost or put aside, happened once.
            if !self.outcomes.insert(outcome.mutation) {
                continue;
            }
            match outcome.verdict {
                Verdict::Applied => self.report.applied += 1,
                Verdict::Merged => self.report.merged += 1,
                Verdict::Rejected => self.report.rejected += 1,
                Verdict::Deferred => {}
            }
        }
    }

    fn count(&mut self, batch: &Batch, saved: &Saved) {
        let waiting = saved.position.bootstrap.iter().flat_map(|bootstrap| &bootstrap.waiting);
        let rows_of = |hash| waiting.clone().find(|chunk| chunk.hash == hash).map_or(0, |chunk| chunk.rows);
        let operations = batch.ops.iter().map(|op| match op {
            StoreOp::Apply { operations } | StoreOp::Stage { operations, .. } | StoreOp::StageMended { operations } => {
                operations.len() as u64
            }
            StoreOp::Chunk { hash, .. } => rows_of(*hash),
            _ => 0,
        });
        self.report.received += operations.sum::<u64>();
        for op in &batch.ops {
            if let StoreOp::Apply { operations } = op {
                let room = ARRIVALS_TOLD.saturating_sub(self.arrived.len());
                self.arrived.extend(operations.iter().filter_map(arrival).take(room));
            }
        }
        let SyncReport { exchanges, sent, received, .. } = self.report;
        (self.progress)(&Progress { exchanges, sent, received });
    }

    /// Whether the server listens to this device, even if it refused an exchange.
    fn is_heard(&self) -> bool {
        self.refusal.as_ref().is_none_or(|refusal| !refusal.is_retryable() && !refusal.is_unauthorised())
    }

    /// How long to wait before it is worth trying again now; none when it is not.
    fn pause(&self, now_ms: i64) -> Option<Duration> {
        let is_busy = matches!(&self.refusal, Some(TransportError::Refused { .. }))
            && self.refusal.as_ref().is_some_and(TransportError::is_retryable);
        let pause = u64::try_from(self.wake_at_ms?.saturating_sub(now_ms)).unwrap_or(0);
        let pause = Duration::from_millis(pause);
        (is_busy && self.failure.is_none() && pause <= LONGEST_PAUSE).then_some(pause)
    }
}

/// What a person would notice of an operation.
fn arrival(operation: &Operation) -> Option<Arrival> {
    let (op, id) = match operation {
        Operation::Put { id, .. } => ("put", *id),
        Operation::Delete { id, .. } => ("delete", *id),
        Operation::Exit { id, .. } => ("exit", *id),
        Operation::ScopeAdd { .. } | Operation::ScopeDrop { .. } | Operation::Acknowledged { .. } => return None,
    };
    Some(Arrival { op, id, entity: None, title: None })
}
