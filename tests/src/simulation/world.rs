//! Everything under one roof: a tenant's server, its devices and what is on its way between them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;

use cartera_server::record::write::Decision;
use crm::model::Model;
use sync_protocol::engine::{CommitFailure, Effect, Input};
use sync_protocol::id::{MutationId, RecordId, Sequence};
use sync_protocol::store::{Batch, StoreOp, look_up};
use sync_protocol::wire::ExchangeRequest;

use super::change::{Author, Change, Intent};
use super::check;
use super::device::Device;
use super::fault::Fault;
use super::line::Late;
use super::live::News;
use super::mend::Backup;
use super::moves::Move;
use super::office::Office;
use super::oracle::{Oracle, Sight};
use super::story::{Carrier, Story};
use super::tally::{NOT_LOOKED_AT, Tally};

/// More than any device needs to come in step.
const MOST_ROUNDS: usize = 200;

/// A tenant.
pub struct World {
    /// The server.
    pub office: Office,
    /// The devices.
    pub devices: Vec<Device>,
    /// What happened.
    pub tally: Tally,
    /// All that the server ever answered, so that two runs can be compared.
    pub(super) trace: DefaultHasher,
    pub(super) late: Vec<Late>,
    /// Live events on their way.
    pub(super) news: Vec<News>,
    /// Devices that nobody has any more.
    pub(super) lost: Vec<Device>,
    /// What a device is to hold at a cursor, under a model: fields that are called otherwise move no sequence.
    pub(super) sights: HashMap<(String, String), Sight>,
    /// The server's last sequence when it gave a cursor out.
    pub(super) heads: HashMap<String, Sequence>,
    /// What was written on the server itself.
    pub(super) written: Vec<Intent>,
    /// The last copy of the server's disk.
    pub(super) backup: Option<Backup>,
    /// The models that devices fetched, by hash.
    pub(super) models: HashMap<String, Model>,
    /// The step under way.
    pub(super) now: usize,
}

impl World {
    /// A tenant on its first morning, with these devices.
    pub async fn new(seed: u64, carriers: &[Carrier]) -> Self {
        let office = Office::open(seed).await;
        let mut world = Self {
            office,
            devices: vec![],
            tally: Tally::default(),
            trace: DefaultHasher::new(),
            late: vec![],
            news: vec![],
            lost: vec![],
            sights: HashMap::new(),
            heads: HashMap::new(),
            written: vec![],
            backup: None,
            models: HashMap::new(),
            now: 0,
        };
        for carrier in carriers {
            let user = world.office.staff.users[usize::from(carrier.user) % world.office.staff.users.len()];
            let seat = world.office.enrol(user).await;
            world.devices.push(Device::new(user, seat, carrier.skew_ms, carrier.has_file));
            if carrier.has_file {
                world.tally.count("device: keeps a file");
            }
            if carrier.skew_ms.abs() > 365 * 86_400_000 {
                world.tally.count("time: clock two years off");
            }
        }
        world
    }

    /// Plays a story to its end, until all is quiet, and checks what must hold then. Returns a digest of all that the
    /// server said.
    pub async fn play(story: &Story) -> (Tally, u64) {
        let mut world = Self::new(story.seed, &story.carriers).await;
        for (now, step) in story.steps.iter().enumerate() {
            world.now = now;
            world.tally.count("steps");
            world.take_step(step).await;
        }
        world.now = story.steps.len();
        world.settle().await;
        check::in_the_end(&world);
        (world.tally, world.trace.finish())
    }

    pub(super) fn give(&mut self, at: usize, input: Input) {
        self.devices[at].give(self.office.now_ms(), input);
    }

    pub(super) fn intents_elsewhere(&self, changes: &[Change]) -> Vec<Intent> {
        self.office.wait_ms(1_000);
        let sees: Vec<(RecordId, String)> =
            self.office.records().into_iter().map(|held| (held.id, held.entity)).collect();
        let new_id = || self.office.new_id();
        let model = self.office.app.model();
        let intents = changes.iter().enumerate().flat_map(|(n, change)| {
            let now_ms = self.office.now_ms();
            let mark = format!("{}.{n} elsewhere", self.now);
            let model = Some(&*model);
            let staff = &self.office.staff;
            Author { sees: sees.clone(), model, staff, new_id: &new_id, now_ms, mark }.intents(change)
        });
        intents.collect()
    }

