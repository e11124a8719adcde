//! A server small enough to read, a clock that stands still, and a phone between them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cartera_client::device::Device;
use cartera_client::host::Host;
use cartera_client::storage::{DeviceStore, Home, Identity};
use cartera_client::transport::{Transport, TransportError};
use crm::model::{Language, Model};
use serde_json::{Value, json, value::RawValue};
use sync_protocol::id::{DeviceId, MutationId, RecordId, TenantId};
use sync_protocol::merge::{Class, Decision, is_clean, merge_set};
use sync_protocol::store::lay;
use sync_protocol::wire::{
    ChunkEntry, DigestRequest, DigestResponse, ExchangeRequest, ExchangeResponse, Fields, ManifestRequest,
    ManifestResponse, Mutation, MutationKind, Operation, Outcome, Problem, Reason, Verdict,
};
use uuid::Uuid;

/// 2026-11-22T12:00:00Z.
pub const NOON_MS: i64 = 1_795_348_800_000;

/// A machine on which it is always noon.
#[derive(Default)]
pub struct Noon {
    drawn: Cell<u8>,
}

impl Host for Noon {
    fn now_ms(&self) -> i64 {
        NOON_MS
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.drawn.set(self.drawn.get() + 1);
        bytes.fill(self.drawn.get());
    }

    fn wait(&self, _: Duration) {}
}

struct Stored {
    entity: String,
    seq: u64,
    fields: Fields,
    /// At which sequence each field last changed, and whether the device did it.
    changed: BTreeMap<String, (u64, bool)>,
}

/// A server that one device knows; a deal cannot be lost there without a reason.
pub struct FakeServer {
    model: Model,
    records: RefCell<BTreeMap<RecordId, Stored>>,
    head: Cell<u64>,
    outcomes: RefCell<BTreeMap<MutationId, Outcome>>,
    /// Operations in a page.
    pub page: Cell<usize>,
    /// Answers to lose on the way back.
    pub losses: Cell<u32>,
    pub exchanges: Cell<u32>,
}

impl FakeServer {
    pub fn new(role: &str) -> Self {
        Self {
            model: Model::core().for_role(role),
            records: RefCell::default(),
            head: Cell::new(0),
            outcomes: RefCell::default(),
            page: Cell::new(1_000),
            losses: Cell::new(0),
            exchanges: Cell::new(0),
        }
    }

    fn next(&self) -> u64 {
        self.head.set(self.head.get() + 1);
        self.head.get()
    }

    /// Somebody else writes a record.
    pub fn write(&self, entity: &str, id: RecordId, set: &Value) {
        let set: Fields = serde_json::from_value(set.clone()).expect("an object");
        let seq = self.next();
        let mut records = self.records.borrow_mut();
        let stored = records.entry(id).or_insert_with(|| Stored {
            entity: entity.to_owned(),
            seq,
            fields: Fields::new(),
            changed: BTreeMap::new(),
        });
        stored.seq = seq;
        lay(&mut stored.fields, &set, &[]);
        stored.changed.extend(set.into_keys().map(|field| (field, (seq, false))));
    }

    pub fn fields(&self, id: RecordId) -> Option<Fields> {
        self.records.borrow().get(&id).map(|stored| stored.fields.clone())
    }

