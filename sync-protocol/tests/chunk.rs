//! Chunks: the bytes that a server writes are those that the specification says, whatever a device reads it understands
//! or refuses, and a store takes of them what is news.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::store::{ApplyError, BaseRecord, Batch, LayOver, MemoryStore, StoreOp};
use sync_protocol::wire::chunk::{Chunk, ChunkError, ChunkHash, ChunkWriter, MAX_CHUNK_BYTES};
use sync_protocol::wire::{ChunksRequest, Fields, ManifestRequest, ManifestResponse, MutationKind, Operation};
use uuid::Uuid;

type Records = BTreeMap<RecordId, (Sequence, Fields)>;

fn write(scope: u32, records: &Records) -> Vec<u8> {
    let mut writer = ChunkWriter::new(scope, "thing");
    for (id, (seq, fields)) in records {
        let body = serde_json::to_string(fields).expect("fields are JSON");
        writer.push(*id, *seq, &body, |_| true).expect("fields are an object");
    }
    writer.finish()
}

fn read(bytes: &[u8]) -> Result<Records, ChunkError> {
    let chunk = Chunk::read(bytes)?;
    chunk.rows().map(|row| Ok((row.id, (row.seq, row.fields()?)))).collect()
}

fn vector() -> Value {
    serde_json::from_str(include_str!("../vectors/snapshot.json")).expect("a vector is JSON")
}

fn vector_records(vector: &Value) -> Records {
    let records = vector["records"].as_array().expect("records");
    let record = |record: &Value| {
        let set: Fields = serde_json::from_value(record["set"].clone()).expect("fields");
        let id = serde_json::from_value(record["id"].clone()).expect("an id");
        (id, (record["seq"].as_u64().expect("a sequence"), set))
    };
    records.iter().map(record).collect()
}

#[test]
fn the_golden_chunk_is_written_and_read_without_a_difference() {
    let vector = vector();
    let manifest: ManifestResponse =
        serde_json::from_value(vector["manifest"]["response"].clone()).expect("a manifest");
    assert_eq!(serde_json::to_value(&manifest).expect("JSON"), vector["manifest"]["response"]);
    let request: ManifestRequest = serde_json::from_value(vector["manifest"]["request"].clone()).expect("a request");
    assert_eq!(serde_json::to_value(request).expect("JSON"), vector["manifest"]["request"]);
    let request: ChunksRequest = serde_json::from_value(vector["chunks_request"].clone()).expect("a request");
    let entry = &manifest.chunks[0];
    assert_eq!(request.chunks, [entry.hash]);

    let bytes = vector["chunk"].as_str().expect("a line").as_bytes();
    assert_eq!(ChunkHash::of(bytes), entry.hash);
    assert_eq!(bytes.len() as u64, entry.bytes);
    let records = vector_records(&vector);
    assert_eq!(read(bytes).expect("a chunk"), records);
    let mut writer = ChunkWriter::new(entry.scope, &entry.entity);
    for (id, (seq, fields)) in &records {
        writer.push(*id, *seq, &json!(fields).to_string(), |_| true).expect("an object");
    }
    assert_eq!(String::from_utf8(writer.finish()).expect("text"), vector["chunk"]);
}

#[test]
fn unknown_keys_of_a_chunk_are_skipped() {
    let text = r#"{"columns":{},"entity":"thing","ids":[],"later":{"x":[1]},"scope":1,"seqs":[]}"#;
    assert!(Chunk::read(text.as_bytes()).expect("a chunk").is_empty());
}

