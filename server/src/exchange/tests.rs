//! What the database keeps so that devices can be compared, and what it forgets.

use std::sync::Arc;
use std::time::Duration;

use crm::model::Language;
use serde_json::{Value, json};
use sync_protocol::cursor::Cursor;
use sync_protocol::id::Sequence;
use sync_protocol::wire::{MendReason, MutationKind, Verdict};

use super::routes::acknowledged;
use super::{Puller, recount_where_missing};
use crate::horizon;
use crate::live::Snapshot;
use crate::record::fixture::{NOW_MS, World};
use crate::record::write::{Author, Change, Decision};
use crate::tenant::declare_restored;
use crate::user::rights::Rights;

const DAY: Duration = Duration::from_hours(24);

/// Every scope's digest, as one text.
const DIGESTS: &str = "SELECT coalesce(json_group_array(json_array(scope, records, hash)), '') FROM (SELECT * FROM scope_digest WHERE records > 0 ORDER BY scope)";

async fn write_at(world: &World, name: &str, base: Sequence, set: Value) -> Decision {
    let rights = Arc::new(Rights::of_operator(&world.app.catalogue()));
    let author = Author { user: None, device: 0, rights, language: Language::En };
    let set = serde_json::from_value(set).expect("an object");
    let (kind, entity, record) = (MutationKind::Update, "opportunity".to_owned(), world.id(name));
    let change = Change { kind, entity, record, base: Some(base), set, ops: Vec::new() };
    let mut decisions = world.app.writer().write(author, vec![change], true).await.expect("the writer is up");
    decisions.pop().expect("one change has one decision")
}

fn puller<'a>(snapshot: &'a Snapshot, rights: &'a Rights) -> Puller<'a> {
    Puller { snapshot, rights, device: 0, epoch: 2, limit_bytes: 1 << 20, compare: false, holds_model: true }
}

async fn pass(world: &World, days_later: u32, age: Duration) {
    let now_ms = NOW_MS + i64::from(days_later) * 86_400_000;
    horizon::pass(world.app.db(), now_ms, age, world.app.chunks(), world.app.metrics())
        .await
        .expect("the database answers");
}

#[tokio::test]
async fn the_digests_kept_with_every_commit_are_those_of_the_records() {
    let mut world = World::new().await;
    for name in ["one", "two", "three"] {
        let _ = world.deal(name, Some("ana"), json!({})).await;
    }
    world.change("one", "opportunity", json!({ "owner": world.id("carla") })).await;
    world.change("two", "opportunity", json!({ "owner": null, "team": null, "territory": null })).await;
    world.delete("three", "opportunity").await;
    let kept = world.value(DIGESTS).await;
    assert!(kept.len() > 50, "{kept}");

    let snapshot = world.app.live().snapshot();
    let mut tx = world.app.db().write().await.expect("nobody else writes");
    sqlx::query("DELETE FROM scope_digest").execute(&mut *tx).await.expect("the table is there");
    recount_where_missing(&snapshot, &mut tx).await.expect("the records can be read");
    tx.commit().await.expect("a commit");
    assert_eq!(world.value(DIGESTS).await, kept);
}

#[tokio::test]
async fn what_is_older_than_the_horizon_is_forgotten_and_what_is_younger_is_not() {
    let mut world = World::new().await;
    for name in ["old", "young"] {
        let _ = world.deal(name, Some("ana"), json!({})).await;
    }
    world.delete("old", "opportunity").await;
    let old_head = world.app.live().head();
    pass(&world, 1, 90 * DAY).await;
    pass(&world, 60, 90 * DAY).await;
    assert_eq!(world.value("SELECT CAST(horizon AS TEXT) FROM tenant").await, "0", "nothing is that old");
    world.delete("young", "opportunity").await;
    pass(&world, 61, 90 * DAY).await;
    pass(&world, 92, 90 * DAY).await;
    assert_eq!(world.value("SELECT CAST(horizon AS TEXT) FROM tenant").await, old_head.to_string());
    for young in [
        "SELECT CAST(min(seq) > (SELECT horizon FROM tenant) AS TEXT) FROM tombstone",
        "SELECT CAST(min(seq) > (SELECT horizon FROM tenant) AS TEXT) FROM scope_entry WHERE state <> 0",
    ] {
        assert_eq!(world.value(young).await, "1", "{young}");
    }
}

