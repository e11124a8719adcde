//! A device in memory: the protocol's engine and store, its exchanges carried by hand.

use std::collections::VecDeque;

use cartera_server::exchange::Puller;
use cartera_server::record::write::Author;
use crm::model::Language;
use crm::rules::Place;
use serde_json::value::RawValue;
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::cursor::Cursor;
use sync_protocol::engine::{Answer, Draft, Edit, Effect, Engine, Input, Settings};
use sync_protocol::id::RecordId;
use sync_protocol::store::MemoryStore;
use sync_protocol::wire::{ExchangeRequest, ExchangeResponse, Mutation, MutationKind, Operation, Outcome, Verdict};

use crate::office::Office;
use crate::steps::Change;

/// What goes wrong with each second exchange of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It does not reach the server.
    LosesRequest,
    /// The server does what it is asked, and nobody hears.
    LosesAnswer,
}

pub struct Phone {
    pub user: RecordId,
    pub number: i64,
    pub store: MemoryStore,
    engine: Engine,
    page: u64,
    /// Others change records between the moment when a page is cut and the moment when it is looked at.
    is_in_a_crowd: bool,
    /// What the server said of each mutation that it did.
    pub done: Vec<(Mutation, Outcome)>,
}

impl Phone {
    pub fn new(office: &Office, user: usize) -> Self {
        let store = MemoryStore::default();
        let engine = Engine::restore(store.saved(), Settings::default());
        Self {
            user: office.users[user],
            number: office.enrol(user),
            store,
            engine,
            page: 1 << 20,
            is_in_a_crowd: false,
            done: vec![],
        }
    }

    /// A change of what the person sees here, made a draft.
    pub fn draft(&self, office: &Office, change: &Change, at: usize) -> Option<Draft> {
        let seen: Vec<(RecordId, String)> = ["account", "opportunity", "contact", "activity"]
            .iter()
            .flat_map(|entity| self.store.views(entity))
            .map(|view| (view.id, view.entity))
            .collect();
        let intent = office.intent(change, &seen, at)?;
        Some(Draft {
            kind: intent.kind,
            entity: intent.entity,
            record: intent.record,
            base: self.store.view(intent.record).map_or(0, |view| view.base),
            set: intent.set,
            ops: intent.ops,
            at_ms: office.now_ms(),
        })
    }

    pub async fn edit(&mut self, office: &Office, drafts: Vec<Draft>) {
        if !drafts.is_empty() {
            self.give(office, Input::Edit(Edit { ticket: 1, drafts }), 0, Fault::None).await;
        }
    }

    /// Forgets all that is not stored.
    pub fn restart(&mut self) {
        self.engine = Engine::restore(self.store.saved(), Settings::default());
    }

    /// Exchanges at most so many times.
    pub async fn sync(&mut self, office: &Office, exchanges: usize, page: u64, fault: Fault) {
        self.page = page;
        self.restart();
        self.give(office, Input::Start, exchanges, fault).await;
    }

    /// Exchanges while others do.
    pub async fn sync_in_a_crowd(&mut self, office: &Office, page: u64) {
        self.is_in_a_crowd = true;
        self.sync(office, 20, page, Fault::None).await;
        self.is_in_a_crowd = false;
    }

    async fn give(&mut self, office: &Office, input: Input, mut exchanges: usize, fault: Fault) {
        let mut effects: VecDeque<Effect> = self.engine.handle(office.now_ms(), input).into();
        while let Some(effect) = effects.pop_front() {
            let input = match effect {
                Effect::Commit { commit, batch } => match self.store.commit(&batch) {
                    Ok(()) => Input::Committed { commit },
                    Err(error) => {
                        // The engine would start over; a server that knows what its devices have never needs that.
                        panic!("device {} of {}: {error}", self.number, self.user);
                    }
                },
                Effect::Send { exchange, request } => {
                    if exchanges == 0 {
                        continue;
                    }
                    exchanges -= 1;
                    Input::Answered { exchange, answer: self.exchange(office, request, fault, exchanges).await }
                }
                Effect::FetchModel { hash } => Input::ModelStored { hash },
                Effect::WakeAt { .. } if exchanges > 0 => Input::SyncRequested,
                Effect::NotSaved { .. } => panic!("nothing fails to be stored here"),
                Effect::WakeAt { .. } | Effect::Saved { .. } | Effect::State(_) => continue,
            };
            effects.extend(self.engine.handle(office.now_ms(), input));
        }
    }

