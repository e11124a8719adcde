//! What the engine does, step by step. That it holds under faults and crashes is proven in `simulation/`.

mod live;
mod model;

use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};
use sync_protocol::engine::{Answer, CommitFailure, Draft, Edit, Effect, Engine, Input, Phase, Settings};
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, Batch, MemoryStore, Names, StoreOp, look_up};
use sync_protocol::wire::{
    Delta, ExchangeRequest, ExchangeResponse, Fields, LiveEvent, MendReason, MutationKind, Operation, Outcome, Poke,
    Problem, Reason, Verdict,
};
use uuid::Uuid;

/// An engine with its store; it commits at once and keeps every other effect.
struct Host {
    engine: Engine,
    store: MemoryStore,
    now_ms: i64,
    effects: Vec<Effect>,
}

impl Host {
    /// A device that holds the model and nothing else.
    fn new() -> Self {
        Self::with(with_model(), Settings::default())
    }

    fn with(store: MemoryStore, settings: Settings) -> Self {
        let engine = Engine::restore(store.saved(), settings);
        Self { engine, store, now_ms: 1_000, effects: Vec::new() }
    }

    fn give(&mut self, input: Input) {
        for effect in self.engine.handle(self.now_ms, input) {
            let (commit, batch) = match effect {
                Effect::Commit { commit, batch } => (commit, batch),
                Effect::LookUp { look, query } => {
                    let found = look_up(&self.store, &query).ok();
                    self.give(Input::Found { look, found });
                    continue;
                }
                other => {
                    self.effects.push(other);
                    continue;
                }
            };
            match self.store.commit(&batch) {
                Ok(()) => self.give(Input::Committed { commit }),
                Err(ApplyError::BaseMissing { .. }) => {
                    self.give(Input::CommitFailed { commit, failure: CommitFailure::BaseMissing });
                }
                Err(ApplyError::Chunk(error)) => panic!("nothing here fetches chunks: {error}"),
                Err(ApplyError::Store(never)) => match never {},
            }
        }
    }

    fn edit(&mut self, drafts: Vec<Draft>) {
        self.give(Input::Edit(Edit { ticket: 1, drafts }));
    }

    /// The request that waits for an answer.
    fn take_request(&mut self) -> Option<(u64, ExchangeRequest)> {
        let at = self.effects.iter().position(|effect| matches!(effect, Effect::Send { .. }))?;
        match self.effects.remove(at) {
            Effect::Send { exchange, request } => Some((exchange, request)),
            other => panic!("not a request: {other:?}"),
        }
    }

    fn answer(&mut self, answer: Answer) -> ExchangeRequest {
        let (exchange, request) = self.take_request().expect("a request is on its way");
        self.give(Input::Answered { exchange, answer });
        request
    }

    fn respond(&mut self, outcomes: Vec<Outcome>, operations: &[Operation]) -> ExchangeRequest {
        self.answer(response(outcomes, &json!(operations), "c1", false))
    }

    fn phase(&self) -> Phase {
        self.engine.state().phase
    }

    fn wake_at(&self) -> Option<i64> {
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::WakeAt { at_ms } => Some(*at_ms),
            _ => None,
        })
    }
}

fn with_model() -> MemoryStore {
    let mut store = MemoryStore::default();
    let model = StoreOp::Model { hash: "m1".to_owned(), names: Names::default() };
    store.commit(&Batch { ops: vec![model] }).expect("a model fits");
    store
}

fn response(outcomes: Vec<Outcome>, operations: &Value, cursor: &str, more: bool) -> Answer {
    Answer::Response(Box::new(ExchangeResponse {
        protocol: 1,
        model: "m1".to_owned(),
        outcomes,
        operations: to_raw_value(operations).expect("JSON"),
        cursor: cursor.to_owned(),
        more,
        head: 9,
        orders: Vec::new(),
        server_time_ms: 0,
        digest: None,
        mend: None,
        expected: None,
        safe: None,
    }))
}

fn problem(code: &str, status: u16, retry_after_ms: Option<i64>) -> Answer {
    let problem = Problem {
        kind: format!("urn:cartera:problem:{code}"),
        code: code.to_owned(),
        title: code.to_owned(),
        status,
        detail: None,
        fields: Vec::new(),
        extra: Map::new(),
    };
    Answer::Problem { problem: Box::new(problem), retry_after_ms }
}