    fn decide(&self, mutation: &Mutation) -> Outcome {
        let answer = |verdict, seq, reason, server| Outcome { mutation: mutation.id, verdict, seq, reason, server };
        let mut records = self.records.borrow_mut();
        if mutation.kind == MutationKind::Delete {
            records.remove(&mutation.record);
            return answer(Verdict::Applied, self.next(), None, Fields::new());
        }
        let known = records.get(&mutation.record).map(|stored| stored.fields.clone()).unwrap_or_default();
        let mut after = known.clone();
        lay(&mut after, &mutation.set, &mutation.ops);
        if after.get("stage") == Some(&json!("lost")) && !after.contains_key("close_reason") {
            let reason = Reason { code: "invalid".into(), message: "A reason is missing.".into(), fields: Vec::new() };
            return answer(Verdict::Rejected, self.head.get(), Some(reason), Fields::new());
        }
        let seq = self.next();
        let stored = records.entry(mutation.record).or_insert_with(|| Stored {
            entity: mutation.entity.clone(),
            seq,
            fields: Fields::new(),
            changed: BTreeMap::new(),
        });
        let mut kept = Fields::new();
        for (field, value) in &mutation.set {
            let (changed, by_device) = stored.changed.get(field).copied().unwrap_or_default();
            let clean = is_clean(changed, by_device, mutation.base);
            let current = stored.fields.get(field);
            if merge_set(Class::Lww, current, value, clean) == Decision::Keep {
                kept.insert(field.clone(), current.cloned().unwrap_or(Value::Null));
                after.insert(field.clone(), current.cloned().unwrap_or(Value::Null));
            } else {
                stored.changed.insert(field.clone(), (seq, true));
            }
        }
        stored.fields = after;
        stored.seq = seq;
        let verdict = if kept.is_empty() { Verdict::Applied } else { Verdict::Merged };
        let conflict = Reason { code: "conflict".into(), message: "Somebody was quicker.".into(), fields: Vec::new() };
        answer(verdict, seq, (!kept.is_empty()).then_some(conflict), kept)
    }

    fn answer(&self, request: &ExchangeRequest) -> ExchangeResponse {
        let mut outcomes = Vec::new();
        for mutation in &request.mutations {
            let decided = self.outcomes.borrow().get(&mutation.id).cloned();
            let outcome = decided.unwrap_or_else(|| self.decide(mutation));
            self.outcomes.borrow_mut().insert(mutation.id, outcome.clone());
            outcomes.push(outcome);
        }
        let from: u64 = request.cursor.as_ref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let records = self.records.borrow();
        let mut due: Vec<_> = records.iter().filter(|(_, stored)| stored.seq > from).collect();
        due.sort_by_key(|(_, stored)| stored.seq);
        let more = due.len() > self.page.get();
        due.truncate(self.page.get());
        let last = due.last().map_or(self.head.get(), |(_, stored)| stored.seq);
        let put = |(id, stored): (&RecordId, &Stored)| Operation::Put {
            entity: stored.entity.clone(),
            id: *id,
            seq: stored.seq,
            scopes: vec![1],
            partial: false,
            set: stored.fields.clone(),
        };
        let operations: Vec<Operation> = due.into_iter().map(put).collect();
        let operations = serde_json::to_string(&operations).expect("operations are JSON");
        ExchangeResponse {
            protocol: 1,
            model: self.model.hash.clone(),
            outcomes,
            operations: RawValue::from_string(operations).expect("operations are JSON"),
            cursor: if more { last } else { self.head.get() }.to_string(),
            more,
            head: self.head.get(),
            orders: Vec::new(),
            server_time_ms: NOON_MS,
            digest: None,
            mend: None,
            expected: None,
            safe: None,
        }
    }
}

impl Transport for FakeServer {
    fn exchange(&self, request: &ExchangeRequest) -> Result<ExchangeResponse, TransportError> {
        self.exchanges.set(self.exchanges.get() + 1);
        let response = self.answer(request);
        if self.losses.get() > 0 {
            self.losses.set(self.losses.get() - 1);
            let source = Box::new(ureq::Error::ConnectionFailed);
            return Err(TransportError::Unreachable { url: "http://fake".into(), source });
        }
        // As it would arrive.
        let json = serde_json::to_string(&response).expect("a response is JSON");
        Ok(serde_json::from_str(&json).expect("a response reads back"))
    }

    fn manifest(&self, _: &ManifestRequest) -> Result<ManifestResponse, TransportError> {
        Err(unknown_route())
    }

    fn chunks(&self, _: &[ChunkEntry]) -> Result<Vec<Arc<[u8]>>, TransportError> {
        unreachable!("there is no manifest")
    }

    fn digest(&self, _: &DigestRequest) -> Result<DigestResponse, TransportError> {
        unreachable!("it gives no digests to compare")
    }

