//! A first sync by chunks, as the engine runs it.

use std::sync::Arc;

use serde_json::value::to_raw_value;
use serde_json::{Map, json};
use sync_protocol::engine::{Answer, CommitFailure, Draft, Edit, Effect, Engine, Fetch, FirstSync, Input, Settings};
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, Found, MemoryStore, Names, Query, look_up};
use sync_protocol::wire::chunk::{ChunkHash, ChunkWriter};
use sync_protocol::wire::{
    ChunkEntry, ExchangeRequest, ExchangeResponse, Fields, ManifestResponse, MutationKind, Outcome, Problem, Verdict,
};
use uuid::Uuid;

/// An engine with its store; it commits at once and keeps every other effect.
struct Host {
    engine: Engine,
    store: MemoryStore,
    effects: Vec<Effect>,
}

impl Host {
    fn new() -> Self {
        Self::with(MemoryStore::default())
    }

    fn with(store: MemoryStore) -> Self {
        let settings = Settings { chunks: true, ..Settings::default() };
        let mut host = Self { engine: Engine::restore(store.saved(), settings), store, effects: Vec::new() };
        host.give(Input::Start);
        host
    }

    fn crash(self) -> Self {
        Self::with(self.store)
    }

    fn give(&mut self, input: Input) {
        for effect in self.engine.handle(1_000, input) {
            let Effect::Commit { commit, batch } = effect else {
                self.effects.push(effect);
                continue;
            };
            let failure = match self.store.commit(&batch) {
                Ok(()) => {
                    self.check_digests();
                    self.give(Input::Committed { commit });
                    continue;
                }
                Err(ApplyError::BaseMissing { .. }) => CommitFailure::BaseMissing,
                Err(ApplyError::Chunk(_)) => CommitFailure::Chunk,
                Err(ApplyError::Store(never)) => match never {},
            };
            self.give(Input::CommitFailed { commit, failure });
        }
    }

    /// The digests that are kept beside the records are those of the records.
    #[track_caller]
    fn check_digests(&self) {
        let [kept, counted] = [false, true].map(|recount| {
            let Ok(Found::Digests(digests)) = look_up(&self.store, &Query::Digests { recount }) else {
                panic!("a question for digests is answered with digests");
            };
            digests.into_iter().filter(|(_, digest)| digest.count > 0).collect::<Vec<_>>()
        });
        assert_eq!(kept, counted);
    }

    /// What is to be fetched, and nothing else.
    #[track_caller]
    fn fetch(&mut self) -> (u64, Fetch) {
        let at = self.effects.iter().position(|effect| matches!(effect, Effect::Fetch { .. }));
        match self.effects.remove(at.expect("something is fetched")) {
            Effect::Fetch { exchange, fetch } => (exchange, fetch),
            other => panic!("not a fetch: {other:?}"),
        }
    }

    #[track_caller]
    fn exchange(&mut self) -> (u64, ExchangeRequest) {
        let at = self.effects.iter().position(|effect| matches!(effect, Effect::Send { .. }));
        match self.effects.remove(at.expect("an exchange is on its way")) {
            Effect::Send { exchange, request } => (exchange, request),
            other => panic!("not an exchange: {other:?}"),
        }
    }

    /// Answers with a manifest, and gives the model that it speaks in the words of where that is not here.
    #[track_caller]
    fn answer_manifest(&mut self, cursor: &str, chunks: &[&Made]) {
        self.answer_manifest_under("m1", cursor, chunks);
        self.give_model();
    }

    fn give_model(&mut self) {
        let wanted = self.effects.iter().position(|effect| matches!(effect, Effect::FetchModel { .. }));
        if let Some(Effect::FetchModel { hash }) = wanted.map(|at| self.effects.remove(at)) {
            self.give(Input::ModelStored { hash, names: Names::default() });
        }
    }

    #[track_caller]
    fn answer_manifest_under(&mut self, model: &str, cursor: &str, chunks: &[&Made]) {
        let (exchange, fetch) = self.fetch();
        assert!(matches!(fetch, Fetch::Manifest(_)), "{fetch:?}");
        let manifest = ManifestResponse {
            protocol: 1,
            model: model.to_owned(),
            chunks: chunks.iter().map(|chunk| chunk.entry.clone()).collect(),
            cursor: cursor.to_owned(),
            head: 90,
            server_time_ms: 0,
        };
        self.give(Input::Answered { exchange, answer: Answer::Manifest(Box::new(manifest)) });
    }

