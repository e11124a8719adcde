//! The search for what differs between a device and the server, as the specification describes it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::digest::{Hash, SetDigest, leaf};
use sync_protocol::id::{RecordId, ScopeId, Sequence};
use sync_protocol::wire::{
    DigestRange, MAX_RANGES_PER_DIGEST, MAX_RECORDS_PER_DIGEST, Operation, RangeAnswer, ScopeDigest,
};

use crate::check::{Unmet, broken, ensure};
use crate::phone::{Phone, Told};

/// Where digests are compared.
pub const DIGEST: &str = "/sync/v1/digest";

/// Ranges of at most so many records are listed.
const LISTED: usize = 128;
/// More requests than this are no progress.
const MOST_REQUESTS: u32 = 1_000;

/// An answer to a digest request.
#[derive(Debug, Deserialize)]
pub struct Compared {
    /// For the next request.
    pub cursor: String,
    /// Scopes that differ.
    #[serde(default)]
    pub scopes: Vec<ScopeId>,
    /// Of the first ranges.
    #[serde(default)]
    pub ranges: Vec<RangeAnswer>,
    /// What mends the listed ones.
    pub operations: Vec<Operation>,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// In the order told.
    pub operations: Vec<Operation>,
    /// How many it took.
    pub requests: u32,
}

/// Sends a digest request; version and budget are added.
pub fn ask(phone: &Phone, request: &Value) -> Result<Compared, Unmet> {
    let mut request = request.clone();
    request["protocol"] = json!(PROTOCOL_VERSION);
    request["limit_bytes"] = json!(1 << 20);
    let answer = phone.post(DIGEST, &request)?.ok()?;
    serde_json::from_value(answer).or_else(|error| broken(format!("the answer to a digest cannot be read: {error}")))
}

/// The scopes that have records, ascending.
pub fn scopes_of(records: &BTreeMap<RecordId, Told>) -> Vec<ScopeId> {
    let mut scopes: Vec<ScopeId> = records.values().flat_map(|told| told.scopes.iter().copied()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// A scope's records by sequence, each with its leaf.
pub fn leaves(records: &BTreeMap<RecordId, Told>, scope: ScopeId) -> Vec<(Sequence, RecordId, Hash)> {
    let inside = records.iter().filter(|(_, told)| told.scopes.contains(&scope));
    let mut leaves: Vec<_> = inside.map(|(id, told)| (told.seq, *id, leaf(*id, told.seq))).collect();
    leaves.sort_unstable();
    leaves
}

/// Count and hash of a scope.
pub fn weighed(records: &BTreeMap<RecordId, Told>, scope: ScopeId) -> SetDigest {
    SetDigest::of(leaves(records, scope).into_iter().map(|(.., leaf)| leaf))
}

/// A part of a scope that is still to be compared.
#[derive(Clone, Copy, Debug)]
struct Part {
    scope: ScopeId,
    after: Sequence,
    until: Option<Sequence>,
}

impl Part {
    fn leaves(self, phone: &Phone) -> Vec<(Sequence, RecordId, Hash)> {
        let mut all = leaves(&phone.records, self.scope);
        all.retain(|(seq, ..)| *seq > self.after && self.until.is_none_or(|until| *seq <= until));
        all
    }

    /// As it is asked; with its records where they are few.
    fn range(self, phone: &Phone) -> DigestRange {
        let leaves = self.leaves(phone);
        let digest = SetDigest::of(leaves.iter().map(|(.., leaf)| *leaf));
        let records = (leaves.len() <= LISTED).then(|| leaves.iter().map(|(_, id, leaf)| (*id, *leaf)).collect());
        DigestRange { scope: self.scope, after: self.after, until: self.until, digest, records }
    }

    fn halves(self, phone: &Phone) -> Result<[Self; 2], Unmet> {
        let leaves = self.leaves(phone);
        match leaves.get((leaves.len() / 2).wrapping_sub(1)) {
            Some((middle, ..)) if leaves.len() > LISTED => {
                Ok([Self { until: Some(*middle), ..self }, Self { after: *middle, ..self }])
            }
            _ => broken("a listed range was answered with `differs`"),
        }
    }
}

/// Finds what the device has otherwise, mends it, and leaves the cursor from which to exchange on.
pub fn search(phone: &mut Phone) -> Result<Found, Unmet> {
    let claim = |scope| ScopeDigest { scope, digest: weighed(&phone.records, scope) };
    let scopes: Vec<ScopeDigest> = scopes_of(&phone.records).into_iter().map(claim).collect();
    let first = ask(phone, &json!({"cursor": phone.cursor, "why": "digest", "scopes": scopes}))?;
    let mut found = Found { operations: first.operations, requests: 1 };
    let cursor = first.cursor;
    let mut open: Vec<Part> = first.scopes.iter().map(|scope| Part { scope: *scope, after: 0, until: None }).collect();
    while !open.is_empty() && found.requests < MOST_REQUESTS {
        let mut ranges: Vec<DigestRange> = Vec::new();
        let mut listed = 0;
        for range in open.iter().take(MAX_RANGES_PER_DIGEST).map(|part| part.range(phone)) {
            listed += range.records.as_ref().map_or(0, Vec::len);
            if listed > MAX_RECORDS_PER_DIGEST {
                break;
            }
            ranges.push(range);
        }
        let answer = ask(phone, &json!({"cursor": cursor, "ranges": ranges}))?;
        found.requests += 1;
        if answer.cursor != cursor {
            return Err(Unmet::Unchecked("the server changed while the search was under way".into()));
        }
        let states = answer.ranges.len();
        ensure((1..=ranges.len()).contains(&states), || format!("{} ranges have {states} states", ranges.len()))?;
        let mut next = Vec::new();
        for (part, state) in open.drain(..states).zip(&answer.ranges) {
            match state {
                RangeAnswer::Same | RangeAnswer::Mended { until: None } => {}
                RangeAnswer::Mended { until: Some(until) } => next.push(Part { after: *until, ..part }),
                RangeAnswer::Differs => next.extend(part.halves(phone)?),
            }
        }
        next.append(&mut open);
        open = next;
        phone.take(&answer.operations)?;
        found.operations.extend(answer.operations);
    }
    ensure(open.is_empty(), || format!("after {MOST_REQUESTS} requests there are still ranges that differ"))?;
    phone.cursor = Some(cursor);
    Ok(found)
}
