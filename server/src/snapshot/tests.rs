//! Who is given which chunks, and how long they stay good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sync_protocol::id::RecordId;
use sync_protocol::wire::ChunkEntry;
use sync_protocol::wire::chunk::{Chunk, ChunkHash};

use super::Listing;
use crate::horizon;
use crate::record::fixture::{NOW_MS, World};
use crate::scope::ScopeKind;
use crate::user::rights::Rights;

async fn list(world: &World, rights: &Rights) -> Listing {
    let app = &world.app;
    let snapshot = app.live().snapshot();
    app.chunks().list(app.db(), app.live().head(), &snapshot, rights).await.expect("a listing")
}

/// The chunk's bytes, for whoever may have them.
async fn read(world: &World, who: &str, hash: ChunkHash) -> Option<Vec<u8>> {
    let app = &world.app;
    let (snapshot, rights) = (app.live().snapshot(), world.rights(who));
    let may_have = app.chunks().may_have(app.db(), app.live().head(), &snapshot, &rights, hash).await;
    let packed = if may_have.expect("an answer") { app.chunks().read(hash).await.expect("a file") } else { None };
    packed.map(|packed| zstd::decode_all(&packed[..]).expect("zstd"))
}

async fn chunks(world: &World, who: &str) -> Vec<ChunkEntry> {
    list(world, &world.rights(who)).await.chunks
}

/// The one chunk among these that holds a record.
async fn chunk_with(world: &World, who: &str, record: RecordId) -> Option<(ChunkEntry, String)> {
    for entry in chunks(world, who).await {
        let bytes = read(world, who, entry.hash).await.expect("a manifest names what can be fetched");
        assert_eq!((ChunkHash::of(&bytes), bytes.len() as u64), (entry.hash, entry.bytes));
        let chunk = Chunk::read(&bytes).expect("a chunk");
        assert_eq!(
            (chunk.scope, chunk.entity.as_ref(), chunk.len() as u64),
            (entry.scope, entry.entity.as_str(), entry.rows)
        );
        if chunk.rows().any(|row| row.id == record) {
            return Some((entry, String::from_utf8(bytes).expect("text")));
        }
    }
    None
}

fn hashes(chunks: &[ChunkEntry]) -> BTreeSet<ChunkHash> {
    chunks.iter().map(|chunk| chunk.hash).collect()
}

/// How many chunks were cut so far.
fn built(world: &World) -> u64 {
    let text = world.app.metrics().encode(0, 0);
    let line = text.lines().find(|line| line.starts_with("cartera_chunks_built_total ")).expect("a measurement");
    line.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a number")
}

#[tokio::test]
async fn everybody_is_given_what_her_role_reaches_and_shows() {
    let mut world = World::new().await;
    let cost = json!({"cost": {"minor": 771_301, "currency": "EUR"}});
    let hers = world.deal("ana's", Some("ana"), cost.clone()).await;
    let his = world.deal("carla's", Some("carla"), cost).await;
    for (who, sees_hers, sees_his, sees_cost) in [
        ("ana", true, false, false),
        ("mar", true, false, true),
        ("carla", false, true, false),
        ("root", true, true, true),
    ] {
        for (deal, sees) in [(hers, sees_hers), (his, sees_his)] {
            let found = chunk_with(&world, who, deal).await;
            assert_eq!(found.is_some(), sees, "{who}");
            if let Some((_, text)) = found {
                assert_eq!(text.contains("771301"), sees_cost, "{who}");
                assert_eq!(text.contains("\"cost\""), sees_cost, "{who}");
            }
        }
    }
}

#[tokio::test]
async fn devices_with_equal_rights_share_their_chunks() {
    let mut world = World::new().await;
    world.deal("ana's", Some("ana"), json!({})).await;
    let ana = hashes(&chunks(&world, "ana").await);
    let before = built(&world);
    assert_eq!(hashes(&chunks(&world, "ana").await), ana);
    assert_eq!(built(&world), before, "nothing is built for the second device");
    let aitor = hashes(&chunks(&world, "aitor").await);
    assert!(!ana.is_disjoint(&aitor), "what is their team's and everybody's is the same for both");
}

