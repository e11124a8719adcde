use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::record::fixture::{Answer, World};

mod evolution;

const ENGAGING: &str = "
entity: opportunity
fields:
  region: {type: text, search: true, labels: {es: Región, en: Region}}
pipelines:
  sales:
    - {key: engaging, kind: open, probability: 30, category: pipeline, after: prospecting, labels: {es: En conversación, en: Engaging}}
";

async fn apply(world: &World, who: &str, name: &str, yaml: &str) -> Answer {
    let body = json!({ "name": name, "yaml": yaml });
    world.ask(who, Method::POST, "/api/v1/model/layers", Some(body)).await
}

async fn hash(world: &World, who: &str) -> Value {
    world.ask(who, Method::GET, "/api/v1/model", None).await.body["hash"].clone()
}

#[tokio::test]
async fn an_overlay_is_in_force_at_once_for_everybody() {
    let mut world = World::new().await;
    let before = hash(&world, "ana").await;
    let applied = apply(&world, "", "crm-sales", ENGAGING).await;
    assert_eq!((applied.status, &applied.body["changed"]), (StatusCode::OK, &json!(true)), "{applied:?}");
    assert_eq!(applied.body["views"], json!(["v_opportunity"]));
    assert_ne!(hash(&world, "ana").await, before);

    world.deal("Faro", Some("ana"), json!({ "stage": "engaging", "region": "Costa" })).await;
    assert_eq!(world.value("SELECT stage || stage_kind || region FROM v_opportunity").await, "engagingopenCosta");
    let found = world.ask("ana", Method::GET, "/api/v1/search?q=costa", None).await;
    assert_eq!(found.body["items"][0]["title"], "Faro");

    let again = apply(&world, "root", "crm-sales", ENGAGING).await;
    assert_eq!((&again.body["changed"], &again.body["views"]), (&json!(false), &json!([])));
    let layers = world.ask("root", Method::GET, "/api/v1/model/layers", None).await.body;
    assert_eq!((&layers["items"][0]["name"], layers["items"].as_array().map(Vec::len)), (&json!("crm-sales"), Some(1)));
}

#[tokio::test]
async fn a_checked_overlay_changes_nothing() {
    let world = World::new().await;
    let before = hash(&world, "root").await;
    let body = json!({ "name": "crm-sales", "yaml": ENGAGING });
    let checked = world.ask("root", Method::POST, "/api/v1/model/layers?check=true", Some(body)).await;
    assert_eq!((checked.status, &checked.body["changed"]), (StatusCode::OK, &json!(true)));
    assert_eq!(hash(&world, "root").await, before);
    assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM model_layer").await, "0");
}

#[tokio::test]
async fn a_refused_overlay_changes_nothing_and_names_every_mistake() {
    let world = World::new().await;
    let before = hash(&world, "root").await;
    let wrong = "
entity: opportunity
fields:
  shade: {type: colour, labels: {es: Tono, en: Shade}}
---
entity: account
fields:
  rank: {type: text}
  to_nowhere: {type: link, to: unicorn, labels: {es: A, en: B}}
";
    for yaml in [wrong, "entity: [", "", "fields: {}"] {
        let refused = apply(&world, "root", "wrong", yaml).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (422, &json!("invalid-model")), "{refused:?}");
        assert!(!refused.body["fields"].as_array().expect("problems").is_empty(), "{refused:?}");
    }
    assert_eq!(hash(&world, "root").await, before);
    assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM model_layer").await, "0");
}

#[tokio::test]
async fn what_records_may_hold_is_not_taken_away() {
    let world = World::new().await;
    apply(&world, "root", "crm-sales", ENGAGING).await;
    let without = "entity: opportunity\nfields:\n  other: {type: text, labels: {es: Otro, en: Other}}\n";
    let refused = apply(&world, "root", "crm-sales", without).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let paths: Vec<&str> = refused.body["fields"]
        .as_array()
        .expect("problems")
        .iter()
        .filter_map(|problem| problem["field"].as_str())
        .collect();
    assert_eq!(paths, ["opportunity.region", "opportunity.pipelines.sales.engaging"]);
}

#[tokio::test]
async fn only_administrators_see_and_change_overlays() {
    let world = World::new().await;
    for who in ["ana", "mar"] {
        assert_eq!(apply(&world, who, "crm-sales", ENGAGING).await.status, StatusCode::FORBIDDEN, "{who}");
        let layers = world.ask(who, Method::GET, "/api/v1/model/layers", None).await;
        assert_eq!(layers.status, StatusCode::FORBIDDEN, "{who}");
    }
    let named = apply(&world, "root", "../x", ENGAGING).await;
    assert_eq!((named.status.as_u16(), &named.body["fields"][0]["field"]), (422, &json!("name")));
}