fn record(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

fn fields(name: &str, value: &str) -> Fields {
    Fields::from([(name.to_owned(), json!(value))])
}

fn draft(kind: MutationKind, number: u128, set: Fields) -> Draft {
    Draft { kind, entity: "thing".to_owned(), record: record(number), base: 0, set, ops: Vec::new(), at_ms: 0 }
}

fn create(number: u128) -> Draft {
    draft(MutationKind::Create, number, fields("name", "new"))
}

fn update(number: u128, name: &str) -> Draft {
    draft(MutationKind::Update, number, fields("name", name))
}

fn outcome(mutation: u64, verdict: Verdict, seq: u64, server: Fields) -> Outcome {
    Outcome { mutation, verdict, seq, reason: None, server }
}

fn put(number: u128, seq: u64, name: &str) -> Operation {
    let (entity, set) = ("thing".to_owned(), fields("name", name));
    Operation::Put { entity, id: record(number), seq, scopes: vec![1], partial: false, set }
}

/// A host in step with a server that has record 1.
fn in_step() -> Host {
    let mut host = Host::new();
    host.give(Input::Start);
    host.respond(Vec::new(), &[put(1, 5, "Ana")]);
    assert_eq!(host.phase(), Phase::InStep);
    host
}

#[test]
fn edits_are_numbered_grouped_and_depend_on_an_unanswered_create() {
    let mut host = Host::new();
    host.give(Input::Offline);
    host.edit(vec![create(1)]);
    host.edit(vec![update(1, "Eva"), create(2)]);
    let outbox = host.store.saved().outbox;
    let shape: Vec<_> = outbox.iter().map(|mutation| (mutation.id, mutation.group, mutation.depends_on)).collect();
    assert_eq!(shape, [(1, None, None), (2, Some(2), Some(1)), (3, Some(2), None)]);
    assert_eq!(host.engine.state().waiting, 3);
    assert_eq!(host.phase(), Phase::Offline { since_ms: 1_000 });
    assert!(host.take_request().is_none(), "nothing is sent without a network");
    host.give(Input::Online);
    assert_eq!(host.take_request().expect("now it is").1.mutations.len(), 3);
}

#[test]
fn an_edit_that_could_not_be_stored_is_reported_and_its_number_used_again() {
    let mut host = in_step();
    let effects = host.engine.handle(0, Input::Edit(Edit { ticket: 7, drafts: vec![update(1, "Eva")] }));
    let Some(Effect::Commit { commit, .. }) = effects.first() else { panic!("an edit is committed first") };
    host.give(Input::CommitFailed { commit: *commit, failure: CommitFailure::Storage });
    assert!(host.effects.contains(&Effect::NotSaved { ticket: 7 }));
    assert!(host.take_request().is_none(), "what is not stored is not sent");
    host.edit(vec![update(1, "Eva")]);
    assert_eq!(host.take_request().expect("stored").1.mutations[0].id, 1);
}

#[test]
fn an_edit_made_during_an_exchange_waits_for_the_next() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    let first = host.take_request().expect("sent at once");
    host.edit(vec![update(1, "Eve")]);
    assert!(host.take_request().is_none(), "one exchange at a time");
    let answer = response(vec![outcome(1, Verdict::Applied, 6, Fields::new())], &json!([]), "c2", false);
    host.give(Input::Answered { exchange: first.0, answer });
    let (_, second) = host.take_request().expect("the rest");
    assert_eq!((second.acknowledged, second.mutations[0].id), (1, 2));
    assert_eq!(host.store.view(record(1)).expect("seen").fields, fields("name", "Eve"));
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    let (exchange, _) = host.take_request().expect("sent");
    let twice = || response(vec![outcome(1, Verdict::Applied, 6, Fields::new())], &json!([]), "c2", false);
    host.give(Input::Answered { exchange, answer: twice() });
    let stored = host.store.saved();
    host.give(Input::Answered { exchange, answer: twice() });
    assert_eq!(host.store.saved(), stored);
}

