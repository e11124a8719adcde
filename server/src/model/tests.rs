use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::record::fixture::{Answer, World};

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
