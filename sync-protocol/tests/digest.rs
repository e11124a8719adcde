//! Digests, byte by byte and against arbitrary bytes; and a search among many records that finds the few that differ.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use sync_protocol::digest::{Hash, SetDigest, canonical, combine, deep_leaf, leaf};
use sync_protocol::engine::{Answer, Effect, Engine, Input, Settings};
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::store::{Batch, MemoryStore, Names, Store, StoreOp, look_up};
use sync_protocol::wire::{
    DigestRequest, DigestResponse, ExchangeResponse, Fields, Operation, RangeAnswer, ScopeDigest,
};
use uuid::Uuid;

#[derive(Deserialize)]
struct Vectors {
    leaves: Vec<LeafVector>,
    combined: Vec<CombinedVector>,
    canonical: Vec<(Value, String)>,
    requests: Vec<Value>,
    responses: Vec<Value>,
}

#[derive(Deserialize)]
struct LeafVector {
    id: RecordId,
    seq: Sequence,
    fields: Option<Fields>,
    leaf: Hash,
}

#[derive(Deserialize)]
struct CombinedVector {
    scopes: Vec<ScopeDigest>,
    digest: Hash,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/digest.json")).expect("the vectors are readable")
}

#[test]
fn leaves_and_digests_are_as_the_vectors_say() {
    let vectors = vectors();
    for LeafVector { id, seq, fields, leaf: expected } in vectors.leaves {
        let own = fields.map_or_else(|| leaf(id, seq), |fields| deep_leaf(id, seq, &fields));
        assert_eq!(own, expected, "{id} at {seq}: {own}");
    }
    for CombinedVector { scopes, digest } in vectors.combined {
        let own = combine(scopes.into_iter().map(|scope| (scope.scope, scope.digest)));
        assert_eq!(own, digest, "{own}");
    }
    for (value, expected) in vectors.canonical {
        assert_eq!(canonical(&value), expected);
    }
}

fn read_and_write<T: for<'de> Deserialize<'de> + Serialize>(value: &Value) -> Value {
    let read: T = serde_json::from_str(&value.to_string()).expect("the vector is readable");
    serde_json::to_value(read).expect("what was read can be written")
}

#[test]
fn golden_digest_requests_and_answers_are_read_and_written_without_a_difference() {
    for request in vectors().requests {
        assert_eq!(read_and_write::<DigestRequest>(&request), request);
    }
    for response in vectors().responses {
        assert_eq!(read_and_write::<DigestResponse>(&response), response);
    }
}

#[test]
fn the_order_of_changes_does_not_matter_and_a_record_that_leaves_takes_its_leaf_along() {
    let leaves: Vec<Hash> = (1..9).map(|seq| leaf(RecordId(Uuid::from_u128(u128::from(seq))), seq)).collect();
    let mut digest = SetDigest::of(leaves.iter().rev().copied());
    assert_eq!(digest, SetDigest::of(leaves.iter().copied()));
    for leaf in leaves {
        digest.remove(leaf);
    }
    assert_eq!(digest, SetDigest::default());
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_read_and_never_more(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(serde_json::from_slice::<DigestRequest>(&bytes));
        drop(serde_json::from_slice::<DigestResponse>(&bytes));
    }

    #[test]
    fn a_request_with_a_byte_changed_is_refused_or_read(at in 0_usize..4_000, byte in any::<u8>()) {
        for request in vectors().requests {
            let mut bytes = request.to_string().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            drop(serde_json::from_slice::<DigestRequest>(&bytes));
        }
    }

    #[test]
    fn of_many_records_only_those_that_differ_are_mended(
        count in 1_usize..3_000,
        damaged in proptest::collection::btree_set(any::<u16>(), 0..6),
    ) {
        find_and_mend(count, damaged.into_iter().map(usize::from).collect());
    }
}

/// A server that has everything in scope 1.
struct Everything(BTreeMap<Sequence, RecordId>);

impl Everything {
    fn put(&self, seq: Sequence) -> Operation {
        let (entity, scopes) = ("thing".to_owned(), vec![1]);
        Operation::Put { entity, id: self.0[&seq], seq, scopes, partial: false, set: Fields::new() }
    }

