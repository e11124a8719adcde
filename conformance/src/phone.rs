//! A device that is nothing but its session, its numbers and what it was told: it sends exactly what a check says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::id::{MutationId, RecordId, ScopeId, Sequence};
use sync_protocol::wire::{Fields, Mutation, MutationKind, Operation, Outcome};
use ureq::http::Method;

use crate::check::{Unmet, broken, ensure};
use crate::events::{Event, Heard};
use crate::http::{Answer, Client};
use crate::machine;

/// Where the exchange is.
pub const EXCHANGE: &str = "/sync/v1/exchange";

/// A page of a device that does not say otherwise.
const PAGE_BYTES: u64 = 1 << 20;

/// More pages than this are no progress.
const MOST_PAGES: usize = 100_000;

/// A device.
#[derive(Clone, Debug)]
pub struct Phone {
    client: Client,
    /// What it shows at every exchange.
    pub token: String,
    /// The cursor of the last answer.
    pub cursor: Option<String>,
    last: MutationId,
    /// By record, what operations said of it.
    pub records: BTreeMap<RecordId, Told>,
}

/// What operations told of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its sequence.
    pub seq: Sequence,
    /// The held scopes in which it stands.
    pub scopes: Vec<ScopeId>,
    /// What `put` said; not what this device wrote itself.
    pub fields: Fields,
}

/// One page of a pull.
#[derive(Clone, Debug)]
pub struct Page {
    /// As it travelled, without `operations`.
    pub answer: Map<String, Value>,
    /// In the order told.
    pub operations: Vec<Operation>,
    /// How long each is as JSON.
    pub bytes: Vec<usize>,
    /// Whether another page follows.
    pub more: bool,
}

impl Phone {
    /// A device whose session this token is.
    pub fn new(client: Client, token: String) -> Self {
        Self { client, token, cursor: None, last: 0, records: BTreeMap::new() }
    }

    /// The same device under another session.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self }
    }

    /// Sends bytes to the exchange, with these headers besides the usual ones.
    pub fn send(&self, body: &[u8], headers: &[(&str, &str)]) -> Result<Answer, Unmet> {
        self.ask(Method::POST, EXCHANGE, headers, body)
    }

    /// Any request with its session; what it sends is JSON unless the headers say otherwise.
    pub fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Unmet> {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", bearer.as_str())];
        if !body.is_empty() && headers.iter().all(|(name, _)| *name != "content-type") {
            all.push(("content-type", "application/json"));
        }
        all.extend(headers);
        self.client.send(method, path, &all, body)
    }

    /// Opens a stream of events with its session: [`Client::listen`].
    pub fn listen(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        opened: impl FnOnce() -> Result<(), Unmet>,
        is_enough: impl Fn(&Event) -> bool,
    ) -> Result<Heard, Unmet> {
        let bearer = format!("Bearer {}", self.token);
        let headers: Vec<(&str, &str)> = [("authorization", &bearer[..])].iter().chain(headers).copied().collect();
        self.client.listen(path, &headers, opened, is_enough)
    }

    /// Posts JSON to any path.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, Unmet> {
        self.ask(Method::POST, path, &[], body.to_string().as_bytes())
    }

    /// Sends JSON to the exchange.
    pub fn exchange(&self, request: &Value) -> Result<Answer, Unmet> {
        self.send(request.to_string().as_bytes(), &[])
    }

    /// The request that pushes these mutations and, where the device has a cursor, pulls nothing.
    pub fn request(&self, mutations: &[Mutation]) -> Value {
        let mut request = json!({"protocol": PROTOCOL_VERSION, "mutations": mutations, "language": "en"});
        request["limit_bytes"] = json!(u8::from(self.cursor.is_none()));
        if let Some(cursor) = &self.cursor {
            request["cursor"] = json!(cursor);
        }
        request
    }

    /// The request that pushes these mutations and pulls a page of the usual size.
    pub fn request_page(&self, mutations: &[Mutation]) -> Value {
        let mut request = self.request(mutations);
        request["limit_bytes"] = json!(PAGE_BYTES);
        request
    }

    /// Pushes mutations and returns their outcomes; what the answer tells besides is left for the next pull.
    pub fn push(&self, mutations: &[Mutation]) -> Result<Vec<Outcome>, Unmet> {
        self.push_with(mutations, 0)
    }

    /// Pushes mutations, acknowledging the outcomes up to that one.
    pub fn push_with(&self, mutations: &[Mutation], acknowledged: MutationId) -> Result<Vec<Outcome>, Unmet> {
        let mut request = self.request(mutations);
        request["acknowledged"] = json!(acknowledged);
        let answer = self.exchange(&request)?.ok()?;
        let outcomes: Vec<Outcome> = read(&answer, "outcomes")?;
        ensure(outcomes.len() == mutations.len(), || {
            format!("{} mutations have {} outcomes", mutations.len(), outcomes.len())
        })?;
        Ok(outcomes)
    }

    /// Pushes one mutation and returns its outcome.
    pub fn push_one(&self, mutation: &Mutation) -> Result<Outcome, Unmet> {
        let outcomes = self.push(std::slice::from_ref(mutation))?;
        outcomes.into_iter().next().map_or_else(|| broken("the mutation has no outcome"), Ok)
    }

    /// Fetches one page of at most that many bytes and goes on from its cursor.
    pub fn page(&mut self, limit_bytes: u64) -> Result<Page, Unmet> {
        let mut request = self.request(&[]);
        request["limit_bytes"] = json!(limit_bytes);
        let Value::Object(mut answer) = self.exchange(&request)?.ok()? else {
            return broken("the answer to an exchange is no object");
        };
        let raw = answer.remove("operations").unwrap_or_default();
        let bytes = raw.as_array().into_iter().flatten().map(|operation| operation.to_string().len()).collect();
        let operations: Vec<Operation> =
            serde_json::from_value(raw).or_else(|error| broken(format!("`operations` cannot be read: {error}")))?;
        self.cursor = Some(read_in(&answer, "cursor")?);
        let more = read_in(&answer, "more")?;
        Ok(Page { answer, operations, bytes, more })
    }

    /// Pulls until there is nothing more, and keeps what it is told; returns all operations in their order.
    pub fn pull(&mut self) -> Result<Vec<Operation>, Unmet> {
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.page(PAGE_BYTES)?;
            all.extend(page.operations);
            if !page.more {
                self.take(&all)?;
                return Ok(all);
            }
        }
        broken(format!("{MOST_PAGES} pages came, and each said that there is more"))
    }

    /// Follows operations as the specification says.
    pub fn take(&mut self, operations: &[Operation]) -> Result<(), Unmet> {
        for operation in operations {
            match operation {
                Operation::Put { id, seq, scopes, partial, set, .. } => {
                    let mut fields = match (partial, self.records.get(id)) {
                        (false, _) => Fields::new(),
                        (true, Some(known)) => known.fields.clone(),
                        (true, None) => return broken(format!("a partial put of {id}, which this device never had")),
                    };
                    for (name, value) in set {
                        if value.is_null() {
                            fields.remove(name);
                        } else {
                            fields.insert(name.clone(), value.clone());
                        }
                    }
                    self.records.insert(*id, Told { seq: *seq, scopes: scopes.clone(), fields });
                }
                Operation::Acknowledged { id, seq, scopes } => {
                    let Some(known) = self.records.get_mut(id) else {
                        return broken(format!("{id} was acknowledged, which this device never had"));
                    };
                    (known.seq, known.scopes) = (*seq, scopes.clone());
                }
                Operation::Delete { id, .. } | Operation::Exit { id, .. } => drop(self.records.remove(id)),
                Operation::ScopeAdd { .. } => {}
                Operation::ScopeDrop { scope } => {
                    for told in self.records.values_mut() {
                        told.scopes.retain(|held| held != scope);
                    }
                    self.records.retain(|_, told| !told.scopes.is_empty());
                }
            }
        }
        Ok(())
    }

    /// Notes that this device has made a record itself, so that it may be acknowledged.
    pub fn note_own(&mut self, mutation: &Mutation, seq: Sequence) {
        let told = Told { seq, scopes: Vec::new(), fields: mutation.set.clone() };
        self.records.insert(mutation.record, told);
    }

    /// The next mutation of this device.
    pub fn mutation(
        &mut self,
        kind: MutationKind,
        entity: &str,
        record: RecordId,
        base: Sequence,
        set: &Value,
    ) -> Mutation {
        self.last += 1;
        let set = set.as_object().cloned().unwrap_or_default().into_iter().collect();
        Mutation {
            id: self.last,
            kind,
            entity: entity.to_owned(),
            record,
            base,
            set,
            ops: Vec::new(),
            group: None,
            depends_on: None,
            at_ms: machine::now_ms(),
            model: None,
        }
    }
}