    fn model(&self, hash: &str) -> Result<String, TransportError> {
        assert_eq!(hash, self.model.hash);
        Ok(self.model.to_json())
    }
}

/// What a server of an earlier release says of an address that it does not know.
fn unknown_route() -> TransportError {
    let problem = Problem {
        kind: "urn:cartera:problem:unknown-route".into(),
        code: "unknown-route".into(),
        title: "There is no such address.".into(),
        status: 404,
        detail: None,
        fields: Vec::new(),
        extra: serde_json::Map::new(),
    };
    TransportError::Refused { problem: Box::new(problem), retry_after: None }
}

/// A server that is always too busy, and says for how long.
pub struct BusyServer;

impl Transport for BusyServer {
    fn exchange(&self, _: &ExchangeRequest) -> Result<ExchangeResponse, TransportError> {
        let problem = Problem {
            kind: "urn:cartera:problem:busy".into(),
            code: "busy".into(),
            title: "Busy".into(),
            status: 503,
            detail: None,
            fields: Vec::new(),
            extra: serde_json::Map::new(),
        };
        Err(TransportError::Refused { problem: Box::new(problem), retry_after: Some(Duration::from_secs(1)) })
    }

    fn manifest(&self, _: &ManifestRequest) -> Result<ManifestResponse, TransportError> {
        Err(unknown_route())
    }

    fn chunks(&self, _: &[ChunkEntry]) -> Result<Vec<Arc<[u8]>>, TransportError> {
        unreachable!("there is no manifest")
    }

    fn digest(&self, _: &DigestRequest) -> Result<DigestResponse, TransportError> {
        unreachable!("nobody gets as far as a digest here")
    }

    fn model(&self, _: &str) -> Result<String, TransportError> {
        unreachable!("nobody gets as far as a model here")
    }
}

pub fn id(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

/// Her whose phone it is.
pub const ME: u128 = 0x100;

/// Makes a device in a folder without a server.
pub fn enrol(home: &Path) {
    let identity = Identity {
        server: "http://localhost:1".into(),
        ca_file: None,
        device: DeviceId(Uuid::from_u128(1)),
        token: "secret".into(),
        user: id(ME),
        email: "ana@example.com".into(),
        tenant: TenantId(Uuid::from_u128(2)),
        name: "phone".into(),
    };
    let mut store = DeviceStore::open(Home::hold(home).expect("nobody else holds it")).expect("opens");
    store.enrol(&identity).expect("is new");
}

pub fn open(home: &Path) -> Device {
    Device::open(home, Language::En, Box::new(Noon::default())).expect("opens")
}

/// A rep's world: she, her team, an account and a deal of hers, one of a colleague in the team.
pub fn furnish(server: &FakeServer) {
    server.write("team", id(0x200), &json!({"name": "Norte"}));
    server.write("user", id(ME), &json!({"name": "Ana Pérez", "email": "ana@example.com", "team": id(0x200)}));
    server.write("user", id(0x101), &json!({"name": "Beto", "email": "beto@example.com", "team": id(0x200)}));
    server.write("account", id(0x300), &json!({"name": "Ácme, S.L.", "owner": id(ME), "team": id(0x200)}));
    server.write(
        "contact",
        id(0x400),
        &json!({
            "name": "José Núñez", "account": id(0x300), "owner": id(ME),
            "phones": [{"raw": "600 12 34 56", "e164": "+34600123456"}],
            "emails": [{"address": "jose@acme.es"}]
        }),
    );
    let deal = |name: &str, owner: u128, minor: i64| {
        json!({
            "name": name, "account": id(0x300), "owner": id(owner), "team": id(0x200), "stage": "prospecting",
            "probability": 10, "amount": {"currency": "EUR", "minor": minor}, "tags": ["fair"]
        })
    };
    server.write("opportunity", id(0x500), &deal("Grúas", ME, 120_000));
    server.write("opportunity", id(0x501), &deal("Tornillos", 0x101, 5_000));
}
