//! The least server that keeps the protocol's promises: one user with one device, other writers, scopes by place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::cursor::{Cursor, CursorKey};
use sync_protocol::id::{MutationId, RecordId, ScopeId, Sequence, TenantId};
use sync_protocol::merge::{Class, Decision, apply_operation, is_clean, merge_set};
use sync_protocol::wire::{
    ExchangeRequest, ExchangeResponse, Fields, MendReason, Mutation, MutationKind, Operation, Outcome, Problem, Reason,
    Verdict,
};
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(7));

#[derive(Clone, Debug)]
pub struct Row {
    pub seq: Sequence,
    pub fields: Fields,
    /// When each field last changed, and whether the device did it.
    field_seq: BTreeMap<String, (Sequence, bool)>,
    created: (Sequence, bool),
    own_seq: Sequence,
    /// Where it stands, and since when.
    pub scopes: BTreeMap<ScopeId, Sequence>,
    left: BTreeMap<ScopeId, Sequence>,
}

#[derive(Clone, Debug)]
pub struct Server {
    head: Sequence,
    /// Grows with every restore.
    pub epoch: u64,
    /// What left up to here is forgotten.
    pub horizon: Sequence,
    pub rows: BTreeMap<RecordId, Row>,
    tombstones: BTreeMap<RecordId, Sequence>,
    pub held: BTreeSet<ScopeId>,
    last: MutationId,
    pub outcomes: BTreeMap<MutationId, Outcome>,
    pub decided: BTreeMap<MutationId, Mutation>,
    pub key: u8,
    pub defers: bool,
    page: usize,
}

/// What a record is to be at a checkpoint: its sequence, its held scopes, its fields.
pub type Snapshot = BTreeMap<RecordId, (Sequence, Vec<ScopeId>, Fields)>;

impl Server {
    pub fn new(page: usize) -> Self {
        Self {
            head: 0,
            epoch: 1,
            horizon: 0,
            rows: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            held: BTreeSet::from([1, 2]),
            last: 0,
            outcomes: BTreeMap::new(),
            decided: BTreeMap::new(),
            key: 1,
            defers: false,
            page,
        }
    }

    /// Decides the mutations, then cuts a page: never the other way round.
    pub fn exchange(&mut self, request: &ExchangeRequest) -> Result<ExchangeResponse, Box<Problem>> {
        let cursor = match &request.cursor {
            None => Cursor {
                epoch: self.epoch,
                seq: self.head,
                from: 0,
                scopes: Vec::new(),
                backfill: Vec::new(),
                first_sync: false,
                view: 0,
                gaining: None,
            },
            Some(text) => self.open(text)?,
        };
        let first_new = request.mutations.iter().find(|mutation| mutation.id > self.last);
        if first_new.is_some_and(|mutation| mutation.id != self.last + 1) {
            let mut gap = problem("mutation-gap", 409);
            gap.extra.insert("expected".to_owned(), json!(self.last + 1));
            return Err(gap);
        }
        let outcomes: Vec<Outcome> = request.mutations.iter().map(|mutation| self.answer(mutation)).collect();
        self.outcomes.retain(|id, _| *id > request.acknowledged);
        let why = if cursor.epoch == self.epoch {
            (cursor.seq < self.horizon).then_some(MendReason::Horizon)
        } else {
            Some(MendReason::Epoch)
        };
        let (operations, next, more) = if why.is_some() { (Vec::new(), cursor, true) } else { self.cut(cursor) };
        Ok(ExchangeResponse {
            protocol: PROTOCOL_VERSION,
            model: "m1".to_owned(),
            outcomes,
            operations: to_raw_value(&operations).expect("operations are JSON"),
            cursor: self.seal(&next),
            more,
            head: self.head,
            orders: Vec::new(),
            server_time_ms: 0,
            digest: (!more).then(|| self.combined()),
            mend: why,
            expected: Some(self.last + 1),
            safe: None,
        })
    }

    pub fn open(&self, text: &str) -> Result<Cursor, Box<Problem>> {
        let key = CursorKey::new([self.key; 32]);
        Cursor::open(text, &key, TENANT).map_err(|_| problem("cursor-forged", 400))
    }

    /// Whether it can tell what happened since the cursor.
    pub fn has_news_from(&self, cursor: &Cursor) -> bool {
        cursor.epoch == self.epoch && cursor.seq >= self.horizon
    }

