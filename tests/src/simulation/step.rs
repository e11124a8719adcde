//! The playing of a story's steps: what each of them does.

use sync_protocol::engine::{Draft, Edit, Effect, Input};
use sync_protocol::id::RecordId;

use super::change::{Author, Change, EDITED, Intent};
use super::device::Device;
use super::fault::Moment;
use super::story::Step;
use super::world::World;

impl World {
    /// A batch of what the server does beside requests.
    async fn work_in_the_background(&mut self) {
        if self.office.follow().await {
            self.tally.count("server: children follow");
        }
        if self.office.settle_carried().await > 0 {
            self.tally.count("server: settles what devices carry");
        }
    }

    /// What a step of a story says.
    pub(super) async fn take_step(&mut self, step: &Step) {
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

    fn network(&mut self, at: usize, is_there: bool) {
        self.devices[at].is_online = is_there;
        if !is_there {
            self.tally.count("device: offline");
        }
        self.give(at, if is_there { Input::Online } else { Input::Offline });
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
}
