use std::collections::BTreeMap;

use serde_json::{Value, json};
use sync_protocol::engine::{Answer, Draft, Edit, Input, Phase};
use sync_protocol::id::RecordId;
use sync_protocol::store::Store;
use sync_protocol::wire::{ExchangeRequest, FieldOperation, Fields, Mutation, MutationKind, Problem, Verdict};
use uuid::Uuid;

use super::device::{Device, Done, Request};
use super::live::Live;
use super::server::{Server, Snapshot};
use super::steps::{Change, ChangeKind, LiveStep, Step};

/// A device, a server, and what is on its way between them.
pub struct World {
    now_ms: i64,
    server: Server,
    device: Device,
    request: Option<(u64, Request)>,
    response: Option<(u64, Result<Answer, Box<Problem>>)>,
    /// The server as it was when a backup was made.
    backup: Option<Server>,
    /// Times that everything may be fetched anew: the server forgot its key, or nothing was whole yet.
    anew: u64,
    late: Option<ExchangeRequest>,
    live: Live,
    /// What the base is to be at the cursor of a page.
    snapshots: BTreeMap<String, Snapshot>,
    records: Vec<RecordId>,
    tickets: u64,
    /// The journal entries that the person wrote, each with its edit.
    entries: Vec<(u64, String)>,
}

impl World {
    pub fn new(page: usize) -> Self {
        let mut device = Device::new();
        device.give(0, Input::Start);
        Self {
            now_ms: 0,
            server: Server::new(page),
            device,
            request: None,
            response: None,
            late: None,
            live: Live::default(),
            backup: None,
            anew: 0,
            snapshots: BTreeMap::new(),
            records: Vec::new(),
            tickets: 0,
            entries: Vec::new(),
        }
    }

    pub fn take(&mut self, step: Step) {
        match step {
            Step::Run => self.run_one(),
            Step::RunOn(times) => (0..times).for_each(|_| self.run_one()),
            Step::Edit(change) => self.edit(&[change]),
            Step::EditTogether(one, other) => self.edit(&[one, other]),
            Step::Foreign(change) => self.write_from_elsewhere(change),
            Step::Grant(scope, true) => drop(self.server.held.insert(scope.into())),
            Step::Grant(scope, false) => drop(self.server.held.remove(&scope.into())),
            Step::Lose => self.lose(),
            Step::Duplicate => {
                self.late = self.request.as_ref().and_then(|(_, request)| match request {
                    Request::Exchange(request) => Some(request.clone()),
                    Request::Digest(_) => None,
                });
            }
            Step::Damage(record, damage) => self.device.damage(record, damage),
            // A deferred mutation has a number but no outcome: a backup between the two is not told apart.
            Step::Backup if self.server.is_deferring() => {}
            Step::Backup => self.backup = Some(self.server.clone()),
            Step::Restore => {
                if let Some(backup) = self.backup.take() {
                    self.server.restore(&backup);
                    self.live.cut();
                }
            }
            Step::Compact => self.server.compact(),
            Step::LateArrival => {
                if let Some(late) = self.late.take() {
                    self.arrive_late(late);
                }
            }
            Step::FailCommit => self.device.fails_commit = true,
            Step::Crash => {
                self.request = None;
                self.response = None;
                self.device.crash(self.now_ms);
            }
            Step::Rekey => {
                self.anew += 1;
                self.server.key = self.server.key.wrapping_add(1);
            }
            Step::Defer => self.server.defers = !self.server.defers,
            Step::Wait(ms) => {
                self.now_ms += i64::from(ms);
                self.device.give(self.now_ms, Input::Tick);
            }
            Step::Sync => self.device.give(self.now_ms, Input::SyncRequested),
            Step::Network(true) => self.device.give(self.now_ms, Input::Online),
            Step::Network(false) => self.device.give(self.now_ms, Input::Offline),
            Step::Live(step) => self.take_live(step),
        }
    }

