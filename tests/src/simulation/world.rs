//! Everything under one roof: a tenant's server, its devices and what is on its way between them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;

use cartera_server::record::write::Decision;
use crm::model::Model;
use sync_protocol::engine::{CommitFailure, Draft, Edit, Effect, Input};
use sync_protocol::id::{MutationId, RecordId, Sequence};
use sync_protocol::store::{Batch, StoreOp, look_up};
use sync_protocol::wire::ExchangeRequest;

use super::change::{Author, Change, EDITED, Intent};
use super::check;
use super::device::Device;
use super::fault::{Fault, Moment};
use super::line::Late;
use super::live::News;
use super::mend::Backup;
use super::moves::Move;
use super::office::Office;
use super::oracle::{Oracle, Sight};
use super::story::{Carrier, Step, Story};
use super::tally::Tally;

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
    /// The server's last sequence and its model when it gave a cursor out.
    pub(super) heads: HashMap<String, (Sequence, String)>,
    /// What was written on the server itself.
    pub(super) written: Vec<Intent>,
    /// The last copy of the server's disk.
    pub(super) backup: Option<Backup>,
    /// The models that devices fetched, by hash.
    pub(super) models: HashMap<String, Model>,
    /// The step under way.
    now: usize,
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

    /// A batch of what the server does beside requests.
    async fn work_in_the_background(&mut self) {
        if self.office.follow().await {
            self.tally.count("server: children follow");
        }
        if self.office.settle_carried().await > 0 {
            self.tally.count("server: settles what devices carry");
        }
    }

    async fn take_step(&mut self, step: &Step) {
        if self.now.is_multiple_of(3) {
            self.work_in_the_background().await;
        }
        let count = self.devices.len();
        let nth = |device: u8| usize::from(device) % count;
        match step {
            Step::Edit { device, changes } => self.edit(nth(*device), changes),
            Step::Dismiss { device } => self.dismiss(nth(*device)),
            Step::Elsewhere(changes) => {
                self.tally.count("server: writes itself");
                let intents = self.intents_elsewhere(changes);
                let decisions = self.office.write(intents.clone()).await;
                self.note(intents, &decisions);
            }
            Step::Bulk(changes) => {
                self.tally.count("server: writes in bulk");
                let intents = self.intents_elsewhere(changes);
                let decisions = self.office.bulk(intents.clone()).await;
                self.note(intents, &decisions);
            }
            Step::Move(moved) => {
                self.tally.count(moved.name());
                self.office.reorganise(*moved).await;
            }
            Step::Upgrade(upgrade) => {
                let taken = self.office.upgrade(*upgrade).await;
                self.tally.count(if taken { upgrade.name() } else { "model: refused" });
            }
            Step::Run { device, effects, page, fault } => {
                let at = nth(*device);
                self.devices[at].page_bytes = u64::from(*page);
                self.run(at, usize::from(*effects), *fault).await;
            }
            Step::Together { devices: (one, other), page, change } => {
                self.together([nth(*one), nth(*other)], u64::from(*page), change).await;
            }
            Step::Crash { device, moment } => self.crash(nth(*device), *moment).await,
            Step::Replace { device } => self.replace(nth(*device)).await,
            Step::FailCommit { device } => self.devices[nth(*device)].fails_commit = true,
            Step::Network { device, is_there } => self.network(nth(*device), *is_there),
            Step::Listen { device, change, arrival } => self.listen(nth(*device), change, *arrival).await,
            Step::Hear(n) => self.hear(usize::from(*n)),
            Step::Arrive(n) => self.arrive(usize::from(*n)).await,
            Step::Wait { seconds } => {
                self.tally.count("time: passes");
                self.office.wait_ms(i64::from(*seconds) * 1_000);
                self.work_in_the_background().await;
                (0..count).for_each(|at| self.give(at, Input::Tick));
            }
            Step::Restart if self.now.is_multiple_of(2) => {
                self.tally.count("server: restarts");
                self.office.restart().await;
            }
            Step::Restart => {
                self.tally.count("server: dies between requests");
                self.office.die().await;
            }
            Step::BackUp => self.back_up(),
            Step::Restore => self.restore().await,
            Step::Forget { days } => self.forget(*days).await,
        }
    }

    pub(super) fn give(&mut self, at: usize, input: Input) {
        self.devices[at].give(self.office.now_ms(), input);
    }

    /// A person changes something of what she sees here.
    pub fn edit(&mut self, at: usize, changes: &[Change]) {
        let device = &self.devices[at];
        let views = EDITED.iter().flat_map(|entity| device.store.views(entity));
        let mut sees: Vec<(RecordId, String)> = views.map(|view| (view.id, view.entity)).collect();
        sees.sort_unstable();
        let now_ms = self.office.now_ms() + device.skew_ms;
        let model = device.model.as_ref().and_then(|held| self.models.get(held));
        let mut drafts = Vec::new();
        for (n, change) in changes.iter().enumerate() {
            let new_id = || self.office.new_id();
            let mark = format!("{}.{n}", self.now);
            let author = Author { sees: sees.clone(), model, staff: &self.office.staff, new_id: &new_id, now_ms, mark };
            for intent in author.intents(change) {
                self.tally.count(intent.name());
                let Intent { kind, entity, record, set, ops } = intent;
                let base = device.store.view(record).map_or(0, |view| view.base);
                drafts.push(Draft { kind, entity, record, base, set, ops, at_ms: now_ms });
            }
        }
        if drafts.is_empty() {
            return;
        }
        if drafts.len() > 1 {
            self.tally.count("edit: group");
        }
        let device = &mut self.devices[at];
        device.tickets += 1;
        let ticket = device.tickets;
        self.give(at, Input::Edit(Edit { ticket, drafts }));
    }

    /// Somebody loses a device and gets another.
    async fn replace(&mut self, at: usize) {
        self.tally.count("device: lost, another enrolled");
        self.late.retain(|late| late.device != at);
        self.news.retain(|news| news.device != at);
        let (user, skew_ms) = (self.devices[at].user, self.devices[at].skew_ms);
        let seat = self.office.enrol(user).await;
        let new = Device::new(user, seat, skew_ms, false);
        self.lost.push(std::mem::replace(&mut self.devices[at], new));
        // A device that the server does not know any more enrols again, which is another story.
        self.backup = None;
    }

    fn dismiss(&mut self, at: usize) {
        if let Some(attention) = self.devices[at].store.saved().attention.first() {
            self.give(at, Input::Dismiss { mutation: attention.mutation.id });
        }
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
        self.heads.insert(cursor.to_owned(), (oracle.head, oracle.model().hash.clone()));
    }

    fn network(&mut self, at: usize, is_there: bool) {
        self.devices[at].is_online = is_there;
        if !is_there {
            self.tally.count("device: offline");
        }
        self.give(at, if is_there { Input::Online } else { Input::Offline });
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
    async fn carry_out(&mut self, at: usize, effect: Effect, fault: Option<Fault>) -> Option<Input> {
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
        let point = checkpoint.zip(device.store.saved().position.model);
        if let Some(sight) = point.and_then(|point| self.sights.get(&point)) {
            self.tally.count("checkpoints");
            check::holds(device, sight);
            device.check_file();
        }
        Input::Committed { commit }
    }

    async fn crash(&mut self, at: usize, moment: Moment) {
        let next = self.devices[at].effects.pop_front();
        let around = match (&next, moment) {
            (Some(Effect::Commit { .. }), Moment::BeforeEffect) => "device: dies before a commit",
            (Some(Effect::Commit { .. }), Moment::AfterEffect) => "device: dies after a commit",
            (Some(Effect::Digest { .. } | Effect::LookUp { .. }), _) => "mending: device dies",
            (Some(Effect::Fetch { .. }), _) => "first sync: device dies at a fetch",
            (Some(Effect::Send { .. }), Moment::BeforeEffect) => "device: dies before a request",
            (Some(Effect::Send { .. }), Moment::AfterEffect) => "device: dies after a request",
            _ => "device: dies idle",
        };
        self.tally.count(around);
        if let (Some(effect), Moment::AfterEffect) = (next, moment) {
            // It was carried out, and nobody is left to hear of it.
            drop(self.carry_out(at, effect, None).await);
        }
        let now_ms = self.office.now_ms();
        self.devices[at].restart(now_ms);
    }

    /// Carries out effects up to the next exchange.
    async fn up_to_exchange(&mut self, at: usize) -> Option<(u64, ExchangeRequest)> {
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

    /// Two devices and the server itself write into one commit.
    async fn together(&mut self, pair: [usize; 2], page: u64, change: &Change) {
        let mut waiting = Vec::new();
        for at in pair {
            self.devices[at].page_bytes = page;
            if let Some((exchange, request)) = self.up_to_exchange(at).await {
                waiting.push((at, exchange, request));
            }
        }
        if waiting.len() < 2 || waiting.iter().any(|(_, _, request)| request.mutations.is_empty()) {
            // Who pushes nothing does not wait for the commit: how that ends, chance decides, and stories have none.
            for (at, exchange, request) in waiting {
                let answer = self.exchange(at, request, None).await;
                self.give(at, Input::Answered { exchange, answer });
            }
            return;
        }
        self.tally.count("network: two devices in one commit");
        let intents = self.intents_elsewhere(std::slice::from_ref(change));
        self.at_once(waiting, intents, false).await;
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

    async fn at_once(&mut self, waiting: Vec<(usize, u64, ExchangeRequest)>, intents: Vec<Intent>, reads_later: bool) {
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
