//! What a batch does to a store, and what the person sees of it.

use serde_json::json;
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, Batch, LayOver, MemoryStore, StoreOp};
use sync_protocol::wire::{FieldOperation, Fields, Mutation, MutationKind, Operation};
use uuid::Uuid;

const ID: RecordId = RecordId(Uuid::from_u128(1));

fn fields(pairs: &[(&str, serde_json::Value)]) -> Fields {
    pairs.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect()
}

fn put(seq: u64, scopes: &[u32], partial: bool, set: Fields) -> Operation {
    Operation::Put { entity: "thing".to_owned(), id: ID, seq, scopes: scopes.to_vec(), partial, set }
}

fn mutation(id: u64, kind: MutationKind, set: Fields, ops: Vec<FieldOperation>) -> Mutation {
    Mutation {
        id,
        kind,
        entity: "thing".to_owned(),
        record: ID,
        base: 0,
        set,
        ops,
        group: None,
        depends_on: None,
        at_ms: 0,
        model: None,
    }
}

fn commit(store: &mut MemoryStore, ops: Vec<StoreOp>) {
    store.commit(&Batch { ops }).expect("the batch fits the store");
}

fn apply(operations: Vec<Operation>) -> StoreOp {
    StoreOp::Apply { operations }
}

fn checkpoint(sweep: bool) -> StoreOp {
    StoreOp::Checkpoint { cursor: "c".to_owned(), sweep, at_ms: 0 }
}

fn holding(set: Fields) -> MemoryStore {
    let mut store = MemoryStore::default();
    commit(&mut store, vec![apply(vec![put(5, &[1, 2], false, set)]), checkpoint(true)]);
    store
}

#[test]
fn a_partial_put_changes_its_fields_and_a_whole_one_replaces_the_record() {
    let mut store = holding(fields(&[("name", json!("Ana")), ("city", json!("Jaén"))]));
    let partial = fields(&[("city", json!(null)), ("tags", json!(["vip"]))]);
    commit(&mut store, vec![apply(vec![put(6, &[1], true, partial)])]);
    let view = store.view(ID).expect("seen");
    assert_eq!(view.fields, fields(&[("name", json!("Ana")), ("tags", json!(["vip"]))]));
    commit(&mut store, vec![apply(vec![put(7, &[1], false, fields(&[("name", json!("Eva"))]))])]);
    assert_eq!(store.view(ID).expect("seen").fields, fields(&[("name", json!("Eva"))]));
}

#[test]
fn a_batch_that_does_not_fit_changes_nothing() {
    let mut store = MemoryStore::default();
    let added = StoreOp::OutboxAdd(mutation(1, MutationKind::Update, Fields::new(), Vec::new()));
    let misfit = apply(vec![put(6, &[1], true, Fields::new())]);
    let result = store.commit(&Batch { ops: vec![added, misfit] });
    assert_eq!(result, Err(ApplyError::BaseMissing { record: ID }));
    assert_eq!(store.saved().outbox, []);
    assert_eq!(store.saved().position.last_mutation, 0);
}

#[test]
fn the_person_sees_the_outbox_over_the_base() {
    let mut store = holding(fields(&[("name", json!("Ana")), ("visits", json!(2)), ("tags", json!(["b"]))]));
    let ops = vec![
        FieldOperation::Increment { field: "visits".to_owned(), by: 3 },
        FieldOperation::Add { field: "tags".to_owned(), values: vec![json!("a")] },
    ];
    let set = fields(&[("name", json!(null))]);
    commit(&mut store, vec![StoreOp::OutboxAdd(mutation(1, MutationKind::Update, set, ops))]);
    let view = store.view(ID).expect("seen");
    assert_eq!(view.fields, fields(&[("visits", json!(5)), ("tags", json!(["a", "b"]))]));
    assert_eq!(view.unsent.into_iter().collect::<Vec<_>>(), ["name", "tags", "visits"]);
    assert_eq!(view.base, 5);
    let delete = mutation(2, MutationKind::Delete, Fields::new(), Vec::new());
    commit(&mut store, vec![StoreOp::OutboxAdd(delete)]);
    assert!(store.view(ID).is_none());
}

