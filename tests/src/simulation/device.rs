//! A device: the protocol's engine, its store, and what its person was told.

use std::collections::{BTreeMap, VecDeque};

use axum::http::{Request, header, request};
use cartera_client::storage::DeviceStore;
use sync_protocol::engine::{Effect, Engine, Input, Settings};
use sync_protocol::id::{MutationId, RecordId};
use sync_protocol::store::{ApplyError, Batch, MemoryStore};
use sync_protocol::wire::{ExchangeRequest, Mutation, Outcome, Verdict};

/// A device, its effects carried out by hand.
pub struct Device {
    /// Its user.
    pub user: RecordId,
    /// Its number in the server's database.
    pub number: i64,
    /// What it keeps.
    pub store: MemoryStore,
    /// The same once more, as the native client keeps it.
    file: Option<DeviceStore>,
    pub(super) token: String,
    pub(super) skew_ms: i64,
    pub(super) engine: Engine,
    pub(super) effects: VecDeque<Effect>,
    pub(super) wake_at_ms: Option<i64>,
    pub(super) is_online: bool,
    pub(super) fails_commit: bool,
    pub(super) page_bytes: u64,
    /// The model by whose names its person calls things: kept, or about to be.
    pub(super) model: Option<String>,
    pub(super) tickets: u64,
    /// The mutations that the person was told are saved.
    pub(super) told: BTreeMap<MutationId, Mutation>,
    /// What the server said of each mutation.
    pub(super) answered: BTreeMap<MutationId, (Mutation, Outcome)>,
    /// The mutations of which the server has forgotten what it said, and whether that was no.
    pub(super) undone: BTreeMap<MutationId, bool>,
    /// It may have been at its first sync when the server went back, or forgot what the device needed.
    pub(super) may_start_over: bool,
}

/// Why nothing of a batch was kept.
pub(super) struct NotKept;

impl Device {
    pub(super) fn new(user: RecordId, (number, token): (i64, String), skew_ms: i64, has_file: bool) -> Self {
        let store = MemoryStore::default();
        let mut device = Self {
            user,
            number,
            engine: Engine::restore(store.saved(), settings(number)),
            store,
            file: has_file.then(|| DeviceStore::in_memory().expect("a store in memory")),
            token,
            skew_ms,
            effects: VecDeque::new(),
            wake_at_ms: None,
            is_online: true,
            fails_commit: false,
            page_bytes: 1 << 20,
            model: None,
            tickets: 0,
            told: BTreeMap::new(),
            answered: BTreeMap::new(),
            undone: BTreeMap::new(),
            may_start_over: false,
        };
        device.restart(0);
        device
    }

    /// Everything that is not stored is gone.
    pub(super) fn restart(&mut self, server_ms: i64) {
        self.effects.clear();
        self.wake_at_ms = None;
        let saved = self.store.saved();
        if let Some(file) = &self.file {
            assert_eq!(file.saved().expect("the file can be read"), saved, "left: the file, right: the memory");
        }
        self.model.clone_from(&saved.position.model);
        self.engine = Engine::restore(saved, settings(self.number));
        self.give(server_ms, Input::Start);
        if !self.is_online {
            self.give(server_ms, Input::Offline);
        }
    }

    /// Hands the engine what happened, by the device's own clock.
    pub(super) fn give(&mut self, server_ms: i64, input: Input) {
        let effects = self.engine.handle(server_ms + self.skew_ms, input);
        self.effects.extend(effects);
    }

    /// Carries out a batch, wholly or not at all.
    pub(super) fn keep(&mut self, batch: &Batch) -> Result<(), NotKept> {
        if std::mem::take(&mut self.fails_commit) {
            return Err(NotKept);
        }
        let who = self.to_string();
        match self.store.commit(batch) {
            Ok(()) => {}
            // The engine would start over; a server that knows what its devices have never needs that.
            Err(ApplyError::BaseMissing { record }) => panic!("{who} was sent a change of {record}, which it lacks"),
            Err(ApplyError::Chunk(error)) => panic!("{who}: {error}"),
            Err(ApplyError::Store(never)) => match never {},
        }
        if let Some(file) = &mut self.file {
            file.commit(batch, None).unwrap_or_else(|error| panic!("the file of {who}: {error}"));
        }
        Ok(())
    }

    /// The server was restored and knows only the mutations up to `last`.
    pub(super) fn is_undone_after(&mut self, last: MutationId) {
        self.may_start_over = true;
        for (id, (_, outcome)) in self.answered.split_off(&(last + 1)) {
            *self.undone.entry(id).or_default() |= outcome.verdict == Verdict::Rejected;
        }
    }

    /// Whether the server has forgotten what it said, and not said it again.
    pub(super) fn is_undone(&self) -> bool {
        self.undone.keys().any(|id| !self.answered.contains_key(id))
    }

    /// What stands in the place of a mutation that was refused before the server forgot it does nothing.
    pub(super) fn is_void_in_place(&self, id: MutationId, mutation: &Mutation) -> bool {
        mutation.is_void() && self.undone.get(&id).is_some_and(|was_refused| *was_refused)
    }

    /// The file holds what the memory holds.
    pub(super) fn check_file(&self) {
        let Some(file) = &self.file else { return };
        for (id, base) in self.store.bases() {
            let kept = file.base(id).expect("the file can be read");
            assert_eq!(kept.as_ref(), Some(base), "{self}, {id}: left: the file, right: the memory");
        }
        assert_eq!(file.saved().expect("the file can be read"), self.store.saved(), "{self}");
    }

    /// Sets the size of the page that a request asks for, where it asks for one.
    pub(super) fn limit(&self, request: &mut ExchangeRequest) {
        if request.limit_bytes > 0 {
            request.limit_bytes = self.page_bytes;
        }
    }

    /// The head of a request with its session; half of the devices understand packed answers.
    pub(super) fn request(&self) -> request::Builder {
        let request = Request::builder().header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        if self.number % 2 == 0 { request.header(header::ACCEPT_ENCODING, "zstd") } else { request }
    }

    /// What it sent, and what the server said of it.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&Mutation, &Outcome)> {
        self.answered.values().map(|(mutation, outcome)| (mutation, outcome))
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "device {} of {}", self.number, self.user)
    }
}

/// Half of the devices begin by chunks.
fn settings(number: i64) -> Settings {
    Settings { jitter_seed: number.cast_unsigned(), chunks: number % 4 >= 2, ..Settings::default() }
}