    pub fn seal(&self, cursor: &Cursor) -> String {
        cursor.seal(&CursorKey::new([self.key; 32]), TENANT)
    }

    pub fn head(&self) -> Sequence {
        self.head
    }

    pub fn is_deferring(&self) -> bool {
        self.outcomes.values().any(|outcome| outcome.verdict == Verdict::Deferred)
    }

    pub fn page(&self) -> usize {
        self.page
    }

    /// Becomes what it was when `backup` was made, and says so.
    pub fn restore(&mut self, backup: &Self) {
        let (epoch, held, key) = (self.epoch + 1, self.held.clone(), self.key);
        *self = Self { epoch, held, key, head: backup.head + (1 << 32), ..backup.clone() };
    }

    /// Forgets what left until now.
    pub fn compact(&mut self) {
        self.horizon = self.head;
        self.tombstones.clear();
        self.rows.values_mut().for_each(|row| row.left.clear());
    }

    pub fn snapshot(&self) -> Snapshot {
        let visible = self.rows.iter().filter(|(_, row)| self.is_visible(row));
        visible.map(|(id, row)| (*id, (row.seq, self.held_scopes(row), row.fields.clone()))).collect()
    }

    fn is_visible(&self, row: &Row) -> bool {
        row.scopes.keys().any(|scope| self.held.contains(scope))
    }

    fn held_scopes(&self, row: &Row) -> Vec<ScopeId> {
        row.scopes.keys().copied().filter(|scope| self.held.contains(scope)).collect()
    }

    fn answer(&mut self, mutation: &Mutation) -> Outcome {
        if let Some(known) = self.outcomes.get(&mutation.id)
            && known.verdict != Verdict::Deferred
        {
            assert_eq!(self.decided.get(&mutation.id), Some(mutation), "a mutation never changes once it was sent");
            return known.clone();
        }
        assert!(!self.decided.contains_key(&mutation.id), "an acknowledged mutation came again: {}", mutation.id);
        let depends = mutation.depends_on.and_then(|id| self.outcomes.get(&id)).map(|outcome| outcome.verdict);
        let outcome = if self.defers || depends == Some(Verdict::Deferred) {
            Outcome { verdict: Verdict::Deferred, ..rejected(mutation, "busy", 0) }
        } else if depends == Some(Verdict::Rejected) {
            rejected(mutation, "dependency-rejected", 0)
        } else {
            self.write(mutation, true)
        };
        self.last = self.last.max(mutation.id);
        if outcome.verdict != Verdict::Deferred {
            self.decided.insert(mutation.id, mutation.clone());
        }
        self.outcomes.insert(mutation.id, outcome.clone());
        outcome
    }

    /// Decides one mutation, of the device or of somebody else.
    pub fn write(&mut self, mutation: &Mutation, is_own: bool) -> Outcome {
        if mutation.is_void() {
            return rejected(mutation, "unknown-entity", 0);
        }
        let seq = self.head + 1;
        let id = mutation.record;
        match (mutation.kind, self.rows.get(&id)) {
            (MutationKind::Create, None) => {
                let row = Row {
                    seq,
                    fields: Fields::new(),
                    field_seq: BTreeMap::new(),
                    created: (seq, is_own),
                    own_seq: 0,
                    scopes: BTreeMap::new(),
                    left: BTreeMap::new(),
                };
                self.change(mutation, row, is_own)
            }
            (MutationKind::Create, Some(row)) => rejected(mutation, "already-exists", row.seq),
            (_, None) => rejected(mutation, "not-found", 0),
            (_, Some(row)) if is_own && !self.is_visible(row) => rejected(mutation, "forbidden", row.seq),
            (MutationKind::Delete, Some(_)) => {
                self.head = seq;
                self.rows.remove(&id);
                self.tombstones.insert(id, seq);
                applied(mutation, seq)
            }
            (MutationKind::Update, Some(row)) => {
                let row = row.clone();
                self.change(mutation, row, is_own)
            }
        }
    }