    fn take_live(&mut self, step: LiveStep) {
        match step {
            LiveStep::Connect => self.live.connect(&self.server, self.device.store.saved().position.cursor),
            LiveStep::Tell { inline } => {
                if let Some(cursor) = self.live.tell(&self.server, inline) {
                    self.snapshots.insert(cursor, self.server.snapshot());
                }
            }
            LiveStep::Arrive(which) | LiveStep::ArriveTwice(which) => {
                let comes_again = matches!(step, LiveStep::ArriveTwice(_));
                if let Some(event) = self.live.arrive(which, comes_again) {
                    self.device.give(self.now_ms, Input::Live(event));
                }
            }
            LiveStep::Lose(which) => drop(self.live.arrive(which, false)),
        }
    }

    fn run_one(&mut self) {
        let before = self.device.store.saved().position;
        self.run_next();
        let after = self.device.store.saved().position;
        self.anew += u64::from(before.cursor.is_none() && after.resets > before.resets);
    }

    fn run_next(&mut self) {
        if !self.device.effects.is_empty() {
            match self.device.run_one(self.now_ms) {
                Done::Nothing => {}
                Done::Sent { exchange, request } => {
                    assert!(self.request.is_none() && self.response.is_none(), "one exchange at a time");
                    self.request = Some((exchange, request));
                }
                Done::Checkpoint { cursor } => self.check_checkpoint(&cursor),
            }
        } else if let Some((exchange, request)) = self.request.take() {
            let answer = match &request {
                Request::Exchange(request) => {
                    let answer = self.server.exchange(request);
                    self.live.note_exchange(&answer);
                    answer.map(|response| {
                        if response.mend.is_none() {
                            self.snapshots.insert(response.cursor.clone(), self.server.snapshot());
                        }
                        Answer::Response(Box::new(response))
                    })
                }
                Request::Digest(request) => {
                    self.server.digest(request).map(|response| Answer::Digest(Box::new(response)))
                }
            };
            self.response = Some((exchange, answer));
        } else if let Some((exchange, answer)) = self.response.take() {
            let answer = match answer {
                Ok(answer) => answer,
                Err(problem) => Answer::Problem { problem, retry_after_ms: None },
            };
            self.device.answer(self.now_ms, exchange, answer);
        }
    }

    fn lose(&mut self) {
        let lost = self.request.take().map(|(exchange, _)| exchange);
        if let Some(exchange) = lost.or_else(|| self.response.take().map(|(exchange, _)| exchange)) {
            self.device.answer(self.now_ms, exchange, Answer::Failed);
        }
    }

    /// A copy of a request that the device has given up: only what it was the first to say is news to the server.
    fn arrive_late(&mut self, mut late: ExchangeRequest) {
        late.mutations.retain(|mutation| !self.server.decided.contains_key(&mutation.id));
        late.acknowledged = 0;
        let answer = self.server.exchange(&late);
        self.live.note_exchange(&answer);
    }