#[tokio::test]
async fn a_base_of_a_lost_future_knows_the_backup_and_nothing_since() {
    let mut world = World::new().await;
    let _ = world.deal("deal", Some("ana"), json!({ "next_step": "as in the backup" })).await;
    let seen = world.app.live().head() + 7;
    let refused = write_at(&world, "deal", seen, json!({ "next_step": "of nowhere" })).await;
    assert_eq!(refused.verdict, Verdict::Merged, "nobody can have seen what is not there yet");

    let restored = declare_restored(world.app.db(), NOW_MS, world.app.entropy()).await.expect("it was served");
    assert!(restored.head - restored.restored_head >= 1 << 32);
    assert!(restored.head < 1 << 53, "every reader of JSON counts so far");
    let world = world.reopen().await;
    let known = write_at(&world, "deal", seen, json!({ "next_step": "offered again" })).await;
    assert_eq!(known.verdict, Verdict::Applied, "she had seen all that the backup has");
    let unknown = write_at(&world, "deal", seen, json!({ "next_step": "of somebody else" })).await;
    assert_eq!(unknown.verdict, Verdict::Merged, "what was written since the restore she has not seen");
}

#[tokio::test]
async fn a_deep_comparison_leaves_a_cursor_of_another_epoch_to_the_search_that_finds_what_is_new() {
    let mut world = World::new().await;
    let _ = world.deal("deal", Some("ana"), json!({})).await;
    let snapshot = world.app.live().snapshot();
    let rights = Rights::of_operator(&snapshot.catalogue);
    let head = world.app.live().head();
    let puller = puller(&snapshot, &rights);
    let cursor = Cursor { epoch: 1, ..puller.nothing_yet(head, None).cursor };
    for (deep, position) in [(true, (1, head - 1)), (false, (2, head))] {
        let request = json!({"protocol": 1, "cursor": "c", "deep": deep, "limit_bytes": 1});
        let request = serde_json::from_value(request).expect("a request");
        let cursor = Cursor { seq: head - 1, ..cursor.clone() };
        let compared = puller.compare(world.app.db(), head, &request, cursor).await.expect("the database answers");
        assert_eq!((compared.cursor.epoch, compared.cursor.seq), position, "deep: {deep}");
    }
}

#[tokio::test]
async fn an_acknowledgement_from_before_a_restore_forgets_nothing() {
    let world = World::new().await;
    let snapshot = world.app.live().snapshot();
    let rights = world.rights("ana");
    let cursor = puller(&snapshot, &rights).nothing_yet(world.app.live().head(), None).cursor;
    let request = serde_json::from_value(json!({"protocol": 1, "acknowledged": 7})).expect("a request");
    let of = |cursor: Option<&Cursor>| acknowledged(&request, cursor, 2);
    assert_eq!(of(Some(&Cursor { epoch: 2, ..cursor.clone() })), 7);
    assert_eq!(of(Some(&Cursor { epoch: 1, ..cursor })), 0);
    assert_eq!(of(None), 0, "nothing says when it was made");
}

#[tokio::test]
async fn what_an_earlier_page_brought_is_told_to_have_left_though_the_news_begin_again() {
    let mut world = World::new().await;
    let before = world.app.live().head();
    let record = world.deal("deal", Some("ana"), json!({})).await;
    let rights = world.rights("ana");
    let told_until = world.app.live().head();
    world.change("deal", "opportunity", json!({ "owner": world.id("carla"), "team": null, "territory": null })).await;
    let snapshot = world.app.live().snapshot();
    let puller = puller(&snapshot, &rights);
    let head = world.app.live().head();
    let whole = puller.pull(world.app.db(), head, None).await.expect("the database answers").cursor;
    // In the middle of a run; among what is held is a scope that is no more.
    let mut scopes = whole.scopes.clone();
    scopes.push(9_999);
    let cursor = Cursor { seq: told_until, from: before, scopes, backfill: Vec::new(), first_sync: false, ..whole };
    let page = puller.pull(world.app.db(), head, Some(cursor)).await.expect("the database answers");
    let told: Vec<Value> = serde_json::from_str(&page.operations).expect("operations");
    assert!(told.iter().any(|told| told["op"] == "scope_drop"), "{told:?}");
    assert!(told.iter().any(|told| told["op"] == "exit" && told["id"] == json!(record)), "{told:?}");
}

#[tokio::test]
async fn news_that_begin_again_before_the_horizon_are_no_news() {
    let mut world = World::new().await;
    let from = world.app.live().head();
    let _ = world.deal("deal", Some("ana"), json!({})).await;
    let (snapshot, rights) = (world.app.live().snapshot(), world.rights("ana"));
    let (puller, head) = (puller(&snapshot, &rights), world.app.live().head());
    let whole = puller.pull(world.app.db(), head, None).await.expect("the database answers").cursor;
    let mut tx = world.app.db().write().await.expect("nobody else writes");
    sqlx::query("UPDATE tenant SET horizon = $1").bind(head.cast_signed()).execute(&mut *tx).await.expect("it passes");
    tx.commit().await.expect("a commit");
    let in_mid_run = Cursor { seq: head, from, backfill: Vec::new(), first_sync: false, ..whole };
    let mut lost = in_mid_run.clone();
    lost.scopes.push(9_999);
    for (cursor, mend) in [(in_mid_run, None), (lost, Some(MendReason::Horizon))] {
        let page = puller.pull(world.app.db(), head, Some(cursor)).await.expect("the database answers");
        assert_eq!(page.mend, mend);
    }
}