#[test]
fn a_rejected_mutation_leaves_the_queue_and_keeps_the_persons_values() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    let reason = Reason { code: "conflict".to_owned(), message: "…".to_owned(), fields: Vec::new() };
    let rejected = Outcome { reason: Some(reason), ..outcome(1, Verdict::Rejected, 8, fields("name", "Zoe")) };
    host.respond(vec![rejected], &[]);
    assert_eq!(host.phase(), Phase::NeedsAttention);
    assert_eq!(host.store.saved().attention[0].lost(), fields("name", "Eva"));
    assert_eq!(host.store.view(record(1)).expect("seen").fields, fields("name", "Zoe"));
    host.give(Input::Dismiss { mutation: 1 });
    assert_eq!(host.phase(), Phase::InStep);
    assert_eq!(host.store.saved().attention, []);
}

#[test]
fn what_a_merge_overrode_is_told_and_the_rest_stands() {
    let mut host = in_step();
    let set = Fields::from([("name".to_owned(), json!("Eva")), ("city".to_owned(), json!("Jaén"))]);
    host.edit(vec![draft(MutationKind::Update, 1, set)]);
    host.respond(vec![outcome(1, Verdict::Merged, 9, fields("name", "Zoe"))], &[]);
    assert_eq!(host.store.saved().attention[0].lost(), fields("name", "Eva"));
    let view = host.store.view(record(1)).expect("seen");
    assert_eq!((view.fields["name"].clone(), view.fields["city"].clone()), (json!("Zoe"), json!("Jaén")));
    assert_eq!(view.base, 5, "another field may have changed: only an operation says what the device knows");
}

#[test]
fn a_deferred_mutation_stays_and_is_sent_after_a_pause() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    host.respond(vec![outcome(1, Verdict::Deferred, 0, Fields::new())], &[]);
    assert!(host.take_request().is_none());
    assert_eq!(host.phase(), Phase::Waiting);
    host.now_ms = host.wake_at().expect("it asks to be woken");
    host.give(Input::Tick);
    assert_eq!(host.take_request().expect("again").1.mutations[0].id, 1);
}

#[test]
fn failures_are_tried_again_after_growing_pauses() {
    let mut host = Host::new();
    host.give(Input::Start);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        host.answer(Answer::Failed);
        let wake_at = host.wake_at().expect("it asks to be woken");
        pauses.push(wake_at - host.now_ms);
        host.now_ms = wake_at - 1;
        host.give(Input::Tick);
        assert!(host.take_request().is_none(), "too early");
        host.now_ms = wake_at;
        host.give(Input::Tick);
    }
    assert_eq!(host.engine.state().phase, Phase::Syncing);
    assert!((500..=1_000).contains(&pauses[0]) && (150_000..=300_000).contains(&pauses[11]), "{pauses:?}");
}

#[test]
fn a_pause_is_never_shorter_than_the_server_asks() {
    let mut host = Host::new();
    host.give(Input::Start);
    host.answer(problem("too-many-requests", 429, Some(90_000)));
    assert!(host.wake_at().expect("it asks to be woken") >= 91_000);
    assert_eq!(host.engine.state().problem, None, "nothing that a person could do");
}

#[test]
fn an_ended_session_stops_the_exchanges_until_somebody_signs_in() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    host.answer(problem("unauthenticated", 401, None));
    assert_eq!(host.phase(), Phase::NeedsAttention);
    host.edit(vec![update(1, "Eve")]);
    assert!(host.take_request().is_none());
    host.give(Input::SyncRequested);
    assert_eq!(host.take_request().expect("signed in").1.mutations.len(), 2);
}

#[test]
fn a_cursor_that_the_server_refuses_starts_over_and_keeps_what_the_person_has() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    host.answer(problem("cursor-forged", 400, None));
    assert_eq!(host.store.view(record(1)).expect("still seen").fields, fields("name", "Eva"));
    let (exchange, again) = host.take_request().expect("at once");
    assert_eq!((again.cursor.clone(), again.mutations.len()), (None, 1));
    host.give(Input::Answered { exchange, answer: problem("cursor-forged", 400, None) });
    assert!(host.take_request().is_none(), "the second time only after a pause");
    host.give(Input::SyncRequested);
    host.respond(vec![outcome(1, Verdict::Applied, 2, Fields::new())], &[put(2, 3, "Zoe")]);
    assert!(host.store.view(record(1)).is_none(), "what the server does not send again is gone");
    assert!(host.store.view(record(2)).is_some());
}