#[test]
fn a_record_leaves_with_its_last_held_scope() {
    let mut store = holding(Fields::new());
    commit(&mut store, vec![apply(vec![Operation::ScopeDrop { scope: 1 }])]);
    assert!(store.view(ID).is_some());
    commit(&mut store, vec![apply(vec![Operation::ScopeDrop { scope: 2 }])]);
    assert_eq!(store.bases().count(), 0);
}

#[test]
fn a_record_that_an_unsent_mutation_needs_is_hidden_and_goes_with_it() {
    let mut store = holding(fields(&[("name", json!("Ana"))]));
    let edit = mutation(1, MutationKind::Update, fields(&[("name", json!("Eva"))]), Vec::new());
    commit(&mut store, vec![StoreOp::OutboxAdd(edit), apply(vec![Operation::Exit { id: ID, seq: 6 }])]);
    assert!(store.view(ID).is_none(), "nobody sees what left");
    assert_eq!(store.bases().count(), 1, "but it is not destroyed");
    let mut returned = store.clone();
    commit(&mut returned, vec![apply(vec![put(7, &[1], false, fields(&[("name", json!("Zoe"))]))])]);
    assert_eq!(returned.view(ID).expect("seen again").fields["name"], "Eva");
    commit(&mut store, vec![StoreOp::OutboxRemove { mutation: 1, record: ID }]);
    assert_eq!(store.bases().count(), 0);
}

fn outcome_of(kind: MutationKind, set: Fields, seq: u64) -> StoreOp {
    let (entity, ops, server) = ("thing".to_owned(), Vec::new(), Fields::new());
    StoreOp::LayOver(LayOver { kind, entity, record: ID, set, ops, server, seq })
}

#[test]
fn a_page_cut_before_an_outcome_does_not_undo_it() {
    let mut store = holding(fields(&[("name", json!("Ana"))]));
    let news = fields(&[("name", json!("Zoe")), ("city", json!("Jaén"))]);
    let stage = StoreOp::Stage { operations: vec![put(6, &[1], true, news)], cursor: "page".to_owned() };
    let laid = outcome_of(MutationKind::Update, fields(&[("name", json!("Eva"))]), 9);
    commit(&mut store, vec![stage, laid, StoreOp::ApplyStaged, checkpoint(false)]);
    let expected = fields(&[("name", json!("Eva")), ("city", json!("Jaén"))]);
    assert_eq!(store.view(ID).expect("seen").fields, expected);
    commit(&mut store, vec![apply(vec![put(10, &[1], true, fields(&[("name", json!("Zoe"))]))])]);
    assert_eq!(store.view(ID).expect("seen").fields["name"], "Zoe", "a later change counts");
}

#[test]
fn a_page_cut_before_a_delete_does_not_bring_the_record_back() {
    let mut store = holding(Fields::new());
    let stage = StoreOp::Stage { operations: vec![put(6, &[1], false, Fields::new())], cursor: "page".to_owned() };
    let laid = outcome_of(MutationKind::Delete, Fields::new(), 9);
    commit(&mut store, vec![stage, laid, StoreOp::ApplyStaged, checkpoint(false)]);
    assert_eq!(store.bases().count(), 0);
}

#[test]
fn a_record_made_here_that_no_page_has_spoken_of_leaves_at_the_checkpoint() {
    let made = || outcome_of(MutationKind::Create, fields(&[("name", json!("Ana"))]), 9);
    let mut store = MemoryStore::default();
    commit(&mut store, vec![made()]);
    assert!(store.view(ID).is_some(), "until then it is there");
    let mut spoken = store.clone();
    let acknowledged = Operation::Acknowledged { id: ID, seq: 9, scopes: vec![1] };
    commit(&mut spoken, vec![apply(vec![acknowledged]), checkpoint(false)]);
    assert!(spoken.view(ID).is_some());
    commit(&mut store, vec![checkpoint(false)]);
    assert!(store.view(ID).is_none());
}

#[test]
fn starting_over_keeps_the_base_until_the_new_one_is_whole() {
    let mut store = holding(Fields::new());
    commit(&mut store, vec![StoreOp::Reset]);
    assert!(store.view(ID).is_some());
    assert_eq!(store.saved().position.cursor, None);
    commit(&mut store, vec![checkpoint(true)]);
    assert!(store.view(ID).is_none());
}
