use std::collections::BTreeSet;

use crm::model::Level;
use crm::rules::{Place, sees};
use serde_json::json;

use super::{deals, filtered, names};
use crate::record::fixture::World;
use crate::record::read::ReadError;
use crate::record::read::history::HistoryQuery;
use crate::record::read::list::ListQuery;
use crate::record::read::search::SearchQuery;
use crate::record::read::summary::SummaryQuery;

/// Deals named by where they stand as seen from ana.
async fn spread() -> World {
    let mut world = World::new().await;
    for (name, owner) in [
        ("own", Some("ana")),
        ("team", Some("aitor")),
        ("territory", Some("bea")),
        ("other", Some("carla")),
        ("open", None),
    ] {
        world.deal(name, owner, json!({ "description": "muestra" })).await;
    }
    let shares = json!({ "description": "muestra", "shared_with": [world.id("ana"), world.id("bea")] });
    world.deal("to users", Some("carla"), shares).await;
    let shares = json!({ "description": "muestra", "shared_with_teams": [world.id("Bilbao")] });
    world.deal("to a team", Some("carla"), shares).await;
    world
}

const ALL: [&str; 7] = ["own", "team", "territory", "other", "open", "to users", "to a team"];

const SEEN: [(&str, &[&str]); 4] = [
    ("ana", &["own", "team", "open", "to users", "to a team"]),
    ("carla", &["other", "open", "to users", "to a team"]),
    ("mar", &["own", "team", "territory", "open", "to a team"]),
    ("root", &ALL),
];

#[tokio::test]
async fn every_way_of_reading_shows_the_same_records() {
    let world = spread().await;
    for (user, seen) in SEEN {
        let seen: BTreeSet<&str> = seen.iter().copied().collect();
        let reader = world.reader(user);
        let mut connection = world.connection().await;
        for name in ALL {
            let got = reader.get(&mut connection, "opportunity", world.id(name)).await;
            assert_eq!(got.is_ok(), seen.contains(name), "{user} gets {name}: {got:?}");
            let history =
                reader.history(&mut connection, "opportunity", world.id(name), &HistoryQuery::default()).await;
            assert_eq!(history.is_ok(), seen.contains(name), "the history of {name} for {user}: {history:?}");
        }
        let listed = deals(&world, user, ListQuery::default()).await.expect("a list");
        let listed = names(&listed);
        assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), seen, "listed for {user}");
        let summary =
            reader.summary(&mut connection, "opportunity", &SummaryQuery::default()).await.expect("a summary");
        assert_eq!(usize::try_from(summary.count).expect("a count"), seen.len(), "counted for {user}");
        let query = SearchQuery { q: "muestra".into(), ..SearchQuery::default() };
        let hits = reader.search(&mut connection, &query).await.expect("hits");
        let found: BTreeSet<&str> = hits.items.iter().map(|hit| hit.title.as_str()).collect();
        assert_eq!(found, seen, "found by {user}");
    }
}

#[tokio::test]
async fn sql_and_memory_agree_on_whom_a_record_is_shown_to() {
    let world = spread().await;
    for user in ["ana", "bea", "carla", "mar", "root"] {
        let rights = world.rights(user);
        let listed = names(&deals(&world, user, ListQuery::default()).await.expect("a list"));
        for record in deals(&world, "root", ListQuery::default()).await.expect("a list").items {
            let fields = record.parsed().expect("an object");
            let level = rights.permission("opportunity").map_or(Level::None, |permission| permission.read);
            let reached = sees(level, &rights.viewer, &Place::of(&fields));
            let name = fields["name"].as_str().expect("a text").to_owned();
            assert_eq!(listed.contains(&name), reached, "{user} and {name}");
        }
    }
}

#[tokio::test]
async fn a_condition_does_not_widen_what_is_seen() {
    let world = spread().await;
    for hostile in ["true", "1 == 1 || true", "name == 'other' || name != 'other'", "owner != me", "!(name == 'x')"] {
        let listed = names(&deals(&world, "ana", filtered(hostile)).await.expect("a list"));
        assert!(!listed.contains(&"other".to_owned()), "{hostile} shows {listed:?}");
    }
}

#[tokio::test]
async fn a_condition_that_fails_tells_nothing_of_records_that_are_not_seen() {
    let mut world = spread().await;
    world.deal("secret", Some("carla"), json!({ "amount": { "minor": 5_000, "currency": "EUR" } })).await;
    let probe = "1 / (amount - 5000) > 0";
    deals(&world, "ana", filtered(probe)).await.expect("no record of hers has that amount");
    let refused = deals(&world, "carla", filtered(probe)).await.expect_err("hers has");
    assert!(matches!(refused, ReadError::Evaluation { .. }), "{refused:?}");
}

#[tokio::test]
async fn hostile_conditions_are_refused_and_change_nothing() {
    let world = spread().await;
    for hostile in [
        "name == 'x') OR 1=1 --",
        "'; DROP TABLE record; --",
        "r.body",
        "seq > 0",
        "name",
        "amount",
        "(((((",
        "size(name) > 'x'",
        "[1,2,3].map(x, x)",
        "name.matches('(a+)+$')",
    ] {
        let refused = deals(&world, "root", filtered(hostile)).await.expect_err(hostile);
        assert!(matches!(refused, ReadError::Filter { .. } | ReadError::NoCondition), "{hostile}: {refused:?}");
    }
    let quoted =
        deals(&world, "root", filtered("name == 'x\\' OR \\'1\\' == \\'1'")).await.expect("a text like any other");
    assert!(quoted.items.is_empty());
    assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM v_opportunity").await, "7");
}

#[tokio::test]
async fn the_history_of_a_deleted_record_is_for_those_who_read_all() {
    let world = spread().await;
    world.delete("own", "opportunity").await;
    let mut connection = world.connection().await;
    let query = HistoryQuery::default();
    let history = world.reader("root").history(&mut connection, "opportunity", world.id("own"), &query).await;
    let history = history.expect("an administrator reads it");
    assert_eq!(history.items[0].kind, "deleted");
    let refused = world.reader("ana").history(&mut connection, "opportunity", world.id("own"), &query).await;
    assert!(matches!(refused, Err(ReadError::NotFound { .. })), "{refused:?}");
}