#[tokio::test]
async fn what_a_device_comes_to_hold_arrives_as_the_model_says_is_urgent() {
    let world = World::new().await;
    let (snapshot, rights) = (world.app.live().snapshot(), world.rights("ana"));
    let page = puller(&snapshot, &rights).pull(world.app.db(), world.app.live().head(), None).await;
    let told: Vec<Value> = serde_json::from_str(&page.expect("the database answers").operations).expect("operations");
    let added = told.iter().filter(|told| told["op"] == "scope_add").filter_map(|told| told["scope"].as_u64());
    let priority = |scope: u64| {
        let key = snapshot.scopes.key(scope.try_into().expect("few scopes")).expect("a scope");
        snapshot.catalogue.entity_of(key.entity).expect("an entity").sync.priority
    };
    let priorities: Vec<u8> = added.map(priority).collect();
    assert!(priorities.first() < priorities.last(), "{priorities:?}");
    assert!(priorities.is_sorted(), "{priorities:?}");
}

/// Has the tenant's row say what a backup said.
async fn go_back(world: &World, epoch: u64, head: Sequence) {
    let mut tx = world.app.db().write().await.expect("nobody else writes");
    let backup = sqlx::query("UPDATE tenant SET epoch = $1, head = $2");
    let backup = backup.bind(epoch.cast_signed()).bind(head.cast_signed()).execute(&mut *tx).await;
    backup.expect("as in the backup");
    tx.commit().await.expect("a commit");
}

#[tokio::test]
async fn the_same_backup_restored_twice_goes_two_ways() {
    let world = World::new().await;
    let first = declare_restored(world.app.db(), NOW_MS - 60_000, world.app.entropy()).await.expect("it was served");
    // Of a server that was never restored, and of one that was a minute ago.
    for (epoch, head) in [(1, 40), (first.epoch, first.head)] {
        let mut restored = Vec::new();
        for minute in 0..2 {
            go_back(&world, epoch, head).await;
            let now_ms = NOW_MS + minute * 60_000;
            restored.push(declare_restored(world.app.db(), now_ms, world.app.entropy()).await.expect("it was served"));
        }
        assert!(restored[1].epoch > restored[0].epoch, "{restored:?}");
        let most_in_a_minute = 60 * 100_000;
        assert!(restored[0].head - head > most_in_a_minute, "{restored:?}");
        assert!(restored[1].head - restored[0].head > most_in_a_minute, "{restored:?}");
    }
}

#[tokio::test]
async fn a_backup_restored_twice_by_a_clock_that_is_behind_goes_two_ways_far_away() {
    let world = World::new().await;
    let first = declare_restored(world.app.db(), NOW_MS, world.app.entropy()).await.expect("it was served");
    let mut behind = Vec::new();
    for _ in 0..2 {
        go_back(&world, first.epoch, first.head).await;
        let restored = declare_restored(world.app.db(), 0, world.app.entropy()).await.expect("it was served");
        assert!(restored.epoch > first.epoch && restored.head < 1 << 53, "{first:?}, {restored:?}");
        assert!(restored.head - first.head > 1_000_000_000, "{first:?}, {restored:?}");
        behind.push(restored);
    }
    assert!(behind[0].epoch != behind[1].epoch && behind[0].head.abs_diff(behind[1].head) > 1_000_000, "{behind:?}");
}

#[tokio::test]
async fn a_cursor_of_another_epoch_is_told_to_mend_though_nothing_seems_to_be_new() {
    let world = World::new().await;
    let (snapshot, rights) = (world.app.live().snapshot(), world.rights("ana"));
    let (puller, head) = (puller(&snapshot, &rights), world.app.live().head());
    let pull = async |cursor| puller.pull(world.app.db(), head, cursor).await.expect("the database answers");
    let whole = pull(None).await;
    assert!(!whole.more && pull(Some(whole.cursor.clone())).await.mend.is_none());
    let page = pull(Some(Cursor { epoch: whole.cursor.epoch - 1, ..whole.cursor })).await;
    assert_eq!(page.mend, Some(MendReason::Epoch));
}