    fn change(&mut self, mutation: &Mutation, mut row: Row, is_own: bool) -> Outcome {
        let seq = self.head + 1;
        let mut changed = Fields::new();
        let mut server = Fields::new();
        let mut verdict = Verdict::Applied;
        for (field, value) in &mutation.set {
            let clean = row.is_clean(field, is_own, mutation.base);
            let decision = merge_set(class(field), row.fields.get(field), value, clean);
            let standing = decision.standing(row.fields.get(field), value);
            match decision {
                Decision::Same => {}
                Decision::Take => drop(changed.insert(field.clone(), standing)),
                Decision::Combine(_) => {
                    verdict = Verdict::Merged;
                    server.insert(field.clone(), standing.clone());
                    changed.insert(field.clone(), standing);
                }
                Decision::Keep => {
                    verdict = Verdict::Merged;
                    server.insert(field.clone(), standing);
                }
                Decision::Conflict | Decision::Refuse => {
                    let server = Fields::from([(field.clone(), standing)]);
                    return Outcome { server, ..rejected(mutation, "conflict", row.seq) };
                }
            }
        }
        for operation in &mutation.ops {
            let field = operation.field();
            let value = apply_operation(class(field), row.fields.get(field), operation).expect("the field's operation");
            if !row.is_clean(field, is_own, mutation.base) {
                server.insert(field.to_owned(), value.clone());
            }
            changed.insert(field.to_owned(), value);
        }
        if let Some(name) = changed.get("name") {
            let title = json!(format!("title of {name}"));
            server.insert("title".to_owned(), title.clone());
            changed.insert("title".to_owned(), title);
        }
        if changed.is_empty() && mutation.kind == MutationKind::Update {
            return Outcome { verdict, server, ..applied(mutation, row.seq) };
        }
        row.take(changed, seq, is_own);
        self.head = seq;
        self.rows.insert(mutation.record, row);
        Outcome { verdict, server, ..applied(mutation, seq) }
    }

    /// A page: dropped and new scopes, then what changed after the cursor, then a piece of the backfills. A backfill
    /// ends only in a page whose main position is the head, so that no record slips from one into the other.
    pub fn cut(&self, mut cursor: Cursor) -> (Vec<Operation>, Cursor, bool) {
        let mut page = Vec::new();
        for scope in cursor.scopes.iter().filter(|scope| !self.held.contains(scope)) {
            page.push(Operation::ScopeDrop { scope: *scope });
            // What came to stand there since the last consistent point was to be told from there, and what it left then
            // was passed over: the news begin again.
            cursor.seq = cursor.from;
        }
        for scope in self.held.iter().filter(|scope| !cursor.scopes.contains(scope)) {
            page.push(Operation::ScopeAdd { scope: *scope });
            cursor.backfill.push((*scope, 0));
            // Of a record in a scope that is still arriving, nothing is known of what the device has.
            cursor.from = 0;
        }
        cursor.backfill.retain(|(scope, _)| self.held.contains(scope));
        let known_scopes: Vec<ScopeId> =
            cursor.scopes.iter().copied().filter(|scope| self.held.contains(scope)).collect();
        cursor.scopes = self.held.iter().copied().collect();

        let mut main = self.changes(&cursor, &known_scopes);
        main.sort_by_key(|(seq, _)| *seq);
        if main.len() > self.page {
            main.truncate(self.page);
            cursor.seq = main.last().map_or(cursor.seq, |(seq, _)| *seq);
            page.extend(main.into_iter().map(|(_, operation)| operation));
            return (page, cursor, true);
        }
        cursor.seq = self.head;
        let mut room = self.page - main.len();
        page.extend(main.into_iter().map(|(_, operation)| operation));
        while let Some((scope, from)) = cursor.backfill.first().copied() {
            let standing = self.rows.iter().filter(|(_, row)| row.scopes.contains_key(&scope) && row.seq > from);
            let mut rows: Vec<(&RecordId, &Row)> = standing.collect();
            rows.sort_by_key(|(_, row)| row.seq);
            let is_last = rows.len() <= room;
            rows.truncate(room);
            room -= rows.len();
            let reached = rows.last().map_or(from, |(_, row)| row.seq);
            page.extend(rows.into_iter().map(|(id, row)| self.put(*id, row, None)));
            if !is_last {
                cursor.backfill[0].1 = reached;
                return (page, cursor, true);
            }
            cursor.backfill.remove(0);
        }
        cursor.from = cursor.seq;
        (page, cursor, false)
    }

