use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::record::fixture::{Answer, World};

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default())
}

fn etag(answer: &Answer) -> &str {
    answer.headers[header::ETAG].to_str().expect("a tag")
}

/// ana's deal, with the path to it.
async fn with_deal() -> (World, String) {
    let mut world = World::new().await;
    let id = world.deal("Faro", Some("ana"), json!({ "amount": { "minor": 900, "currency": "EUR" } })).await;
    (world, format!("/api/v1/opportunity/{id}"))
}

#[tokio::test]
async fn a_record_is_made_read_changed_and_deleted() {
    let world = World::new().await;
    let body = json!({ "fields": { "name": "Talleres Ruiz", "tags": ["feria", "b", "b"] } });
    let made = world.ask("ana", Method::POST, "/api/v1/account", Some(body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.body["fields"]["owner"], json!(world.id("ana")), "who makes it owns it");
    let path = made.headers[header::LOCATION].to_str().expect("a path").to_owned();
    assert_eq!(path, format!("/api/v1/account/{}", made.body["id"].as_str().expect("an id")));

    let read = world.ask("ana", Method::GET, &path, None).await;
    assert_eq!((read.status, etag(&read)), (StatusCode::OK, etag(&made)));
    assert_eq!(read.body["fields"]["tags"], json!(["b", "feria"]));
    let known = [("if-none-match", etag(&made))];
    let again = world.ask_with("ana", Method::GET, &path, None, &known).await;
    assert_eq!((again.status, again.body), (StatusCode::NOT_MODIFIED, Value::Null));

    let patch = json!({
        "set": { "industry": "Motor", "notes": null },
        "ops": [{ "op": "add", "field": "tags", "values": ["taller"] }],
    });
    let changed = world.ask("ana", Method::PATCH, &path, Some(patch)).await;
    assert_eq!((changed.status, &changed.body["verdict"]), (StatusCode::OK, &json!("applied")), "{changed:?}");
    assert_eq!(changed.body["fields"]["tags"], json!(["b", "feria", "taller"]));
    assert_ne!(etag(&changed), etag(&made));

    let forbidden = world.ask("ana", Method::DELETE, &path, None).await;
    assert_eq!(code(&forbidden), (403, "forbidden"), "representatives delete nothing");
    let gone = world.ask("root", Method::DELETE, &path, None).await;
    assert_eq!((gone.status, gone.body), (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(code(&world.ask("root", Method::GET, &path, None).await), (404, "not-found"));
}

#[tokio::test]
async fn a_creation_that_is_repeated_makes_nothing_twice() {
    let world = World::new().await;
    let body = json!({ "id": world.new_id(), "fields": { "name": "Una" } });
    let first = world.ask("ana", Method::POST, "/api/v1/account", Some(body.clone())).await;
    assert_eq!((first.status, &first.body["id"]), (StatusCode::CREATED, &body["id"]));
    let second = world.ask("ana", Method::POST, "/api/v1/account", Some(body)).await;
    assert_eq!(code(&second), (409, "already-exists"));
}

#[tokio::test]
async fn a_known_base_merges_by_field_as_for_a_device() {
    let (world, path) = with_deal().await;
    let base = world.ask("ana", Method::GET, &path, None).await.body["seq"].clone();
    world.change("Faro", "opportunity", json!({ "next_step": "llamar" })).await;
    let other_field = json!({ "base": base, "set": { "description": "puerto" } });
    let merged = world.ask("ana", Method::PATCH, &path, Some(other_field)).await;
    assert_eq!(merged.status, StatusCode::OK, "{merged:?}");
    assert_eq!(merged.body["fields"]["next_step"], "llamar");

    let dated = json!({ "stage": "proposal", "close_date": "2026-12-01" });
    world.change("Faro", "opportunity", dated).await;
    let guarded = json!({ "base": base, "set": { "stage": "qualification" } });
    let conflict = world.ask("ana", Method::PATCH, &path, Some(guarded)).await;
    assert_eq!(code(&conflict), (409, "conflict"));
    assert_eq!(conflict.body["fields"][0]["field"], "stage");
    assert!(conflict.body["seq"].is_u64(), "the sequence to start again from: {conflict:?}");
}

#[tokio::test]
async fn if_match_does_nothing_once_anything_changed() {
    let (world, path) = with_deal().await;
    let read = world.ask("mar", Method::GET, &path, None).await;
    let tag = [("if-match", etag(&read))];
    world.change("Faro", "opportunity", json!({ "next_step": "llamar" })).await;
    let patch = json!({ "set": { "description": "puerto" } });
    let stale = world.ask_with("mar", Method::PATCH, &path, Some(patch.clone()), &tag).await;
    assert_eq!(code(&stale), (412, "conflict"));
    assert_eq!(code(&world.ask_with("mar", Method::DELETE, &path, None, &tag).await), (412, "conflict"));
    let read = world.ask("mar", Method::GET, &path, None).await;
    let tag = [("if-match", etag(&read))];
    let changed = world.ask_with("mar", Method::PATCH, &path, Some(patch), &tag).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let tag = [("if-match", etag(&changed))];
    assert_eq!(world.ask_with("mar", Method::DELETE, &path, None, &tag).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn refused_values_are_told_by_field_in_the_callers_language() {
    let (world, path) = with_deal().await;
    let lost = json!({ "set": { "stage": "lost" } });
    for (language, word) in [("es", "Motivo"), ("en", "Close reason")] {
        let headers = [("accept-language", language)];
        let refused = world.ask_with("ana", Method::PATCH, &path, Some(lost.clone()), &headers).await;
        assert_eq!(code(&refused), (422, "invalid"), "{refused:?}");
        let field = &refused.body["fields"][0];
        assert_eq!((&field["field"], &field["code"]), (&json!("close_reason"), &json!("required")));
        assert!(field["message"].as_str().expect("a sentence").contains(word), "{language}: {field}");
    }
    let read = world.ask("ana", Method::GET, &path, None).await;
    assert_eq!(read.body["fields"]["stage"], "prospecting", "nothing was done");
}

#[tokio::test]
async fn unknown_names_are_told_and_hidden_ones_in_the_same_words() {
    let (world, path) = with_deal().await;
    assert_eq!(code(&world.ask("root", Method::GET, "/api/v1/unicorn", None).await), (404, "unknown-entity"));
    let body = json!({ "fields": {} });
    assert_eq!(code(&world.ask("root", Method::POST, "/api/v1/unicorn", Some(body)).await), (404, "unknown-entity"));
    let money = json!({ "minor": 1, "currency": "EUR" });
    let mut told = Vec::new();
    for field in ["unicorn", "cost"] {
        let patch = json!({ "set": { field: money } });
        let refused = world.ask("ana", Method::PATCH, &path, Some(patch)).await;
        assert_eq!(code(&refused), (422, "invalid"), "{refused:?}");
        assert_eq!(refused.body["fields"][0]["field"], field);
        told.push(refused.body.to_string().replace(field, "x"));
        let listed = world.ask("ana", Method::GET, &format!("/api/v1/opportunity?sort={field}"), None).await;
        assert_eq!(code(&listed), (422, "unknown-field"), "{listed:?}");
        assert_eq!(listed.body["fields"][0]["field"], field);
    }
    let without_id = |text: &str| {
        let mut problem: Value = serde_json::from_str(text).expect("JSON");
        problem["request_id"] = Value::Null;
        problem
    };
    assert_eq!(without_id(&told[0]), without_id(&told[1]));
}

#[tokio::test]
async fn lists_sums_search_and_history_answer_over_http() {
    let (world, path) = with_deal().await;
    let ask = async |path: &str| world.ask("ana", Method::GET, path, None).await;
    let page = ask("/api/v1/opportunity?where=name%20%3D%3D%20'Faro'&fields=name&limit=1").await;
    assert_eq!(page.body["items"][0]["fields"], json!({ "name": "Faro" }), "{page:?}");
    assert!(page.body.get("next").is_none());
    let sums = ask("/api/v1/opportunity/summary?sum=amount&by=stage").await;
    assert_eq!(
        sums.body["groups"],
        json!([{ "key": "prospecting", "count": 1, "sum": { "amount": [{ "minor": 900, "currency": "EUR" }] } }])
    );
    let hits = ask("/api/v1/search?q=far").await;
    assert_eq!(
        (&hits.body["items"][0]["title"], &hits.body["items"][0]["entity"]),
        (&json!("Faro"), &json!("opportunity"))
    );
    let history = ask(&format!("{path}/history")).await;
    assert_eq!(history.body["items"][0]["kind"], "made", "{history:?}");
}

#[tokio::test]
async fn parameters_that_are_not_understood_are_named() {
    let world = World::new().await;
    for (query, expected) in [
        ("where=nothing%20%3D%3D%201", (422, "invalid-expression")),
        ("where=1%20%2B", (422, "invalid-expression")),
        ("where=name", (422, "invalid-expression")),
        ("limit=501", (422, "invalid-parameter")),
        ("page=e30", (422, "invalid-parameter")),
        ("limit=many", (400, "invalid-query")),
        ("wher=true", (400, "invalid-query")),
    ] {
        let refused = world.ask("root", Method::GET, &format!("/api/v1/account?{query}"), None).await;
        assert_eq!(code(&refused), expected, "{query}: {refused:?}");
    }
}

#[tokio::test]
async fn a_filter_that_fails_in_some_record_is_a_problem_in_the_readers_language() {
    let (world, _) = with_deal().await;
    for (filter, es, en) in [
        ("1%20/%20(amount%20-%20900)%20%3E%200", "hay una división por cero", "there is a division by zero"),
        ("1%20%25%20(amount%20-%20900)%20%3D%3D%200", "hay una división por cero", "there is a division by zero"),
        ("amount%20*%209223372036854775807%20%3E%200", "no cabe en 64 bits", "does not fit 64 bits"),
    ] {
        for path in ["", "/summary", "/export"] {
            let who = if path == "/export" { "mar" } else { "ana" };
            for (language, said) in [("es", es), ("en", en)] {
                let path = format!("/api/v1/opportunity{path}?where={filter}");
                let refused = world.ask_with(who, Method::GET, &path, None, &[("accept-language", language)]).await;
                assert_eq!(code(&refused), (422, "invalid-expression"), "{path}: {refused:?}");
                let detail = refused.body["detail"].as_str().expect("it says what is wrong");
                assert!(detail.contains(said) && !detail.contains("JSON path"), "{path}: {detail}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_is_told_in_spanish_and_quoted_in_english() {
    let world = World::new().await;
    let refused = world.ask("root", Method::GET, "/api/v1/account?where=nothing%20%3D%3D%201", None).await;
    let detail = refused.body["detail"].as_str().expect("it says what is wrong");
    assert!(detail.starts_with("No se entiende where: hay un error en el carácter 1; en inglés: «"), "{detail}");
}

#[tokio::test]
async fn a_body_of_another_form_changes_nothing() {
    let (world, path) = with_deal().await;
    let before = world.ask("ana", Method::GET, &path, None).await.body;
    for body in [
        json!([]),
        json!({ "fields": { "name": "x" } }),
        json!({ "set": { "name": 7 } }),
        json!({ "set": { "id": "x" } }),
    ] {
        let refused = world.ask("ana", Method::PATCH, &path, Some(body.clone())).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {refused:?}");
    }
    assert_eq!(world.ask("ana", Method::GET, &path, None).await.body, before);
}

#[tokio::test]
async fn a_change_that_takes_a_record_out_of_sight_answers_without_its_fields() {
    let (world, path) = with_deal().await;
    let patch =
        json!({ "set": { "owner": world.id("carla"), "team": world.id("Sevilla"), "territory": world.id("Sur") } });
    let given = world.ask("ana", Method::PATCH, &path, Some(patch)).await;
    assert_eq!(given.status, StatusCode::OK, "{given:?}");
    assert!(given.body.get("fields").is_none(), "{given:?}");
    assert_eq!(code(&world.ask("ana", Method::GET, &path, None).await), (404, "not-found"));
}