    /// Remembers what was done of it.
    pub(super) fn note(&mut self, intents: Vec<Intent>, decisions: &[Decision]) {
        let done = intents.into_iter().zip(decisions).filter(|(_, decision)| !decision.is_rejected());
        self.written.extend(done.map(|(intent, _)| intent));
    }

    /// What the device is to hold at a cursor that it is given now.
    pub(super) fn remember(&mut self, at: usize, cursor: &str, model: String, oracle: &Oracle) {
        self.sights.insert((cursor.to_owned(), model), oracle.sight(self.devices[at].user));
        self.heads.insert(cursor.to_owned(), oracle.head);
    }

    /// Asks for an exchange and carries out so many effects; the request with the fault's number goes wrong.
    pub async fn run(&mut self, at: usize, effects: usize, fault: Option<(u8, Fault)>) {
        self.give(at, Input::SyncRequested);
        let mut sent = 0;
        for _ in 0..effects {
            let Some(effect) = self.devices[at].effects.pop_front() else { return };
            let is_request = matches!(
                effect,
                Effect::Send { .. } | Effect::Fetch { .. } | Effect::Digest { .. } | Effect::FetchModel { .. }
            );
            let fault = fault.filter(|(nth, _)| is_request && *nth == sent).map(|(_, fault)| fault);
            sent += u8::from(is_request);
            if let Some(input) = self.carry_out(at, effect, fault).await {
                self.give(at, input);
            }
        }
    }

    /// Carries out an effect; what the engine is to hear of it, it has not heard yet.
    pub(super) async fn carry_out(&mut self, at: usize, effect: Effect, fault: Option<Fault>) -> Option<Input> {
        match effect {
            Effect::Commit { commit, batch } => Some(self.commit(at, commit, &batch)),
            Effect::Send { exchange, request } => {
                Some(Input::Answered { exchange, answer: self.exchange(at, request, fault).await })
            }
            Effect::Fetch { exchange, fetch } => {
                Some(Input::Answered { exchange, answer: self.fetch(at, &fetch, fault).await })
            }
            Effect::Digest { exchange, request } => {
                Some(Input::Answered { exchange, answer: self.compare(at, &request, fault).await })
            }
            Effect::LookUp { look, query } => {
                let Ok(found) = look_up(&self.devices[at].store, &query);
                Some(Input::Found { look, found: Some(found) })
            }
            Effect::FetchModel { hash } => Some(self.fetch_model(at, hash, fault).await),
            Effect::WakeAt { at_ms } => {
                self.devices[at].wake_at_ms = Some(at_ms);
                None
            }
            Effect::Saved { mutations, .. } => {
                let device = &mut self.devices[at];
                let outbox = device.store.saved().outbox;
                for id in mutations {
                    let saved = outbox.iter().find(|mutation| mutation.id == id).cloned();
                    device.told.insert(id, saved.unwrap_or_else(|| panic!("{device}: {id} was said to be saved")));
                }
                None
            }
            Effect::NotSaved { .. } => {
                self.tally.count("edit: not saved");
                None
            }
            Effect::State(_) => None,
        }
    }

    fn commit(&mut self, at: usize, commit: u64, batch: &Batch) -> Input {
        let device = &mut self.devices[at];
        if device.keep(batch).is_err() {
            self.tally.count("device: commit fails");
            return Input::CommitFailed { commit, failure: CommitFailure::Storage };
        }
        check::nothing_told_is_lost(device);
        if batch.ops.iter().any(|op| matches!(op, StoreOp::OutboxRename(_))) {
            self.tally.count("device: calls what waits otherwise");
        }
        let checkpoint = batch.ops.iter().find_map(|op| match op {
            StoreOp::Checkpoint { cursor, .. } => Some(cursor.clone()),
            _ => None,
        });
        let Some(cursor) = checkpoint else { return Input::Committed { commit } };
        let point = Some(cursor).zip(device.store.saved().position.model);
        match point.and_then(|point| self.sights.get(&point)) {
            Some(sight) => {
                self.tally.count("checkpoints");
                check::holds(device, sight);
                device.check_file();
            }
            None => self.tally.count(NOT_LOOKED_AT),
        }
        Input::Committed { commit }
    }

    /// Carries out effects up to the next exchange.
    pub(super) async fn up_to_exchange(&mut self, at: usize) -> Option<(u64, ExchangeRequest)> {
        self.give(at, Input::SyncRequested);
        while let Some(effect) = self.devices[at].effects.pop_front() {
            if let Effect::Send { exchange, mut request } = effect {
                self.devices[at].limit(&mut request);
                return Some((exchange, request));
            }
            if let Some(input) = self.carry_out(at, effect, None).await {
                self.give(at, input);
            }
        }
        None
    }

