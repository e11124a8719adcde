//! The device's file and the store in memory are one store: any batches leave both with the same records, the same
//! outbox and the same position, and a batch that fails leaves the file as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use cartera_client::storage::{DeviceStore, Home};
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, Attention, Batch, LayOver, MemoryStore, StoreOp};
use sync_protocol::wire::chunk::{ChunkHash, ChunkWriter};
use sync_protocol::wire::{FieldOperation, Fields, Mutation, MutationKind, Operation, Outcome, Verdict};
use uuid::Uuid;

const RECORDS: u128 = 6;
const SCOPES: u32 = 3;

fn id(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

fn entity_of(number: u128) -> String {
    if number.is_multiple_of(2) { "account".into() } else { "contact".into() }
}

fn some_record() -> impl Strategy<Value = u128> {
    1..=RECORDS
}

fn some_fields() -> impl Strategy<Value = Fields> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(|number| json!(number)),
        "[a-zñÁ ]{0,8}".prop_map(|text| json!(text)),
        Just(json!(["a", "b"])),
    ];
    prop::collection::btree_map("[a-d]", value, 0..4)
}

/// A record's fields never hold `null`.
fn some_whole() -> impl Strategy<Value = Fields> {
    some_fields().prop_map(|fields| fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

fn some_scopes() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::btree_set(1..=SCOPES, 0..3).prop_map(|scopes: BTreeSet<u32>| scopes.into_iter().collect())
}

fn some_operation() -> impl Strategy<Value = Operation> {
    let put = (some_record(), 1..50_u64, some_scopes(), any::<bool>(), some_fields(), some_whole()).prop_map(
        |(record, seq, scopes, partial, changed, whole)| Operation::Put {
            entity: entity_of(record),
            id: id(record),
            seq,
            scopes,
            partial,
            set: if partial { changed } else { whole },
        },
    );
    prop_oneof![
        6 => put,
        1 => (some_record(), 1..50_u64).prop_map(|(record, seq)| Operation::Delete { id: id(record), seq }),
        1 => (some_record(), 1..50_u64).prop_map(|(record, seq)| Operation::Exit { id: id(record), seq }),
        1 => (1..=SCOPES).prop_map(|scope| Operation::ScopeDrop { scope }),
        1 => (1..=SCOPES).prop_map(|scope| Operation::ScopeAdd { scope }),
        1 => (some_record(), 1..50_u64, some_scopes())
            .prop_map(|(record, seq, scopes)| Operation::Acknowledged { id: id(record), seq, scopes }),
    ]
}

fn some_kind() -> impl Strategy<Value = MutationKind> {
    prop_oneof![Just(MutationKind::Create), Just(MutationKind::Update), Just(MutationKind::Delete)]
}

fn mutation(number: u64, record: u128, kind: MutationKind, set: Fields) -> Mutation {
    let ops = vec![FieldOperation::Increment { field: "n".into(), by: 2 }];
    Mutation {
        id: number,
        kind,
        entity: entity_of(record),
        record: id(record),
        base: 0,
        set,
        ops,
        group: None,
        depends_on: None,
        at_ms: 0,
        model: None,
    }
}

fn some_step() -> impl Strategy<Value = StoreOp> {
    let operations = || prop::collection::vec(some_operation(), 0..6);
    prop_oneof![
        3 => (some_record(), some_kind(), some_fields())
            .prop_map(|(record, kind, set)| StoreOp::OutboxAdd(mutation(0, record, kind, set))),
        2 => (1..12_u64, some_record())
            .prop_map(|(mutation, record)| StoreOp::OutboxRemove { mutation, record: id(record) }),
        1 => (1..12_u64, some_record(), some_fields()).prop_map(|(number, record, set)| {
            let outcome =
                Outcome { mutation: number, verdict: Verdict::Rejected, seq: 3, reason: None, server: Fields::new() };
            let mutation = mutation(number, record, MutationKind::Update, set);
            StoreOp::AttentionAdd(Box::new(Attention { mutation, outcome, at_ms: 7 }))
        }),
        1 => (1..12_u64).prop_map(|mutation| StoreOp::AttentionRemove { mutation }),
        2 => (some_record(), some_kind(), some_fields(), some_fields(), 1..50_u64).prop_map(
            |(record, kind, set, server, seq)| {
                let entity = entity_of(record);
                StoreOp::LayOver(LayOver { kind, entity, record: id(record), set, ops: Vec::new(), server, seq })
            }
        ),
        4 => operations().prop_map(|operations| StoreOp::Apply { operations }),
        2 => operations().prop_map(|operations| StoreOp::Stage { operations, cursor: "staged".into() }),
        1 => Just(StoreOp::ApplyStaged),
        3 => some_chunk(),
        1 => "[a-c]".prop_map(|cursor| StoreOp::Manifest { model: "m1".to_owned(), chunks: Vec::new(), cursor }),
        1 => any::<bool>().prop_map(|sweep| StoreOp::Checkpoint { cursor: "whole".into(), sweep, at_ms: 5 }),
        1 => Just(StoreOp::Reset),
    ]
}

/// A chunk of some records of one entity.
fn some_chunk() -> impl Strategy<Value = StoreOp> {
    let rows = prop::collection::btree_map(1..=RECORDS, (1..50_u64, some_whole()), 0..4);
    (any::<bool>(), 1..=SCOPES, rows).prop_map(|(is_even, scope, rows)| {
        let rows: Vec<_> = rows.into_iter().filter(|(number, _)| number.is_multiple_of(2) == is_even).collect();
        let mut writer = ChunkWriter::new(scope, &entity_of(u128::from(!is_even)));
        for (number, (seq, fields)) in rows {
            let body = serde_json::to_string(&fields).expect("fields are JSON");
            writer.push(id(number), seq, &body, |_| true).expect("an object");
        }
        let bytes: Arc<[u8]> = writer.finish().into();
        StoreOp::Chunk { hash: ChunkHash::of(&bytes), bytes }
    })
}

/// Batches whose mutations are numbered as an engine numbers them.
fn some_batches() -> impl Strategy<Value = Vec<Batch>> {
    let batch = prop::collection::vec(some_step(), 1..6).prop_map(|ops| Batch { ops });
    prop::collection::vec(batch, 1..12).prop_map(|mut batches| {
        let mut last = 0;
        for op in batches.iter_mut().flat_map(|batch| &mut batch.ops) {
            if let StoreOp::OutboxAdd(mutation) = op {
                last += 1;
                mutation.id = last;
            }
        }
        batches
    })
}

fn assert_equal(memory: &MemoryStore, file: &DeviceStore) {
    assert_eq!(memory.saved(), file.saved().expect("reads"));
    for number in 1..=RECORDS {
        let base = memory.bases().find(|(known, _)| *known == id(number)).map(|(_, base)| base.clone());
        assert_eq!(base, file.base(id(number)).expect("reads"), "base of {number}");
        assert_eq!(memory.view(id(number)), file.view(id(number)).expect("reads"), "view of {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_batches_leave_both_stores_equal(batches in some_batches()) {
        let mut memory = MemoryStore::default();
        let mut file = DeviceStore::in_memory().expect("a store");
        for batch in &batches {
            let expected = memory.commit(batch);
            match (expected, file.commit(batch, None)) {
                (Ok(()), Ok(())) => {}
                (Err(ApplyError::BaseMissing { record }), Err(ApplyError::BaseMissing { record: other })) => {
                    prop_assert_eq!(record, other);
                }
                (expected, found) => prop_assert!(false, "memory: {expected:?}, file: {found:?}"),
            }
            assert_equal(&memory, &file);
        }
    }
}

fn put(number: u128, set: &Value) -> Operation {
    let set = serde_json::from_value(set.clone()).expect("an object");
    Operation::Put { entity: entity_of(number), id: id(number), seq: 1, scopes: vec![1], partial: false, set }
}

#[test]
fn a_batch_that_fails_in_its_middle_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || DeviceStore::open(Home::hold(folder.path()).expect("nobody else holds it")).expect("opens");
    let mut store = open();
    let whole = Batch {
        ops: vec![
            StoreOp::OutboxAdd(mutation(1, 2, MutationKind::Update, Fields::new())),
            StoreOp::Apply { operations: vec![put(2, &json!({"name": "Acme"}))] },
            StoreOp::Checkpoint { cursor: "one".into(), sweep: false, at_ms: 1 },
        ],
    };
    store.commit(&whole, None).expect("fits");
    let before = (store.saved().expect("reads"), store.view(id(2)).expect("reads"));

    let unknown = Operation::Acknowledged { id: id(5), seq: 9, scopes: vec![1] };
    let broken = Batch {
        ops: vec![
            StoreOp::OutboxRemove { mutation: 1, record: id(2) },
            StoreOp::Apply { operations: vec![put(2, &json!({"name": "Other"})), put(4, &json!({})), unknown] },
            StoreOp::Checkpoint { cursor: "two".into(), sweep: false, at_ms: 2 },
        ],
    };
    let failure = store.commit(&broken, None).expect_err("does not fit");
    assert!(matches!(failure, ApplyError::BaseMissing { record } if record == id(5)));
    drop(store);

    let store = open();
    assert_eq!((store.saved().expect("reads"), store.view(id(2)).expect("reads")), before);
    assert_eq!(store.base(id(4)).expect("reads"), None);
}

#[test]
fn staged_pages_survive_a_restart_unseen_and_become_visible_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || DeviceStore::open(Home::hold(folder.path()).expect("nobody else holds it")).expect("opens");
    let page = |number| StoreOp::Stage { operations: vec![put(number, &json!({"a": 1}))], cursor: format!("{number}") };
    let mut store = open();
    store.commit(&Batch { ops: vec![page(1)] }, None).expect("fits");
    store.commit(&Batch { ops: vec![page(2)] }, None).expect("fits");
    drop(store);

    let mut store = open();
    assert_eq!(store.view(id(1)).expect("reads"), None);
    assert_eq!(store.saved().expect("reads").position.staged_cursor.as_deref(), Some("2"));
    let last =
        Batch { ops: vec![StoreOp::ApplyStaged, StoreOp::Checkpoint { cursor: "3".into(), sweep: false, at_ms: 1 }] };
    store.commit(&last, None).expect("fits");
    assert!(store.view(id(1)).expect("reads").is_some() && store.view(id(2)).expect("reads").is_some());
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_device() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("phone");
    let mut store = DeviceStore::open(Home::hold(&folder).expect("makes it")).expect("opens");
    store.commit(&Batch { ops: vec![StoreOp::Reset] }, None).expect("fits");
    let mode = |path: &std::path::Path| path.metadata().expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in folder.read_dir().expect("is a folder") {
        let path = entry.expect("readable").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