    fn answer(&self, request: &DigestRequest) -> DigestResponse {
        let mut operations = Vec::new();
        let mut ranges = Vec::new();
        for range in &request.ranges {
            let end = range.until.unwrap_or(Sequence::MAX);
            let own: Vec<(Sequence, Hash)> =
                self.0.range(range.after + 1..=end).map(|(seq, id)| (*seq, leaf(*id, *seq))).collect();
            ranges.push(match &range.records {
                None if SetDigest::of(own.iter().map(|(_, leaf)| *leaf)) == range.digest => RangeAnswer::Same,
                None => RangeAnswer::Differs,
                Some(listed) => {
                    let differ = own.iter().filter(|(_, leaf)| listed.iter().all(|(_, listed)| listed != leaf));
                    operations.extend(differ.map(|(seq, _)| self.put(*seq)));
                    RangeAnswer::Mended { until: None }
                }
            });
        }
        DigestResponse {
            protocol: 1,
            cursor: "mend".to_owned(),
            scopes: if request.scopes.is_some() { vec![1] } else { Vec::new() },
            ranges,
            operations: to_raw_value(&operations).expect("JSON"),
        }
    }

    fn exchange(&self) -> ExchangeResponse {
        let whole = SetDigest::of(self.0.iter().map(|(seq, id)| leaf(*id, *seq)));
        let answer = json!({
            "protocol": 1, "model": "m1", "outcomes": [], "operations": [], "cursor": "c2", "more": false,
            "head": self.0.len(), "server_time_ms": 0, "digest": combine([(1, whole)]),
        });
        serde_json::from_str(&answer.to_string()).expect("an answer")
    }
}

fn find_and_mend(count: usize, damaged: Vec<usize>) {
    let server = Everything((1..=count as u64).map(|seq| (seq, RecordId(Uuid::from_u128(u128::from(seq))))).collect());
    let mut store = MemoryStore::default();
    let operations = server.0.keys().map(|seq| server.put(*seq)).collect();
    let checkpoint = StoreOp::Checkpoint { cursor: "c1".to_owned(), sweep: true, at_ms: 0 };
    let model = StoreOp::Model { hash: "m1".to_owned(), names: Names::default() };
    store.commit(&Batch { ops: vec![model, StoreOp::Apply { operations }, checkpoint] }).expect("it fits");
    let whole: Vec<RecordId> = store.bases().map(|(id, _)| id).collect();
    let damaged: std::collections::BTreeSet<usize> = damaged.into_iter().map(|at| at % count).collect();
    for at in &damaged {
        let Ok(()) = store.remove_base(whole[*at]);
    }

    let mut engine = Engine::restore(store.saved(), Settings::default());
    let mut effects: std::collections::VecDeque<Effect> = engine.handle(0, Input::Start).into();
    let (mut asked, mut received) = (0, 0);
    while let Some(effect) = effects.pop_front() {
        let input = match effect {
            Effect::Send { exchange, .. } => {
                Input::Answered { exchange, answer: Answer::Response(Box::new(server.exchange())) }
            }
            Effect::Digest { exchange, request } => {
                asked += serde_json::to_vec(&request).expect("JSON").len();
                let answer = server.answer(&request);
                received += answer.operations.get().len();
                Input::Answered { exchange, answer: Answer::Digest(Box::new(answer)) }
            }
            Effect::LookUp { look, query } => Input::Found { look, found: look_up(&store, &query).ok() },
            Effect::Commit { commit, batch } => {
                store.commit(&batch).expect("it fits");
                Input::Committed { commit }
            }
            Effect::FetchModel { hash } => Input::ModelStored { hash, names: Names::default() },
            _ => continue,
        };
        effects.extend(engine.handle(0, input));
    }
    assert_eq!(store.bases().map(|(id, _)| id).collect::<Vec<_>>(), whole, "nothing is missing any more");
    assert!(received <= 200 * damaged.len() + 500, "{received} bytes for {} records", damaged.len());
    assert!(asked <= 14_000 * damaged.len() + 8_000, "{asked} bytes asked for {} records of {count}", damaged.len());
    assert_eq!(damaged.is_empty(), asked == 0, "what is right is not asked about");
}