/// A key of an answer.
pub fn read<T: serde::de::DeserializeOwned>(answer: &Value, key: &str) -> Result<T, Unmet> {
    match answer.as_object() {
        Some(answer) => read_in(answer, key),
        None => broken("the answer is no object"),
    }
}

fn read_in<T: serde::de::DeserializeOwned>(answer: &Map<String, Value>, key: &str) -> Result<T, Unmet> {
    let value = answer.get(key).cloned().unwrap_or_default();
    serde_json::from_value(value).or_else(|error| broken(format!("`{key}` cannot be read: {error}")))
}

/// The ids of the records that operations of one kind are about.
pub fn ids_of(operations: &[Operation], wanted: fn(&Operation) -> Option<RecordId>) -> BTreeSet<RecordId> {
    operations.iter().filter_map(wanted).collect()
}

/// The record of a `put`.
pub fn put(operation: &Operation) -> Option<RecordId> {
    match operation {
        Operation::Put { id, .. } => Some(*id),
        _ => None,
    }
}

/// The record of a `delete`.
pub fn delete(operation: &Operation) -> Option<RecordId> {
    match operation {
        Operation::Delete { id, .. } => Some(*id),
        _ => None,
    }
}

/// The record of an `exit`.
pub fn exit(operation: &Operation) -> Option<RecordId> {
    match operation {
        Operation::Exit { id, .. } => Some(*id),
        _ => None,
    }
}

/// The record of an `acknowledged`.
pub fn acknowledged(operation: &Operation) -> Option<RecordId> {
    match operation {
        Operation::Acknowledged { id, .. } => Some(*id),
        _ => None,
    }
}

/// The sequence that an operation carries.
pub fn seq_of(operation: &Operation) -> Option<Sequence> {
    match operation {
        Operation::Put { seq, .. }
        | Operation::Delete { seq, .. }
        | Operation::Exit { seq, .. }
        | Operation::Acknowledged { seq, .. } => Some(*seq),
        Operation::ScopeAdd { .. } | Operation::ScopeDrop { .. } => None,
    }
}