#[tokio::test]
async fn who_asks_for_a_chunk_that_is_not_hers_learns_nothing() {
    let mut world = World::new().await;
    let deal = world.deal("carla's", Some("carla"), json!({})).await;
    let (entry, _) = chunk_with(&world, "carla", deal).await.expect("it is hers");
    assert!(read(&world, "carla", entry.hash).await.is_some());
    assert!(read(&world, "ana", entry.hash).await.is_none());
    assert!(read(&world, "mar", entry.hash).await.is_none());
    assert!(read(&world, "root", ChunkHash::of(b"made up")).await.is_none());
}

#[tokio::test]
async fn a_chunk_is_not_given_out_once_a_record_in_it_was_deleted_or_went_elsewhere() {
    let mut world = World::new().await;
    let moved = world.deal("moved", Some("ana"), json!({})).await;
    let deleted = world.deal("deleted", Some("ana"), json!({})).await;

    let (old, _) = chunk_with(&world, "ana", moved).await.expect("it is hers");
    let elsewhere = json!({"owner": world.id("carla"), "team": world.id("Sevilla"), "territory": world.id("Sur")});
    world.change("moved", "opportunity", elsewhere).await;
    assert!(read(&world, "ana", old.hash).await.is_none());
    assert!(chunk_with(&world, "ana", moved).await.is_none());

    let (old, _) = chunk_with(&world, "ana", deleted).await.expect("it is hers");
    world.delete("deleted", "opportunity").await;
    assert!(read(&world, "ana", old.hash).await.is_none());
    assert!(read(&world, "root", old.hash).await.is_none());
    assert!(chunk_with(&world, "ana", deleted).await.is_none());
}

/// The ids in each of a user's chunks of deals of her own, by the chunk's hash.
async fn own_deals(world: &World, who: &str) -> BTreeMap<ChunkHash, Vec<RecordId>> {
    let mut found = BTreeMap::new();
    let snapshot = world.app.live().snapshot();
    for entry in chunks(world, who).await.into_iter().filter(|entry| entry.entity == "opportunity") {
        if snapshot.scopes.key(entry.scope).is_some_and(|key| key.kind == ScopeKind::Own) {
            let bytes = read(world, who, entry.hash).await.expect("a manifest names what can be fetched");
            let chunk = Chunk::read(&bytes).expect("a chunk");
            found.insert(entry.hash, chunk.rows().map(|row| row.id).collect());
        }
    }
    found
}

#[tokio::test]
async fn many_records_are_cut_into_ranges_of_ids_and_only_the_range_of_one_that_left_is_cut_anew() {
    let mut world = World::new().await;
    let long = "Visitar la obra, medir y volver con la oferta. ".repeat(400);
    let mut made = Vec::new();
    for n in 0..150 {
        made.push(world.deal(&format!("deal {n}"), Some("ana"), json!({"description": long})).await);
    }
    let before = own_deals(&world, "ana").await;
    assert!(before.len() > 1, "{} bytes are more than one chunk", long.len() * made.len());
    let mut ranges: Vec<&Vec<RecordId>> = before.values().collect();
    ranges.sort_unstable_by_key(|ids| ids[0]);
    let in_order: Vec<RecordId> = ranges.iter().copied().flatten().copied().collect();
    assert!(in_order.is_sorted(), "no two ranges have ids in common");
    assert_eq!(in_order, made, "each record is in one chunk");

    world.delete("deal 149", "opportunity").await;
    let after = own_deals(&world, "ana").await;
    let gone: Vec<&ChunkHash> = before.keys().filter(|hash| !after.contains_key(hash)).collect();
    assert_eq!(gone.len(), 1, "the other ranges are as they were");
    assert!(before[gone[0]].contains(&made[149]));
    let mut left: Vec<RecordId> = after.into_values().flatten().collect();
    left.sort_unstable();
    assert_eq!(left, made[..149]);
}

#[tokio::test]
async fn a_field_that_was_hidden_since_is_in_no_chunk_that_goes_out() {
    let mut world = World::new().await;
    let deal = world.deal("deal", Some("ana"), json!({"next_step": "call 771301"})).await;
    let (old, text) = chunk_with(&world, "ana", deal).await.expect("it is hers");
    assert!(text.contains("771301"));
    world.overlay("entity: opportunity\nfields:\n  next_step: {level: 1}\n").await;
    assert!(read(&world, "ana", old.hash).await.is_none(), "she no longer sees all of it");
    let (_, text) = chunk_with(&world, "ana", deal).await.expect("it is still hers");
    assert!(!text.contains("771301") && !text.contains("next_step"), "{text}");
}