    fn edit(&mut self, changes: &[Change]) {
        self.tickets += 1;
        let ticket = self.tickets;
        let mut drafts = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            let entry = format!("edit {ticket}, part {index}");
            let (id, kind, set, ops) = self.describe(*change, &entry);
            let base = match kind {
                MutationKind::Create => 0,
                // What the person does not see, she does not edit.
                _ => match self.device.store.view(id) {
                    Some(view) => view.base,
                    None => continue,
                },
            };
            if matches!(ops.as_slice(), [FieldOperation::Append { .. }]) {
                self.entries.push((ticket, entry));
            }
            let entity = "thing".to_owned();
            drafts.push(Draft { kind, entity, record: id, base, set, ops, at_ms: self.now_ms });
        }
        if !drafts.is_empty() {
            self.device.give(self.now_ms, Input::Edit(Edit { ticket, drafts }));
        }
    }

    fn write_from_elsewhere(&mut self, change: Change) {
        let (record, kind, set, ops) = self.describe(change, "somebody else");
        let mutation = Mutation {
            id: 0,
            kind,
            entity: "thing".to_owned(),
            record,
            base: u64::MAX,
            set,
            ops,
            group: None,
            depends_on: None,
            at_ms: 0,
            model: None,
        };
        self.server.write(&mutation, false);
    }

    fn describe(&mut self, change: Change, entry: &str) -> (RecordId, MutationKind, Fields, Vec<FieldOperation>) {
        let update =
            |field: &str, value: Value| (MutationKind::Update, Fields::from([(field.to_owned(), value)]), Vec::new());
        let operate = |operation| (MutationKind::Update, Fields::new(), vec![operation]);
        let is_first = self.records.is_empty();
        let (kind, set, ops) = match change.kind {
            ChangeKind::Create { place } => create(place),
            _ if is_first => create(1),
            ChangeKind::Delete => (MutationKind::Delete, Fields::new(), Vec::new()),
            ChangeKind::Name(name) => update("name", json!(format!("name {name}"))),
            ChangeKind::ClearName => update("name", Value::Null),
            ChangeKind::Stage(stage) => update("stage", json!(stage)),
            ChangeKind::Top(top) => update("top", json!(top)),
            ChangeKind::Place(place) => update("place", json!(place)),
            ChangeKind::Visit => operate(FieldOperation::Increment { field: "visits".to_owned(), by: 1 }),
            ChangeKind::Tag(tag) => {
                operate(FieldOperation::Add { field: "tags".to_owned(), values: vec![json!(tag.to_string())] })
            }
            ChangeKind::Untag(tag) => {
                operate(FieldOperation::Remove { field: "tags".to_owned(), values: vec![json!(tag.to_string())] })
            }
            ChangeKind::Journal => {
                operate(FieldOperation::Append { field: "journal".to_owned(), values: vec![json!(entry)] })
            }
        };
        if kind == MutationKind::Create {
            self.records.push(RecordId(Uuid::from_u128(1 + self.records.len() as u128)));
        }
        let index = if kind == MutationKind::Create {
            self.records.len() - 1
        } else {
            usize::from(change.record) % self.records.len()
        };
        (self.records[index], kind, set, ops)
    }

    /// Nothing goes wrong any more; time passes when there is nothing else to do.
    pub fn settle(&mut self) {
        self.server.defers = false;
        self.device.fails_commit = false;
        self.take(Step::Network(true));
        while let Some(event) = self.live.arrive(0, false) {
            self.device.give(self.now_ms, Input::Live(event));
        }
        if self.device.is_damaged {
            // What was damaged beside the digests is found at the next start, in fields a week later.
            self.now_ms += 9 * 24 * 3_600_000;
            self.take(Step::Crash);
        }
        for _ in 0..5_000 {
            let is_quiet = self.device.effects.is_empty() && self.request.is_none() && self.response.is_none();
            let is_done = self.device.store.saved().outbox.is_empty() && self.is_up_to_date();
            let is_syncing = self.device.engine.state().phase == Phase::Syncing;
            if is_quiet && is_done && !is_syncing && !self.device.is_damaged {
                return;
            }
            if is_quiet {
                self.now_ms = self.device.wake_at.take().unwrap_or(self.now_ms).max(self.now_ms) + 1;
                self.take(Step::Wait(1));
                if self.device.effects.is_empty() {
                    self.take(Step::Sync);
                }
            }
            self.run_one();
        }
        panic!("the device does not come in step: {:?}", self.device.engine.state());
    }

    fn is_up_to_date(&self) -> bool {
        let cursor = self.device.store.saved().position.cursor;
        cursor.and_then(|cursor| self.snapshots.get(&cursor)).is_some_and(|then| *then == self.server.snapshot())
    }

    /// What holds at every moment.
    pub fn check(&self) {
        let saved = self.device.store.saved();
        for id in 1..=saved.position.last_mutation {
            let is_waiting = saved.outbox.iter().any(|mutation| mutation.id == id);
            let Ok(journal) = self.device.store.journal(id);
            let is_waiting = is_waiting || journal.first().is_some_and(|entry| entry.mutation.id == id);
            assert!(is_waiting || self.server.decided.contains_key(&id), "mutation {id} is lost");
        }
        for (id, mutation) in &self.server.decided {
            let known = saved.outbox.iter().find(|pending| pending.id == *id);
            assert!(known.is_none_or(|pending| pending == mutation), "mutation {id} is not what was sent");
        }
        for (id, row) in &self.server.rows {
            let journal = row.fields.get("journal").and_then(Value::as_array).cloned().unwrap_or_default();
            for (_, entry) in &self.entries {
                let times = journal.iter().filter(|written| *written == entry).count();
                assert!(times <= 1, "{entry:?} stands {times} times in {id}");
            }
        }
    }

    /// A damaged base is right again at a checkpoint, but not at each.
    fn check_checkpoint(&mut self, cursor: &str) {
        let expected = &self.snapshots[cursor];
        if self.device.is_damaged {
            self.device.is_damaged = self.base() != *expected;
        } else {
            self.check_base(expected);
        }
    }

    fn base(&self) -> Snapshot {
        let seen = self.device.store.bases().filter(|(_, record)| !record.hidden);
        seen.map(|(id, record)| (id, (record.seq, record.scopes.clone(), record.fields.clone()))).collect()
    }

    /// The device began once, and again only where the server did not know its cursors any more, or it had not yet
    /// reached a first checkpoint.
    pub fn check_never_fetched_anew(&self) {
        let resets = self.device.store.saved().position.resets;
        assert!(resets <= self.anew, "{resets} times fetched anew, {} times for a reason", self.anew);
    }

    /// The base, and what the person sees of it, are what the server showed when it cut the page.
    fn check_base(&self, expected: &Snapshot) {
        assert_eq!(&self.base(), expected, "left: the base, right: the server");
    }

    /// What holds when nothing goes wrong any more.
    pub fn check_in_step(&self) {
        let saved = self.device.store.saved();
        self.check_base(&self.server.snapshot());
        assert_eq!(self.device.store.bases().filter(|(_, record)| record.hidden).count(), 0, "nobody needs the hidden");
        assert_eq!(self.device.engine.saved(), &saved, "the engine knows what is stored");
        let phase = self.device.engine.state().phase;
        let expected = if saved.attention.is_empty() { Phase::InStep } else { Phase::NeedsAttention };
        assert_eq!(phase, expected);
        for attention in &saved.attention {
            assert_ne!(attention.outcome.verdict, Verdict::Applied);
        }
        for (_, entry) in self.entries.iter().filter(|(ticket, _)| self.device.saved_tickets.contains(ticket)) {
            self.check_entry(entry);
        }
    }

    /// A stored edit that appended to a journal stands there, or its record is gone, or the person was told.
    fn check_entry(&self, entry: &str) {
        let wrote = |mutation: &Mutation| {
            mutation
                .ops
                .iter()
                .any(|op| matches!(op, FieldOperation::Append { values, .. } if values.contains(&json!(entry))))
        };
        let told = self.device.store.saved().attention.iter().any(|attention| wrote(&attention.mutation));
        let decided = self.server.decided.values().find(|mutation| wrote(mutation));
        let Some(mutation) = decided else {
            assert!(told, "{entry} was never decided, and nobody was told");
            return;
        };
        let row = self.server.rows.get(&mutation.record);
        let stands = row.is_none_or(|row| {
            row.fields.get("journal").and_then(Value::as_array).is_some_and(|journal| journal.contains(&json!(entry)))
        });
        assert!(stands || told, "{entry} went without a word");
    }
}

fn create(place: u8) -> (MutationKind, Fields, Vec<FieldOperation>) {
    let set = Fields::from([("place".to_owned(), json!(place)), ("name".to_owned(), json!("new"))]);
    (MutationKind::Create, set, Vec::new())
}
