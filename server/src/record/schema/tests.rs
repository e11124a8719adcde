use std::sync::Arc;

use crm::model::{Model, Overlay};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{Changed, apply, view};
use crate::record::catalogue::Catalogue;
use crate::record::fixture::World;

#[tokio::test]
async fn reports_add_up_money_by_plain_sql() {
    let mut world = World::new().await;
    for (name, minor) in [("one", 125_050), ("two", 99_950)] {
        let won =
            json!({ "stage": "won", "amount": { "minor": minor, "currency": "EUR" }, "close_date": "2026-01-31" });
        world.deal(name, Some("ana"), won).await;
    }
    world.deal("open", None, json!({ "amount": { "minor": 7, "currency": "EUR" } })).await;
    let sum = "SELECT printf('%.2f', sum(amount_minor) / 100.0) FROM v_opportunity WHERE stage = 'won'";
    assert_eq!(world.value(sum).await, "2250.00");
    let kinds = "SELECT group_concat(DISTINCT stage_kind || ' ' || amount_currency) FROM v_opportunity";
    assert_eq!(world.value(kinds).await, "won EUR,open EUR");
    let days = "SELECT DISTINCT close_date || ' ' || typeof(created_on) FROM v_opportunity WHERE stage = 'won'";
    assert_eq!(world.value(days).await, "2026-01-31 integer");
    let joined = "SELECT a.name FROM v_opportunity o JOIN v_account a ON a.id = o.account WHERE o.name = 'open'";
    assert_eq!(world.value(joined).await, "Acme");
}

#[tokio::test]
async fn every_view_of_the_core_model_can_be_read() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    for entity in Model::core().entities.values() {
        let sql = format!("SELECT * FROM \"{}\"", view::name(entity));
        let read = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *connection).await;
        read.unwrap_or_else(|error| panic!("the view of {}: {error}", entity.name));
    }
}

#[tokio::test]
async fn lookups_by_key_and_by_link_use_an_index() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    for sql in [
        "EXPLAIN QUERY PLAN SELECT id FROM v_opportunity WHERE account = 'x'",
        "EXPLAIN QUERY PLAN SELECT id FROM v_account WHERE name = 'Acme'",
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&mut *connection).await.expect("a plan");
        assert!(plan.iter().any(|(.., step)| step.contains("USING INDEX x_")), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn a_model_in_force_twice_changes_nothing_and_an_overlay_only_its_own() {
    let world = World::new().await;
    let yaml = "entity: opportunity\nfields:\n  region: {type: text, labels: {es: Región, en: Region}}\n";
    let overlay = Overlay { name: "region".into(), yaml: yaml.into() };
    let wider = Arc::new(Model::build(&[overlay]).expect("a sound overlay"));
    let mut transaction = world.app.db().write().await.expect("nobody else writes");

    let same = apply(&world.app.catalogue(), &mut transaction).await.expect("views");
    assert!(same.is_empty(), "{same:?}");
    let catalogue = Catalogue::load(wider, &mut transaction).await.expect("codes");
    let changed = apply(&catalogue, &mut transaction).await.expect("views");
    assert_eq!(changed, Changed { made: vec!["v_opportunity".into()], dropped: vec![] });
    sqlx::query("SELECT region FROM v_opportunity").fetch_all(&mut *transaction).await.expect("the new column");
}

#[tokio::test]
async fn what_the_model_no_longer_wants_is_dropped() {
    let world = World::new().await;
    let mut transaction = world.app.db().write().await.expect("nobody else writes");
    sqlx::query("CREATE VIEW v_relic AS SELECT 1 AS one").execute(&mut *transaction).await.expect("a view");
    let changed = apply(&world.app.catalogue(), &mut transaction).await.expect("views");
    assert_eq!(changed, Changed { made: vec![], dropped: vec!["v_relic".into()] });
}