    /// Each device exchanges once while somebody writes on the server: its page is asked for before the commit and read
    /// after it.
    pub async fn sync_while(&mut self, devices: &[usize], intents: Vec<Intent>) {
        let mut waiting = Vec::new();
        for at in devices {
            if let Some((exchange, request)) = self.up_to_exchange(*at).await {
                waiting.push((*at, exchange, request));
            }
        }
        self.at_once(waiting, intents, true).await;
        for at in devices {
            while let Some(effect) = self.devices[*at].effects.pop_front() {
                if matches!(effect, Effect::Send { .. }) {
                    self.devices[*at].effects.push_front(effect);
                    break;
                }
                if let Some(input) = self.carry_out(*at, effect, None).await {
                    self.give(*at, input);
                }
            }
        }
    }

    pub(super) async fn at_once(
        &mut self,
        waiting: Vec<(usize, u64, ExchangeRequest)>,
        intents: Vec<Intent>,
        reads_later: bool,
    ) {
        let (given, exchanges): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|(at, exchange, request)| ((at, exchange), (at, request))).unzip();
        let readers = if reads_later { self.office.hold_readers().await } else { vec![] };
        let (answers, decisions) = self.serve_together(&exchanges, intents.clone(), readers).await;
        self.note(intents, &decisions);
        for ((at, exchange), answer) in given.into_iter().zip(answers) {
            self.give(at, Input::Answered { exchange, answer });
        }
    }

    /// Every device holds what its user may see now.
    pub fn check_devices(&self) {
        check::every_device_is_in_step(self);
    }

    /// Nothing goes wrong any more, everybody may sign in, and every device exchanges until it is in step.
    pub async fn settle(&mut self) {
        while !self.late.is_empty() {
            self.arrive(0).await;
        }
        for user in 0..self.office.staff.users.len() {
            let user = u8::try_from(user).expect("few users");
            self.office.reorganise(Move::Signs { user, may: true }).await;
        }
        // What the last devices say is news to the first ones, and one that pauses before it tries again says it later.
        for round in 0..MOST_ROUNDS {
            let before = self.positions();
            while self.office.follow().await {}
            self.office.app.sync_rules().settle_all().await.expect("the rules are settled");
            for at in 0..self.devices.len() {
                self.bring_in_step(at).await;
            }
            if round > 0 && self.positions() == before {
                return;
            }
            self.office.wait_ms(10_000);
        }
        panic!("devices and server do not come to rest");
    }

    fn positions(&self) -> Vec<(Option<String>, MutationId)> {
        let positions = self.devices.iter().map(|device| device.store.saved().position);
        positions.map(|position| (position.cursor, position.last_mutation)).collect()
    }

    /// Lets a device exchange until there is nothing left to say on either side.
    pub async fn bring_in_step(&mut self, at: usize) {
        self.devices[at].page_bytes = 1 << 20;
        self.devices[at].fails_commit = false;
        self.devices[at].is_online = true;
        self.give(at, Input::Online);
        for _ in 0..MOST_ROUNDS {
            self.run(at, usize::MAX, None).await;
            let saved = self.devices[at].store.saved();
            let is_whole = saved.position.staged_cursor.is_none() && saved.position.mending.is_none();
            if saved.outbox.is_empty() && is_whole && self.devices[at].effects.is_empty() {
                return;
            }
            self.office.wait_ms(10_000);
        }
        panic!("{} does not come in step: {:?}", self.devices[at], self.devices[at].engine.state());
    }

    /// Exchanges at most so many times, with pages of at most so many bytes.
    pub async fn sync(&mut self, at: usize, exchanges: usize, page_bytes: u64) {
        self.devices[at].page_bytes = page_bytes;
        self.give(at, Input::SyncRequested);
        let mut left = exchanges;
        while let Some(effect) = self.devices[at].effects.pop_front() {
            if matches!(effect, Effect::Send { .. } | Effect::Fetch { .. }) {
                if left == 0 {
                    self.devices[at].effects.push_front(effect);
                    return;
                }
                left -= 1;
            }
            if let Some(input) = self.carry_out(at, effect, None).await {
                self.give(at, input);
            }
        }
    }
}