#[tokio::test]
async fn each_role_gets_its_own_model_and_by_its_hash_for_ever() {
    let world = World::new().await;
    let rep = world.ask("ana", Method::GET, "/api/v1/model", None).await;
    assert!(rep.body["entities"]["opportunity"]["fields"].get("cost").is_none());
    let manager = world.ask("mar", Method::GET, "/api/v1/model", None).await;
    assert!(manager.body["entities"]["opportunity"]["fields"].get("cost").is_some());

    let path = |answer: &Answer| format!("/sync/v1/model/{}", answer.body["hash"].as_str().expect("a hash"));
    let by_hash = world.ask("ana", Method::GET, &path(&rep), None).await;
    assert_eq!(by_hash.body, rep.body);
    assert!(by_hash.headers[header::CACHE_CONTROL].to_str().expect("text").contains("immutable"));
    let others = world.ask("ana", Method::GET, &path(&manager), None).await;
    assert_eq!((others.status, &others.body["model"]), (StatusCode::NOT_FOUND, &rep.body["hash"]));

    let tag = rep.headers[header::ETAG].to_str().expect("text");
    let again = world.ask_with("ana", Method::GET, "/api/v1/model", None, &[("if-none-match", tag)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_role_that_an_overlay_brings_can_be_given_at_once() {
    let world = World::new().await;
    let yaml = "entity: account\npermissions:\n  auditor: {read: all}\n";
    let applied = apply(&world, "root", "audit", yaml).await;
    assert_eq!(applied.status, StatusCode::OK, "{applied:?}");
    assert!(world.app.directory().role_by_key("auditor").is_some());
}

async fn products(world: &mut World, skus: &[(&str, &str)]) {
    for (name, family) in skus {
        world.make("product", name, json!({ "name": name, "external_id": family })).await;
    }
}

const UNIQUE_ID: &str = "entity: product\nfields:\n  external_id: {unique: true}\n";

#[tokio::test]
async fn a_field_that_becomes_unique_is_so_for_the_records_that_are_there() {
    let mut world = World::new().await;
    products(&mut world, &[("Grúa", "A-1"), ("Polipasto", "A-2")]).await;
    let applied = apply(&world, "root", "ids", UNIQUE_ID).await;
    assert_eq!(applied.status, StatusCode::OK, "{applied:?}");
    let twin = json!({ "fields": { "name": "Otra grúa", "external_id": " a-1 " } });
    let refused = world.ask("root", Method::POST, "/api/v1/product", Some(twin.clone())).await;
    assert_eq!(refused.body["fields"][0]["code"], "not-unique", "{refused:?}");
    world.change("Grúa", "product", json!({ "external_id": "A-3" })).await;
    let taken = world.ask("root", Method::POST, "/api/v1/product", Some(twin)).await;
    assert_eq!(taken.status, StatusCode::CREATED, "what the first let go of is free: {taken:?}");
}

#[tokio::test]
async fn where_records_share_a_value_it_does_not_become_unique_and_they_are_named() {
    let mut world = World::new().await;
    products(&mut world, &[("Grúa", "A-1"), ("Polipasto", "A-2"), ("Grúa vieja", "a-1"), ("Cabestrante", "B")]).await;
    let before = hash(&world, "root").await;
    let body = json!({ "name": "ids", "yaml": UNIQUE_ID });
    for path in ["/api/v1/model/layers", "/api/v1/model/layers?check=true"] {
        let refused = world.ask("root", Method::POST, path, Some(body.clone())).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (422, &json!("invalid-model")), "{refused:?}");
        let problems = refused.body["fields"].as_array().expect("problems");
        assert_eq!((problems.len(), &problems[0]["field"]), (1, &json!("product.external_id")), "{problems:?}");
        let message = problems[0]["message"].as_str().expect("a sentence");
        for named in ["“A-1”", "Grúa (", "Grúa vieja (", &world.id("Grúa vieja").to_string()] {
            assert!(message.contains(named), "{named} is missing: {message}");
        }
        assert!(!message.contains("Polipasto"), "{message}");
    }
    assert_eq!(hash(&world, "root").await, before);
    assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM unique_value WHERE field = 'external_id'").await, "0");

    world.change("Grúa vieja", "product", json!({ "external_id": "A-9" })).await;
    assert_eq!(apply(&world, "root", "ids", UNIQUE_ID).await.status, StatusCode::OK, "once each has its own");
}

#[tokio::test]
async fn a_field_that_becomes_searched_is_searched_in_the_records_that_are_there() {
    let mut world = World::new().await;
    let crane = json!({ "name": "Grúa", "website": "https://example.es/nandu" });
    world.make("product", "Grúa", crane).await;
    world.make("product", "Polipasto", json!({ "name": "Polipasto" })).await;
    let found = async |word: &str| {
        let found = world.ask("root", Method::GET, &format!("/api/v1/search?q={word}"), None).await;
        found.body["items"].as_array().expect("hits").iter().map(|hit| hit["title"].clone()).collect::<Vec<_>>()
    };
    assert!(found("nandu").await.is_empty());
    let yaml = "entity: product\nfields:\n  website: {search: true}\n";
    assert_eq!(apply(&world, "root", "words", yaml).await.status, StatusCode::OK);
    assert_eq!(found("nandu").await, ["Grúa"]);
    assert_eq!(found("grua").await, ["Grúa"], "what was found before is found still, and once");

    let yaml = "entity: product\nfields:\n  website: {search: false}\n  name: {search: false}\n";
    assert_eq!(apply(&world, "root", "words", yaml).await.status, StatusCode::OK);
    assert!(found("nandu").await.is_empty() && found("polipasto").await.is_empty());
}
