use serde_json::json;

use crate::record::fixture::World;
use crate::record::read::ReadError;
use crate::record::read::search::SearchQuery;

async fn found(world: &World, user: &str, text: &str) -> Vec<String> {
    let mut connection = world.connection().await;
    let query = SearchQuery { q: text.to_owned(), ..SearchQuery::default() };
    let hits = world.reader(user).search(&mut connection, &query).await.expect("hits");
    hits.items.into_iter().map(|hit| hit.title).collect()
}

#[tokio::test]
async fn words_are_found_from_their_beginning_whatever_their_accents() {
    let mut world = World::new().await;
    world.make("account", "c", json!({ "name": "Cañerías Pérez e Hijos", "industry": "Fontanería" })).await;
    world.make("account", "d", json!({ "name": "Perera" })).await;
    for text in ["perez", "PÉREZ", "cañer pere", "caneri", "hijos fontaneria", "fontan"] {
        assert!(found(&world, "root", text).await.contains(&"Cañerías Pérez e Hijos".to_owned()), "{text}");
    }
    assert_eq!(found(&world, "root", "per").await.len(), 2);
    assert!(found(&world, "root", "erez").await.is_empty());
    assert!(found(&world, "root", "perez nadie").await.is_empty());
}

#[tokio::test]
async fn a_telephone_number_is_found_however_it_is_written() {
    let mut world = World::new().await;
    let phones = json!([{ "raw": "+34 612 34 56 78", "e164": "+34612345678" }]);
    world.make("contact", "p", json!({ "name": "Lucía", "phones": phones })).await;
    for text in [
        "+34 612 34 56 78",
        "+34612345678",
        "0034612345678",
        "34612345678",
        "612 34 56 78",
        "612-34-56-78",
        "612345678",
        "61234",
    ] {
        assert_eq!(found(&world, "root", text).await, ["Lucía"], "{text}");
    }
}

#[tokio::test]
async fn changed_words_are_found_and_old_ones_are_not() {
    let mut world = World::new().await;
    world.deal("Molino", None, json!({})).await;
    world.change("Molino", "opportunity", json!({ "name": "Faro" })).await;
    assert!(found(&world, "root", "molino").await.is_empty());
    assert_eq!(found(&world, "root", "faro").await, ["Faro"]);
    world.delete("Molino", "opportunity").await;
    assert!(found(&world, "root", "faro").await.is_empty());
}

#[tokio::test]
async fn words_of_hidden_fields_find_nothing_for_those_who_do_not_see_them() {
    let yaml = "
entity: opportunity
permissions:
  sales_rep: {create: true, read: team, update: own, fields: [name, account, owner, team, territory]}
";
    let mut world = World::new().await;
    world.overlay(yaml).await;
    world.deal("Dique", Some("ana"), json!({ "description": "quiebra" })).await;
    assert_eq!(found(&world, "mar", "quiebra").await, ["Dique"]);
    assert!(found(&world, "ana", "quiebra").await.is_empty());
    assert!(found(&world, "ana", "dique quiebra").await.is_empty());
    assert_eq!(found(&world, "ana", "dique").await, ["Dique"]);
}

#[tokio::test]
async fn a_search_without_a_word_or_in_an_unknown_entity_is_refused() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    for (q, entity, parameter) in [("  ", None, Some("q")), ("\"*", None, Some("q")), ("a", Some("nothing"), None)] {
        let query = SearchQuery { q: q.into(), entity: entity.map(str::to_owned), limit: None };
        let refused = world.reader("root").search(&mut connection, &query).await.expect_err(q);
        match parameter {
            Some(named) => assert!(matches!(refused, ReadError::Parameter { parameter, .. } if parameter == named)),
            None => assert!(matches!(refused, ReadError::UnknownEntity { .. }), "{refused:?}"),
        }
    }
}