    /// Answers with these chunks; returns the names of those that were asked for.
    #[track_caller]
    fn answer_chunks(&mut self, chunks: &[&Made]) -> Vec<ChunkHash> {
        let (exchange, fetch) = self.fetch();
        let Fetch::Chunks(wanted) = fetch else { panic!("no chunks are fetched: {fetch:?}") };
        let bytes = chunks.iter().map(|chunk| chunk.bytes.clone()).collect();
        self.give(Input::Answered { exchange, answer: Answer::Chunks(bytes) });
        wanted.into_iter().map(|chunk| chunk.hash).collect()
    }

    #[track_caller]
    fn refuse(&mut self, status: u16) {
        let (exchange, _) = self.fetch();
        self.give(Input::Answered { exchange, answer: problem(status) });
    }

    #[track_caller]
    fn answer_exchange(&mut self, outcomes: Vec<Outcome>) -> ExchangeRequest {
        let (exchange, request) = self.exchange();
        let response = ExchangeResponse {
            protocol: 1,
            model: "m1".to_owned(),
            outcomes,
            operations: to_raw_value(&json!([])).expect("JSON"),
            cursor: "c1".to_owned(),
            more: false,
            head: 90,
            orders: Vec::new(),
            server_time_ms: 0,
            digest: None,
            mend: None,
            expected: None,
            safe: None,
        };
        self.give(Input::Answered { exchange, answer: Answer::Response(Box::new(response)) });
        request
    }

    fn first_sync(&self) -> Option<FirstSync> {
        self.engine.state().first_sync
    }
}

/// A chunk of one record.
struct Made {
    entry: ChunkEntry,
    bytes: Arc<[u8]>,
}

fn made(record: u128, priority: u8) -> Made {
    made_of(record, priority, 1_000)
}