#[test]
fn a_change_of_an_unknown_record_is_mended_and_not_fetched_with_all_others() {
    let mut host = in_step();
    host.give(Input::SyncRequested);
    let set = fields("name", "Zoe");
    let (entity, id, scopes) = ("thing".to_owned(), record(77), vec![1]);
    host.respond(Vec::new(), &[Operation::Put { entity, id, seq: 8, scopes, partial: true, set }]);
    assert!(host.take_request().is_none(), "it compares first");
    let asked = host.effects.iter().find_map(|effect| match effect {
        Effect::Digest { request, .. } => Some(request),
        _ => None,
    });
    let asked = asked.expect("at once");
    assert_eq!((asked.cursor.as_str(), asked.why), ("c1", Some(MendReason::BaseMissing)));
    assert_eq!(host.store.saved().position.resets, 0);
}

#[test]
fn operations_that_cannot_be_read_are_not_skipped() {
    let mut host = in_step();
    host.give(Input::SyncRequested);
    host.answer(response(Vec::new(), &json!([{"op": "transmute"}]), "c9", false));
    assert_eq!(host.store.saved().position.cursor.as_deref(), Some("c1"));
    assert_eq!(host.engine.state().problem.expect("told").code, "unreadable-answer");
}

#[test]
fn pages_become_visible_together_and_survive_a_restart() {
    let mut host = Host::new();
    host.give(Input::Start);
    host.answer(response(Vec::new(), &json!([put(1, 5, "Ana")]), "page-1", true));
    assert!(host.store.view(record(1)).is_none());
    let mut host = Host::with(host.store, Settings::default());
    host.give(Input::Start);
    let request = host.answer(response(Vec::new(), &json!([put(2, 6, "Eva")]), "c2", false));
    assert_eq!(request.cursor.as_deref(), Some("page-1"));
    assert_eq!(host.store.views("thing").len(), 2);
}

#[test]
fn a_push_is_cut_to_size_but_never_inside_a_group() {
    let mut host = Host::with(with_model(), Settings { push_bytes: 600, ..Settings::default() });
    host.give(Input::Offline);
    host.edit(vec![create(1)]);
    host.edit(vec![create(2)]);
    host.edit(vec![create(3), create(4), create(5), create(6)]);
    host.give(Input::Online);
    let ids = |request: &ExchangeRequest| request.mutations.iter().map(|mutation| mutation.id).collect::<Vec<_>>();
    let applied = |id| outcome(id, Verdict::Applied, id, Fields::new());
    let first = host.respond(vec![applied(1), applied(2)], &[]);
    assert_eq!(ids(&first), [1, 2]);
    assert_eq!(ids(&host.take_request().expect("the rest").1), [3, 4, 5, 6], "larger than asked, but whole");
}

#[test]
fn a_push_carries_a_thousand_mutations_at_most() {
    let mut host = Host::new();
    host.give(Input::Offline);
    for number in 1..=1_100 {
        host.edit(vec![create(number)]);
    }
    host.give(Input::Online);
    assert_eq!(host.take_request().expect("sent").1.mutations.len(), 1_000);
}

#[test]
fn a_device_reports_after_its_first_checkpoint_then_now_and_then_and_at_once_when_somebody_is_needed() {
    let mut host = Host::new();
    assert_eq!(host.engine.report_due(0), None, "it knows nothing yet");
    host.give(Input::Start);
    assert_eq!(host.engine.report_due(0), None, "an exchange is under way");
    host.respond(Vec::new(), &[put(1, 5, "Ana")]);
    let first = host.engine.report_due(2_000).expect("in step");
    assert_eq!((first.lag_ms, first.waiting, first.oldest_ms), (Some(1_000), 0, None));
    assert_eq!(host.engine.report_due(3_000), None, "nothing that could not wait");
    host.edit(vec![update(1, "Eva")]);
    host.respond(vec![outcome(1, Verdict::Rejected, 8, Fields::new())], &[]);
    assert_eq!(host.engine.report_due(3_000).expect("at once").attention, 1);
    assert_eq!(host.engine.report_due(14 * 60_000), None);
    assert!(host.engine.report_due(16 * 60_000).is_some());
}