    fn changes(&self, cursor: &Cursor, known_scopes: &[ScopeId]) -> Vec<(Sequence, Operation)> {
        let mut changes = Vec::new();
        for (id, seq) in self.tombstones.iter().filter(|(_, seq)| **seq > cursor.seq) {
            changes.push((*seq, Operation::Delete { id: *id, seq: *seq }));
        }
        for (id, row) in self.rows.iter().filter(|(_, row)| row.seq > cursor.seq) {
            if self.is_visible(row) {
                let is_arrived = |scope: &ScopeId| {
                    known_scopes.contains(scope) && cursor.backfill.iter().all(|(arriving, _)| arriving != scope)
                };
                let is_known = row.scopes.iter().any(|(scope, entered)| {
                    is_arrived(scope)
                        && (*entered <= cursor.from
                            || (row.created == (*entered, true) && *entered > cursor.seq && cursor.backfill.is_empty()))
                });
                changes.push((row.seq, self.put(*id, row, is_known.then_some(cursor.from))));
            } else {
                let left = row.left.iter().filter(|(scope, _)| known_scopes.contains(scope)).map(|(_, seq)| *seq);
                let seq = left.chain([row.own_seq]).max().unwrap_or(0);
                if seq > cursor.seq {
                    changes.push((seq, Operation::Exit { id: *id, seq }));
                }
            }
        }
        changes
    }

    /// The whole record, or what others changed in it after `since`.
    pub fn put(&self, id: RecordId, row: &Row, since: Option<Sequence>) -> Operation {
        let (seq, scopes) = (row.seq, self.held_scopes(row));
        let Some(since) = since else {
            let set = row.fields.clone();
            return Operation::Put { entity: "thing".to_owned(), id, seq, scopes, partial: false, set };
        };
        let news = row.field_seq.iter().filter(|(_, (seq, is_own))| *seq > since && !is_own);
        let set: Fields =
            news.map(|(field, _)| (field.clone(), row.fields.get(field).cloned().unwrap_or(Value::Null))).collect();
        if set.is_empty() {
            Operation::Acknowledged { id, seq, scopes }
        } else {
            Operation::Put { entity: "thing".to_owned(), id, seq, scopes, partial: true, set }
        }
    }
}

impl Row {
    fn is_clean(&self, field: &str, is_own: bool, base: Sequence) -> bool {
        self.field_seq.get(field).is_none_or(|(seq, by_device)| is_clean(*seq, *by_device && is_own, base))
    }

    fn take(&mut self, changed: Fields, seq: Sequence, is_own: bool) {
        self.seq = seq;
        if is_own {
            self.own_seq = seq;
        }
        for (field, value) in changed {
            self.field_seq.insert(field.clone(), (seq, is_own));
            if value.is_null() {
                self.fields.remove(&field);
            } else {
                self.fields.insert(field, value);
            }
        }
        // A record stands where its place says, and on odd places in scope 9 too, which nobody holds.
        let place = self.fields.get("place").and_then(Value::as_u64).unwrap_or(0);
        let place = ScopeId::try_from(place).expect("places are small");
        let stands: BTreeSet<ScopeId> = if place % 2 == 1 { [place, 9].into() } else { [place].into() };
        for scope in self.scopes.keys().filter(|scope| !stands.contains(scope)) {
            self.left.insert(*scope, seq);
        }
        self.scopes.retain(|scope, _| stands.contains(scope));
        for scope in stands {
            self.scopes.entry(scope).or_insert(seq);
        }
    }
}

fn class(field: &str) -> Class {
    match field {
        "stage" => Class::Guarded,
        "top" => Class::Max,
        "visits" => Class::Counter,
        "tags" => Class::Set,
        "journal" => Class::Append,
        "title" => Class::Derived,
        _ => Class::Lww,
    }
}

fn applied(mutation: &Mutation, seq: Sequence) -> Outcome {
    Outcome { mutation: mutation.id, verdict: Verdict::Applied, seq, reason: None, server: Fields::new() }
}

fn rejected(mutation: &Mutation, code: &str, seq: Sequence) -> Outcome {
    let reason = Reason { code: code.to_owned(), message: String::new(), fields: Vec::new() };
    Outcome { verdict: Verdict::Rejected, reason: Some(reason), ..applied(mutation, seq) }
}

pub fn problem(code: &str, status: u16) -> Box<Problem> {
    Box::new(Problem {
        kind: format!("urn:cartera:problem:{code}"),
        code: code.to_owned(),
        title: code.to_owned(),
        status,
        detail: None,
        fields: Vec::new(),
        extra: Map::new(),
    })
}
