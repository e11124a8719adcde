use std::time::{SystemTime, UNIX_EPOCH};

use cartera_server::platform::entropy::{Entropy, SystemEntropy};
use serde_json::{Value, json};
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::id::{MutationId, RecordId, Sequence};
use sync_protocol::wire::{ExchangeRequest, ExchangeResponse, Fields, Mutation, MutationKind, Operation, Outcome};
use ureq::Agent;

use crate::answer::{Answer, agent, read};
use crate::company::PASSWORD;

/// A phone that is nothing but its session, its cursor and its numbers: what it sends is exactly what a story says.
#[derive(Clone, Debug)]
pub struct Phone {
    agent: Agent,
    /// The base of the address that it exchanges with.
    pub url: String,
    /// What it shows at every exchange.
    pub token: String,
    /// The device's id.
    pub device: String,
    /// Whose it is.
    pub user: String,
    /// The cursor of the last answer; absent before the first.
    pub cursor: Option<String>,
    last: MutationId,
}

/// A request to the exchange, down to its bytes and headers.
#[derive(Clone, Debug)]
pub struct Message {
    /// As they travel.
    pub body: Vec<u8>,
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
}

impl Message {
    /// JSON, or what should have been.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), content_type: "application/json".into(), encoding: None }
    }
}

/// What a pull brought, over all its pages.
#[derive(Clone, Debug, Default)]
pub struct Pulled {
    /// In the order told.
    pub operations: Vec<Operation>,
    /// The same as they travelled, one page after the other.
    pub text: String,
    /// The tenant's last sequence.
    pub head: Sequence,
}

impl Pulled {
    /// The ids of an entity's records that were put, sorted.
    #[must_use]
    pub fn put(&self, wanted: &str) -> Vec<String> {
        let mut ids: Vec<String> = self
            .operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Put { entity, id, .. } if entity == wanted => Some(id.to_string()),
                _ => None,
            })
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// The records that left, sorted.
    #[must_use]
    pub fn exits(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Exit { id, .. } => Some(id.to_string()),
                _ => None,
            })
            .collect();
        ids.sort();
        ids
    }
}

impl Phone {
    #[track_caller]
    pub(crate) fn enrol(url: &str, email: &str) -> Self {
        let agent = agent();
        let body = json!({"email": email, "password": PASSWORD, "name": "Un teléfono", "platform": "test"});
        let request = agent.post(format!("{url}/api/v1/devices")).header("content-type", "application/json");
        let answer = read(request.send(body.to_string())).unwrap_or_else(|error| panic!("enrolling: {error}"));
        let enrolled = answer.ok();
        let text = |key: &str| enrolled[key].as_str().unwrap_or_else(|| panic!("{key} in {enrolled}")).to_owned();
        let (token, device, user) = (text("token"), text("device"), text("user"));
        Self { agent, url: url.to_owned(), token, device, user, cursor: None, last: 0 }
    }

    /// Sends bytes to the exchange; an error is what the network did to them.
    ///
    /// # Errors
    /// When there was no whole answer.
    pub fn send(&self, message: &Message) -> Result<Answer, ureq::Error> {
        let mut request = self
            .agent
            .post(format!("{}/sync/v1/exchange", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", &message.content_type);
        if let Some(encoding) = &message.encoding {
            request = request.header("content-encoding", encoding);
        }
        read(request.send(&message.body))
    }

    /// Sends JSON to the exchange.
    #[track_caller]
    #[must_use]
    pub fn exchange(&self, body: &Value) -> Answer {
        let answer = self.send(&Message::json(body.to_string()));
        answer.unwrap_or_else(|error| panic!("the exchange had no answer: {error}"))
    }

    /// The request that pushes these mutations and pulls nothing.
    #[must_use]
    pub fn request(&self, mutations: &[Mutation]) -> Value {
        json!(ExchangeRequest {
            protocol: PROTOCOL_VERSION,
            model: None,
            cursor: self.cursor.clone(),
            acknowledged: 0,
            mutations: mutations.to_vec(),
            limit_bytes: 0,
            compare: false,
            language: Some("en".into()),
        })
    }

    /// Pushes mutations; returns their outcomes. No outcome is acknowledged: a story may send the same again.
    #[track_caller]
    #[must_use]
    pub fn push(&self, mutations: &[Mutation]) -> Vec<Outcome> {
        self.exchange(&self.request(mutations)).read::<ExchangeResponse>().outcomes
    }

    /// Pulls until there is nothing more.
    #[track_caller]
    #[must_use]
    pub fn pull(&mut self) -> Pulled {
        let mut pulled = Pulled::default();
        loop {
            let mut request = self.request(&[]);
            request["limit_bytes"] = json!(64 << 10);
            let page: ExchangeResponse = self.exchange(&request).read();
            let text = page.operations.get();
            let operations: Vec<Operation> = serde_json::from_str(text).expect("operations of the protocol");
            pulled.operations.extend(operations);
            pulled.text.push_str(text);
            pulled.head = page.head;
            self.cursor = Some(page.cursor);
            if !page.more {
                return pulled;
            }
        }
    }

    /// Asks to be told of the next thing that concerns this phone, does something meanwhile, and returns what it was told.
    #[track_caller]
    #[must_use]
    pub fn live(&self, meanwhile: impl FnOnce()) -> String {
        let url = format!("{}/sync/v1/live?wait=20", self.url);
        let request = self.agent.get(url).header("authorization", format!("Bearer {}", self.token));
        let request = request.header("last-event-id", self.cursor.as_deref().unwrap_or_default());
        std::thread::scope(|scope| {
            let told = scope.spawn(move || read(request.call()));
            meanwhile();
            let told = told.join().expect("the phone does not panic");
            told.unwrap_or_else(|error| panic!("the long poll had no answer: {error}")).body
        })
    }

    /// The next mutation of this phone: the creation of a record.
    #[track_caller]
    #[must_use]
    pub fn create(&mut self, entity: &str, fields: &Value) -> Mutation {
        self.mutation(MutationKind::Create, entity, &new_record(), 0, fields)
    }

    /// The next mutation of this phone: a change of a record that it knows at `base`.
    #[track_caller]
    #[must_use]
    pub fn update(&mut self, entity: &str, record: &str, base: Sequence, fields: &Value) -> Mutation {
        self.mutation(MutationKind::Update, entity, record, base, fields)
    }

    /// The next mutation of this phone: the deletion of a record that it knows at `base`.
    #[track_caller]
    #[must_use]
    pub fn delete(&mut self, entity: &str, record: &str, base: Sequence) -> Mutation {
        self.mutation(MutationKind::Delete, entity, record, base, &json!({}))
    }

    #[track_caller]
    fn mutation(&mut self, kind: MutationKind, entity: &str, record: &str, base: Sequence, set: &Value) -> Mutation {
        self.last += 1;
        let set: Fields = serde_json::from_value(set.clone()).expect("an object of fields");
        Mutation {
            id: self.last,
            kind,
            entity: entity.to_owned(),
            record: RecordId(record.parse().expect("a record's id")),
            base,
            set,
            ops: Vec::new(),
            group: None,
            depends_on: None,
            at_ms: now_ms(),
            model: None,
        }
    }
}

/// An id that no record has yet.
#[must_use]
pub fn new_record() -> String {
    SystemEntropy.uuid_v7(now_ms()).to_string()
}

fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(elapsed.as_millis()).expect("the clock is before the year 292 million")
}