#[tokio::test]
async fn a_user_who_changes_her_team_may_no_longer_fetch_its_chunks() {
    let mut world = World::new().await;
    let deal = world.deal("aitor's", Some("aitor"), json!({})).await;
    let (entry, _) = chunk_with(&world, "ana", deal).await.expect("it is her team's");
    world.change("ana", "user", json!({"team": world.id("Sevilla")})).await;
    assert!(read(&world, "ana", entry.hash).await.is_none());
    assert!(read(&world, "aitor", entry.hash).await.is_some());
}

#[tokio::test]
async fn a_chunk_of_which_little_changed_stays_and_the_exchange_begins_before_the_change() {
    let mut world = World::new().await;
    for number in 0..40 {
        world.deal(&format!("deal {number}"), Some("ana"), json!({})).await;
    }
    let before = list(&world, &world.rights("ana")).await;
    assert_eq!(before.seq, world.app.live().head());
    let cut = built(&world);
    world.change("deal 7", "opportunity", json!({"next_step": "call"})).await;
    world.change("deal 9", "opportunity", json!({"next_step": "call"})).await;
    let after = list(&world, &world.rights("ana")).await;
    assert_eq!((hashes(&after.chunks), built(&world)), (hashes(&before.chunks), cut));
    assert_eq!(after.seq, before.seq, "what changed since comes by the exchange");
    for number in 0..20 {
        world.change(&format!("deal {number}"), "opportunity", json!({"next_step": "write"})).await;
    }
    let anew = list(&world, &world.rights("ana")).await;
    assert_ne!(hashes(&anew.chunks), hashes(&before.chunks));
    assert_eq!(anew.seq, world.app.live().head());
}

#[tokio::test]
async fn devices_that_begin_at_once_wait_for_one_build() {
    let mut world = World::new().await;
    world.deal("deal", Some("ana"), json!({})).await;
    let world = Arc::new(world);
    let rights = world.rights("mar");
    // What everybody may see is there already.
    let known = hashes(&list(&world, &world.rights("root")).await.chunks);
    let before = built(&world);
    let all = futures_util::future::join_all((0..20).map(|_| list(&world, &rights))).await;
    assert!(all.windows(2).all(|pair| hashes(&pair[0].chunks) == hashes(&pair[1].chunks)));
    let new = hashes(&all[0].chunks).difference(&known).count() as u64;
    assert!(new > 0);
    assert_eq!(built(&world) - before, new, "each chunk is cut once");
}

#[tokio::test]
async fn what_a_person_needs_first_comes_first() {
    let mut world = World::new().await;
    world.deal("deal", Some("ana"), json!({})).await;
    let chunks = chunks(&world, "ana").await;
    assert!(chunks.is_sorted_by_key(|chunk| chunk.priority));
    let priority = |entity: &str| chunks.iter().find(|chunk| chunk.entity == entity).map(|chunk| chunk.priority);
    assert_eq!((priority("opportunity"), priority("stage_history")), (Some(1), Some(3)));
}

#[tokio::test]
async fn a_chunk_that_the_horizon_has_passed_is_cut_anew() {
    let mut world = World::new().await;
    let kept = world.deal("kept", Some("ana"), json!({})).await;
    world.deal("deleted", Some("ana"), json!({})).await;
    let (old, _) = chunk_with(&world, "ana", kept).await.expect("it is hers");
    world.delete("deleted", "opportunity").await;
    let app = &world.app;
    for days in [1, 3] {
        let now_ms = NOW_MS + days * 86_400_000;
        let age = Duration::from_hours(24);
        horizon::pass(app.db(), now_ms, age, app.chunks(), app.metrics()).await.expect("the database answers");
    }
    assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM tombstone").await, "0", "nothing tells of it any more");
    assert!(read(&world, "ana", old.hash).await.is_none(), "the deleted one is in it");
    assert!(list(&world, &world.rights("ana")).await.seq >= app.live().head(), "no device begins before the horizon");
    assert!(chunk_with(&world, "ana", kept).await.is_some());
}