fn made_of(record: u128, priority: u8, packed_bytes: u64) -> Made {
    let mut writer = ChunkWriter::new(3, "thing");
    writer.push(id(record), 5, r#"{"name":"Ana"}"#, |_| true).expect("an object");
    let bytes: Arc<[u8]> = writer.finish().into();
    let entry = ChunkEntry {
        hash: ChunkHash::of(&bytes),
        entity: "thing".to_owned(),
        scope: 3,
        rows: 1,
        bytes: bytes.len() as u64,
        packed_bytes,
        as_of: 90,
        priority,
    };
    Made { entry, bytes }
}

fn problem(status: u16) -> Answer {
    let problem = Problem {
        kind: "urn:cartera:problem:some".to_owned(),
        code: "some".to_owned(),
        title: "Some".to_owned(),
        status,
        detail: None,
        fields: Vec::new(),
        extra: Map::new(),
    };
    Answer::Problem { problem: Box::new(problem), retry_after_ms: None }
}

fn id(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

#[test]
fn chunks_come_by_priority_and_the_exchange_after_them_completes_the_first_sync() {
    let (urgent, later) = (made_of(1, 1, 900_000), made_of(2, 2, 900_000));
    let mut host = Host::new();
    host.answer_manifest("m", &[&later, &urgent]);
    assert_eq!(host.first_sync(), Some(FirstSync { taken_rows: 0, waiting_rows: 2, is_usable: false }));
    assert_eq!(host.answer_chunks(&[&urgent]), [urgent.entry.hash]);
    assert_eq!(host.first_sync(), Some(FirstSync { taken_rows: 1, waiting_rows: 1, is_usable: true }));
    assert!(host.store.view(id(1)).is_some(), "what a person needs first is there while the rest arrives");
    assert_eq!(host.answer_chunks(&[&later]), [later.entry.hash]);
    let request = host.answer_exchange(Vec::new());
    assert_eq!((request.cursor.as_deref(), request.limit_bytes > 0), (Some("m"), true));
    assert_eq!(host.first_sync(), None);
    assert_eq!(host.store.saved().position.cursor.as_deref(), Some("c1"));
    assert_eq!(host.store.bases().count(), 2, "what chunks brought stays");
}

#[test]
fn small_chunks_come_together_and_what_is_missing_is_asked_for_again() {
    let chunks = [made(1, 1), made(2, 1), made(3, 1)];
    let mut host = Host::new();
    host.answer_manifest("m", &[&chunks[0], &chunks[1], &chunks[2]]);
    assert_eq!(host.answer_chunks(&[&chunks[2], &chunks[0]]).len(), 3);
    assert_eq!(host.answer_chunks(&[&chunks[1]]), [chunks[1].entry.hash]);
    host.answer_exchange(Vec::new());
    assert_eq!(host.store.bases().count(), 3);
}

#[test]
fn which_chunks_are_in_is_remembered_through_a_crash() {
    let (one, other) = (made_of(1, 1, 900_000), made_of(2, 1, 900_000));
    let mut host = Host::new();
    host.answer_manifest("m", &[&one, &other]);
    host.answer_chunks(&[&one]);
    let mut host = host.crash();
    assert_eq!(host.answer_chunks(&[&other]), [other.entry.hash]);
    assert_eq!(host.answer_exchange(Vec::new()).cursor.as_deref(), Some("m"));
}

#[test]
fn a_chunk_that_is_gone_is_looked_for_in_a_new_manifest_and_the_first_cursor_stays() {
    let (taken, gone, instead) = (made_of(1, 1, 900_000), made_of(2, 1, 900_000), made_of(3, 1, 900_000));
    let mut host = Host::new();
    host.answer_manifest("first", &[&taken, &gone]);
    host.answer_chunks(&[&taken]);
    host.refuse(410);
    host.answer_manifest("second", &[&taken, &instead]);
    assert_eq!(host.answer_chunks(&[&instead]), [instead.entry.hash], "what is in is not fetched again");
    assert_eq!(host.answer_exchange(Vec::new()).cursor.as_deref(), Some("first"));
}

#[test]
fn of_a_scope_that_came_since_the_first_manifest_nothing_comes_by_chunks() {
    let (taken, gone) = (made_of(1, 1, 900_000), made_of(2, 1, 900_000));
    let mut other = made_of(3, 1, 900_000);
    other.entry.scope = 4;
    let mut host = Host::new();
    host.answer_manifest("first", &[&taken, &gone]);
    host.answer_chunks(&[&taken]);
    host.refuse(410);
    host.answer_manifest("second", &[&taken, &other]);
    assert_eq!(host.answer_exchange(Vec::new()).cursor.as_deref(), Some("first"), "the exchange brings them");
}

#[test]
fn a_scope_that_was_lost_before_all_of_it_came_makes_the_first_sync_begin_anew() {
    let (taken, other) = (made_of(1, 1, 900_000), made_of(2, 1, 900_000));
    let mut lost = made_of(3, 2, 900_000);
    lost.entry.scope = 4;
    let mut host = Host::new();
    host.answer_manifest("first", &[&taken, &lost]);
    host.answer_chunks(&[&taken]);
    host.refuse(410);
    host.answer_manifest("second", &[&taken, &other]);
    assert_eq!(host.answer_chunks(&[&taken]), [taken.entry.hash], "what is in counts for nothing");
    assert_eq!(host.answer_chunks(&[&other]), [other.entry.hash]);
    let request = host.answer_exchange(Vec::new());
    assert_eq!(request.cursor.as_deref(), Some("second"), "the first knows a scope that never came");
    assert_eq!((host.store.bases().count(), host.store.saved().position.resets), (2, 1));
}

#[test]
fn a_scope_that_was_lost_after_all_of_it_came_is_left_to_the_exchange() {
    let (waiting, mut lost) = (made_of(1, 2, 900_000), made_of(3, 1, 900_000));
    lost.entry.scope = 4;
    let mut host = Host::new();
    host.answer_manifest("first", &[&waiting, &lost]);
    host.answer_chunks(&[&lost]);
    host.refuse(410);
    host.answer_manifest("second", &[&waiting]);
    assert_eq!(host.answer_chunks(&[&waiting]), [waiting.entry.hash]);
    assert_eq!(host.answer_exchange(Vec::new()).cursor.as_deref(), Some("first"));
}

#[test]
fn chunks_in_the_words_of_a_model_that_is_not_here_are_not_fetched() {
    let (former, present) = (made(1, 1), made(2, 1));
    let mut host = Host::new();
    host.answer_manifest_under("m0", "m", &[&former]);
    host.effects.clear();
    // Another one is in force before that one could be fetched.
    host.give(Input::ModelFailed);
    let mut host = host.crash();
    host.answer_manifest("m", &[&present]);
    assert_eq!(host.answer_chunks(&[&present]), [present.entry.hash]);
    assert_eq!(host.answer_exchange(Vec::new()).model.as_deref(), Some("m1"));
}

#[test]
fn damaged_bytes_are_not_taken() {
    let (wanted, other) = (made(1, 1), made(2, 1));
    let mut host = Host::new();
    host.answer_manifest("m", &[&wanted]);
    host.answer_chunks(&[&other]);
    assert_eq!(host.store.bases().count(), 0);
    host.answer_manifest("m", &[&wanted]);
    host.answer_chunks(&[&wanted]);
    assert_eq!(host.store.bases().count(), 1);
}

#[test]
fn a_server_without_chunks_is_exchanged_with_from_nothing() {
    let mut host = Host::new();
    host.refuse(404);
    host.answer_exchange(Vec::new());
    host.give_model();
    let request = host.answer_exchange(Vec::new());
    assert_eq!((request.cursor, request.model.as_deref()), (None, Some("m1")));
    assert_eq!(host.store.saved().position.resets, 0);
}

#[test]
fn a_chunk_that_this_device_does_not_understand_makes_it_exchange_from_nothing() {
    let bytes: Arc<[u8]> = b"{\"of\":\"a later form\"}\n".to_vec().into();
    let good = made_of(1, 1, 900_000);
    let entry = ChunkEntry { hash: ChunkHash::of(&bytes), ..good.entry.clone() };
    let strange = Made { entry, bytes };
    let mut host = Host::new();
    host.answer_manifest("m", &[&good, &strange]);
    host.answer_chunks(&[&good]);
    host.answer_chunks(&[&strange]);
    let request = host.answer_exchange(Vec::new());
    assert_eq!(request.cursor, None);
    assert_eq!(host.store.bases().count(), 0, "what chunks had brought and the exchange did not leaves");
}

#[test]
fn a_busy_server_is_left_alone_for_a_while() {
    let mut host = Host::new();
    host.refuse(503);
    assert!(!host.effects.iter().any(|effect| matches!(effect, Effect::Fetch { .. } | Effect::Send { .. })));
    assert!(host.effects.iter().any(|effect| matches!(effect, Effect::WakeAt { .. })));
}

#[test]
fn what_a_person_does_meanwhile_is_pushed_before_the_next_chunk() {
    let (one, other) = (made_of(1, 1, 900_000), made_of(2, 2, 900_000));
    let mut host = Host::new();
    host.answer_manifest("m", &[&one, &other]);
    let draft = Draft {
        kind: MutationKind::Update,
        entity: "thing".to_owned(),
        record: id(1),
        base: 5,
        set: Fields::from([("name".to_owned(), json!("Eva"))]),
        ops: Vec::new(),
        at_ms: 0,
    };
    host.answer_chunks(&[&one]);
    let (exchange, _) = host.fetch();
    host.give(Input::Edit(Edit { ticket: 1, drafts: vec![draft] }));
    host.give(Input::Answered { exchange, answer: Answer::Failed });
    host.give(Input::SyncRequested);
    let outcome = Outcome { mutation: 1, verdict: Verdict::Applied, seq: 91, reason: None, server: Fields::new() };
    let request = host.answer_exchange(vec![outcome]);
    assert_eq!((request.limit_bytes, request.cursor.as_deref(), request.mutations.len()), (0, Some("m"), 1));
    assert_eq!(host.store.saved().position.cursor, None, "an answer in between is no checkpoint");
    assert!(host.store.view(id(1)).is_some(), "and takes nothing away");
    assert_eq!(host.answer_chunks(&[&other]), [other.entry.hash]);
    assert_eq!(host.answer_exchange(Vec::new()).limit_bytes, 1 << 20);
    assert_eq!(host.store.view(id(1)).expect("it stays").fields["name"], "Eva");
}
