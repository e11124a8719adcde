//! `opportunity.cost` has level 1: managers see it, representatives do not.

use serde_json::json;

use super::{deals, filtered};
use crate::record::fixture::World;
use crate::record::read::ReadError;
use crate::record::read::history::HistoryQuery;
use crate::record::read::list::ListQuery;
use crate::record::read::summary::SummaryQuery;

async fn costly() -> World {
    let mut world = World::new().await;
    let money = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    world.deal("deal", Some("ana"), json!({ "amount": money(900), "cost": money(400) })).await;
    world.change("deal", "opportunity", json!({ "cost": money(500) })).await;
    world
}

fn is_unknown(refused: &ReadError) -> bool {
    match refused {
        ReadError::UnknownField { field, .. } => field == "cost",
        ReadError::Filter { source } => source.to_string().contains("cost"),
        _ => false,
    }
}

#[tokio::test]
async fn a_hidden_field_is_in_no_answer() {
    let world = costly().await;
    let mut connection = world.connection().await;
    let rep = world.reader("ana").get(&mut connection, "opportunity", world.id("deal")).await.expect("her own");
    let rep = rep.parsed().expect("an object");
    assert!(rep.contains_key("amount") && !rep.contains_key("cost") && !rep.contains_key("margin"), "{rep:?}");
    let manager = world.reader("mar").get(&mut connection, "opportunity", world.id("deal")).await.expect("her team's");
    assert_eq!(manager.parsed().expect("an object")["cost"]["minor"], 500);

    let listed = deals(&world, "ana", ListQuery::default()).await.expect("a list");
    assert!(!listed.items[0].fields.get().contains("cost"));

    let query = HistoryQuery::default();
    let rep =
        world.reader("ana").history(&mut connection, "opportunity", world.id("deal"), &query).await.expect("history");
    assert!(rep.items.iter().all(|entry| !matches!(entry.field.as_deref(), Some("cost" | "margin"))), "{rep:?}");
    let manager =
        world.reader("mar").history(&mut connection, "opportunity", world.id("deal"), &query).await.expect("history");
    let cost = manager.items.iter().find(|entry| entry.field.as_deref() == Some("cost")).expect("it changed");
    assert_eq!(
        (&cost.old.as_ref().expect("old")["minor"], &cost.new.as_ref().expect("new")["minor"]),
        (&json!(400), &json!(500))
    );
}

#[tokio::test]
async fn naming_a_hidden_field_is_naming_none() {
    let world = costly().await;
    let named = |name: &str| (name == "cost").then(|| "cost".to_owned());
    for parameter in ["where", "sort", "fields"] {
        let query = |field: &str| match parameter {
            "where" => filtered(&format!("{field} != null")),
            "sort" => ListQuery { sort: Some(format!("-{field}")), ..ListQuery::default() },
            _ => ListQuery { fields: Some(format!("name,{field}")), ..ListQuery::default() },
        };
        let refused = deals(&world, "ana", query("cost")).await.expect_err(parameter);
        assert!(is_unknown(&refused), "{parameter}: {refused:?}");
        deals(&world, "mar", query("cost")).await.expect("a manager sees it");
        // What does not exist is refused in the same words.
        let missing = deals(&world, "ana", query("toll")).await.expect_err(parameter);
        assert_eq!(missing.to_string().replace("toll", "cost"), refused.to_string());
    }
    let mut connection = world.connection().await;
    let (sum, by) = (named("cost"), named("cost"));
    for query in [SummaryQuery { sum, ..SummaryQuery::default() }, SummaryQuery { by, ..SummaryQuery::default() }] {
        let refused = world.reader("ana").summary(&mut connection, "opportunity", &query).await.expect_err("hidden");
        assert!(is_unknown(&refused), "{refused:?}");
    }
}

#[tokio::test]
async fn a_hidden_field_is_hidden_inside_an_expression_too() {
    let world = costly().await;
    for hostile in ["has(cost)", "cost.currency == 'EUR'", "amount > 0 && cost > 0", "true || cost == 1", "margin > 0"]
    {
        let refused = deals(&world, "ana", filtered(hostile)).await.expect_err(hostile);
        assert!(matches!(refused, ReadError::Filter { .. }), "{hostile}: {refused:?}");
    }
}