#[test]
fn fields_that_a_projection_hides_are_nowhere_in_the_bytes() {
    let mut writer = ChunkWriter::new(1, "thing");
    writer.push(id(1), 4, r#"{"cost":771301,"name":"Ana"}"#, |field| field != "cost").expect("an object");
    let text = String::from_utf8(writer.finish()).expect("text");
    assert!(text.contains("Ana") && !text.contains("cost") && !text.contains("771301"), "{text}");
}

#[test]
fn what_is_wrong_with_a_chunk_is_said() {
    let one = "\"00000000-0000-0000-0000-000000000001\"";
    let chunk = |columns: &str, ids: &str, seqs: &str| {
        format!(r#"{{"columns":{columns},"entity":"thing","ids":[{ids}],"scope":1,"seqs":[{seqs}]}}"#)
    };
    let refused = |text: String| Chunk::read(text.as_bytes()).expect_err("no chunk").to_string();
    let uneven = refused(chunk(r#"{"name":["Ana","Eva"]}"#, one, "7"));
    insta::assert_snapshot!(uneven, @"`name` has 2 values for 1 ids");
    insta::assert_snapshot!(refused(chunk("{}", one, "")), @"`seqs` has 0 values for 1 ids");
    let twice = refused(chunk("{}", &format!("{one},{one}"), "7,1"));
    insta::assert_snapshot!(twice, @"record 00000000-0000-0000-0000-000000000001 does not come after the one before it");
    for out_of_range in ["0", "-4", "9223372036854775808"] {
        assert!(Chunk::read(chunk("{}", one, out_of_range).as_bytes()).is_err(), "{out_of_range}");
    }
    let large = vec![b' '; MAX_CHUNK_BYTES + 1];
    assert_eq!(Chunk::read(&large).expect_err("too large"), ChunkError::TooLarge { bytes: large.len() });
}

fn fields() -> impl Strategy<Value = Fields> {
    let value = prop_oneof![
        any::<i32>().prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
        any::<bool>().prop_map(|answer| json!(answer)),
        vec(any::<String>(), 0..3).prop_map(|words| json!(words)),
        (any::<String>(), any::<i32>()).prop_map(|(key, number)| json!({ key: number, "null": null })),
    ];
    btree_map("[a-e]|[\"\\\\é]", value, 0..5)
}

fn records() -> impl Strategy<Value = Records> {
    let record = (1_u64..1_000_000, fields());
    btree_map(any::<u128>().prop_map(|number| RecordId(Uuid::from_u128(number))), record, 0..20)
}

proptest! {
    #[test]
    fn what_is_written_is_read(scope in any::<u32>(), records in records()) {
        let bytes = write(scope, &records);
        prop_assert_eq!(read(&bytes).expect("our own chunk"), records.clone());
        let chunk = Chunk::read(&bytes).expect("our own chunk");
        prop_assert_eq!((chunk.scope, chunk.entity.as_ref(), chunk.len()), (scope, "thing", records.len()));
        let end = bytes.iter().position(|byte| *byte == b'\n');
        prop_assert_eq!(end, Some(bytes.len() - 1), "a chunk is one line");
    }

    #[test]
    fn the_same_records_have_the_same_name(records in records()) {
        prop_assert_eq!(ChunkHash::of(&write(1, &records)), ChunkHash::of(&write(1, &records)));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_damaged_chunk_makes_no_reader_panic(records in records(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = write(3, &records);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes);
        // Without its line feed alone it is still whole.
        bytes.truncate(at.min(bytes.len() - 2));
        prop_assert!(read(&bytes).is_err(), "a part of a chunk is none");
    }
}

fn id(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

fn named(name: &str) -> Fields {
    Fields::from([("name".to_owned(), json!(name))])
}

fn chunk_op(scope: u32, id: RecordId, seq: Sequence, name: &str) -> StoreOp {
    let bytes: Arc<[u8]> = write(scope, &Records::from([(id, (seq, named(name)))])).into();
    StoreOp::Chunk { hash: ChunkHash::of(&bytes), bytes }
}

fn commit(store: &mut MemoryStore, ops: Vec<StoreOp>) {
    store.commit(&Batch { ops }).expect("the batch fits the store");
}

fn base(store: &MemoryStore, id: RecordId) -> BaseRecord {
    let found = store.bases().find(|(known, _)| *known == id);
    found.expect("the record is there").1.clone()
}

#[test]
fn a_record_of_several_chunks_stands_in_the_scopes_of_all_at_its_latest_state() {
    let (old, new) = (chunk_op(3, id(1), 5, "Ana"), chunk_op(8, id(1), 9, "Eva"));
    for ops in [vec![old.clone(), new.clone()], vec![new, old]] {
        let mut store = MemoryStore::default();
        commit(&mut store, ops);
        let record = base(&store, id(1));
        assert_eq!((record.seq, record.scopes, record.fields), (9, vec![3, 8], named("Eva")));
    }
}

#[test]
fn what_an_earlier_run_left_gives_way_to_a_chunk() {
    let mut store = MemoryStore::default();
    let hidden_since = Fields::from([("cost".to_owned(), json!(1)), ("name".to_owned(), json!("Ana"))]);
    let put = Operation::Put {
        entity: "thing".to_owned(),
        id: id(1),
        seq: 20,
        scopes: vec![1],
        partial: false,
        set: hidden_since,
    };
    let checkpoint = StoreOp::Checkpoint { cursor: "c".to_owned(), sweep: true, at_ms: 0 };
    commit(&mut store, vec![StoreOp::Apply { operations: vec![put] }, checkpoint, StoreOp::Reset]);
    commit(&mut store, vec![chunk_op(3, id(1), 5, "Eva")]);
    let record = base(&store, id(1));
    assert_eq!((record.seq, record.scopes, record.fields), (5, vec![3], named("Eva")));
}

#[test]
fn a_chunk_cut_before_an_outcome_does_not_undo_it() {
    let mut store = MemoryStore::default();
    let outcome = |record, kind| {
        let (entity, ops, server) = ("thing".to_owned(), Vec::new(), Fields::new());
        StoreOp::LayOver(LayOver { kind, entity, record, set: named("Mine"), ops, server, seq: 9 })
    };
    commit(&mut store, vec![chunk_op(3, id(1), 5, "Ana"), chunk_op(3, id(2), 6, "Bea")]);
    commit(&mut store, vec![outcome(id(1), MutationKind::Update), outcome(id(2), MutationKind::Delete)]);
    commit(&mut store, vec![chunk_op(8, id(1), 5, "Ana"), chunk_op(8, id(2), 6, "Bea")]);
    assert_eq!(base(&store, id(1)).fields, named("Mine"));
    assert_eq!(store.bases().count(), 1, "what was deleted stays away");
}

#[test]
fn bytes_that_are_no_chunk_change_nothing() {
    let mut store = MemoryStore::default();
    let bytes: Arc<[u8]> = b"{}".to_vec().into();
    let broken = StoreOp::Chunk { hash: ChunkHash::of(&bytes), bytes };
    let result = store.commit(&Batch { ops: vec![chunk_op(3, id(1), 5, "Ana"), broken] });
    assert!(matches!(result, Err(ApplyError::Chunk(ChunkError::Malformed { .. }))), "{result:?}");
    assert_eq!(store.bases().count(), 0);
}