    async fn exchange(&mut self, office: &Office, mut request: ExchangeRequest, fault: Fault, left: usize) -> Answer {
        let goes_wrong = left % 2 == 1;
        if fault == Fault::LosesRequest && goes_wrong {
            return Answer::Failed;
        }
        request.limit_bytes = self.page;
        let response = self.serve(office, &request).await;
        for outcome in &response.outcomes {
            let mutation = request.mutations.iter().find(|mutation| mutation.id == outcome.mutation);
            let mutation = mutation.expect("outcomes are of mutations that were sent").clone();
            match self.done.iter().find(|(known, _)| known.id == mutation.id) {
                Some((_, known)) => assert_eq!(known, outcome, "a retry is answered as before"),
                None => self.done.push((mutation, outcome.clone())),
            }
        }
        if fault == Fault::LosesAnswer && goes_wrong {
            return Answer::Failed;
        }
        Answer::Response(Box::new(response))
    }

    /// What the route does, without HTTP; everything that goes out is held against the user's rights.
    async fn serve(&self, office: &Office, request: &ExchangeRequest) -> ExchangeResponse {
        let app = &office.app;
        let tenant = app.tenant();
        let open = |text: &String| Cursor::open(text, &tenant.cursor_key, tenant.id).expect("our own cursor");
        let cursor = request.cursor.as_ref().map(open);
        let mut outcomes = Vec::new();
        if !request.mutations.is_empty() {
            let rights = office.rights(self.user);
            let author = Author { user: Some(self.user), device: self.number, rights, language: Language::En };
            let pushed = app.writer().push(author, request.mutations.clone(), request.acknowledged).await;
            outcomes = pushed.expect("the engine pushes in order");
        }
        let snapshot = app.live().snapshot();
        let rights = office.rights(self.user);
        let limit_bytes = usize::try_from(request.limit_bytes).expect("a page's size");
        let epoch = tenant.epoch;
        let puller = Puller { snapshot: &snapshot, rights: &rights, device: self.number, epoch, limit_bytes };
        let page = puller.pull(app.db(), app.live().head(), cursor).await.expect("a page");
        let operations: Vec<Operation> = serde_json::from_str(&page.operations).expect("operations");
        assert!(page.count > 0 || !page.more, "a page that is not the last says something");
        let records = if self.is_in_a_crowd { Vec::new() } else { office.records() };
        for operation in operations.iter().filter(|_| !self.is_in_a_crowd) {
            let Operation::Put { entity, id, set, .. } = operation else { continue };
            let record = records.iter().find(|record| record.id == *id).expect("what is put is there");
            let may = rights.reach(entity, &Place::of(&record.fields), |permission| permission.read);
            assert!(may, "{operation:?} is not for {}", self.user);
            let projection = rights.projection(entity).expect("she reads the entity");
            assert!(set.keys().all(|field| projection.shows(field)), "{operation:?} shows too much");
        }
        ExchangeResponse {
            protocol: PROTOCOL_VERSION,
            model: rights.view.model.hash.clone(),
            outcomes,
            operations: RawValue::from_string(page.operations).expect("JSON"),
            cursor: page.cursor.seal(&tenant.cursor_key, tenant.id),
            more: page.more,
            head: page.head,
            server_time_ms: office.now_ms(),
        }
    }

    /// The mutations that were done.
    pub fn effects(&self) -> impl Iterator<Item = &Mutation> {
        self.done.iter().filter(|(_, outcome)| outcome.verdict != Verdict::Rejected).map(|(mutation, _)| mutation)
    }

    pub fn made(&self) -> usize {
        self.effects().filter(|mutation| mutation.kind == MutationKind::Create).count()
    }
}
