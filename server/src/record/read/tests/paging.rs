use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{deals, filtered, names};
use crate::record::fixture::World;
use crate::record::read::ReadError;
use crate::record::read::list::ListQuery;

fn sorted(sort: &str, limit: u32) -> ListQuery {
    ListQuery { sort: Some(sort.to_owned()), limit: Some(limit), ..ListQuery::default() }
}

/// All pages of a list, one name after the other.
async fn walk(world: &World, mut query: ListQuery) -> Vec<String> {
    let mut walked = Vec::new();
    loop {
        let page = deals(world, "root", query.clone()).await.expect("a page");
        walked.extend(names(&page));
        query.page = page.next;
        if query.page.is_none() {
            return walked;
        }
    }
}

#[tokio::test]
async fn pages_join_without_gap_or_repetition_whatever_the_order() {
    let mut world = World::new().await;
    let amounts = [Some(3), Some(1), None, Some(1), Some(2), None, Some(3)];
    for (at, amount) in amounts.into_iter().enumerate() {
        let amount = amount.map_or(json!({}), |minor| json!({ "amount": { "minor": minor, "currency": "EUR" } }));
        world.deal(&format!("d{at}"), None, amount).await;
    }
    for (sort, expected) in [
        ("", ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]),
        ("amount", ["d1", "d3", "d4", "d0", "d6", "d2", "d5"]),
        ("-amount", ["d0", "d6", "d4", "d1", "d3", "d2", "d5"]),
        ("amount,-name", ["d3", "d1", "d4", "d6", "d0", "d5", "d2"]),
        ("-seq", ["d6", "d5", "d4", "d3", "d2", "d1", "d0"]),
    ] {
        for limit in [1, 2, 3, 7, 50] {
            assert_eq!(walk(&world, sorted(sort, limit)).await, expected, "{sort:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_record_that_stays_comes_once_while_others_come_and_go() {
    let mut world = World::new().await;
    for at in 0..30 {
        world.deal(&format!("stays {at:02}"), None, json!({})).await;
    }
    for at in 0..10 {
        world.deal(&format!("stays {at:02} but goes"), None, json!({})).await;
    }
    let mut query = sorted("name", 4);
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0.. {
        let page = deals(&world, "root", query.clone()).await.expect("a page");
        for name in names(&page) {
            *times.entry(name).or_default() += 1;
        }
        let Some(next) = page.next else { break };
        query.page = Some(next);
        world.deal(&format!("new before {round}"), None, json!({})).await;
        world.deal(&format!("stays {:02} is new", 29 - round), None, json!({})).await;
        if round < 10 {
            world.delete(&format!("stays {round:02} but goes"), "opportunity").await;
        }
        // A change that the order does not look at moves nothing.
        world.change("stays 15", "opportunity", json!({ "next_step": format!("step {round}") })).await;
    }
    for at in 0..30 {
        assert_eq!(times.get(&format!("stays {at:02}")), Some(&1), "stays {at:02}");
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test]
async fn a_token_goes_on_only_where_it_came_from() {
    let mut world = World::new().await;
    for name in ["a", "b", "c"] {
        world.deal(name, None, json!({})).await;
    }
    let token = deals(&world, "root", sorted("name", 1)).await.expect("a page").next.expect("more");
    let other_list = ListQuery { page: Some(token.clone()), ..sorted("-name", 1) };
    let forged = ListQuery { page: Some("e30".into()), ..sorted("name", 1) };
    let cut = ListQuery { page: Some(token[..token.len() - 3].into()), ..sorted("name", 1) };
    for query in [other_list, forged, cut] {
        let refused = deals(&world, "root", query.clone()).await.expect_err("not this list's");
        assert!(matches!(refused, ReadError::Parameter { parameter: "page", .. }), "{query:?}: {refused:?}");
    }
}

#[tokio::test]
async fn texts_sort_as_people_read_and_stages_as_the_pipeline_goes() {
    let mut world = World::new().await;
    let dated = json!({ "amount": { "minor": 1, "currency": "EUR" }, "close_date": "2026-12-01" });
    for (name, stage) in [("zumo", "negotiation"), ("Ébano", "proposal"), ("abeto", "prospecting"), ("Álamo", "won")]
    {
        let mut fields = dated.clone();
        fields["stage"] = Value::from(stage);
        world.deal(name, None, fields).await;
    }
    assert_eq!(walk(&world, sorted("name", 1)).await, ["abeto", "Álamo", "Ébano", "zumo"]);
    assert_eq!(walk(&world, sorted("stage", 1)).await, ["abeto", "Ébano", "zumo", "Álamo"]);
}

#[tokio::test]
async fn limits_and_sort_keys_are_bounded_and_named() {
    let world = World::new().await;
    for (query, parameter) in
        [(sorted("name", 0), "limit"), (sorted("name", 501), "limit"), (sorted("id,id,id,id,id", 1), "sort")]
    {
        let refused = deals(&world, "root", query).await.expect_err(parameter);
        assert!(matches!(refused, ReadError::Parameter { parameter: named, .. } if named == parameter), "{refused:?}");
    }
    for sort in ["tags", "contacts"] {
        let refused = deals(&world, "root", sorted(sort, 1)).await.expect_err(sort);
        assert!(matches!(refused, ReadError::UnfitField { parameter: "sort", .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_page_holds_the_fields_that_were_asked_for() {
    let mut world = World::new().await;
    world.deal("a", Some("ana"), json!({})).await;
    let query = ListQuery { fields: Some("name, owner".into()), ..filtered("owner != null") };
    let page = deals(&world, "root", query).await.expect("a page");
    let fields = page.items[0].parsed().expect("an object");
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["name", "owner"]);
}
