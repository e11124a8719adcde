//! More than the server takes at once: it says so and when to come again, and what is small and urgent goes on.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use cartera_server::record::write::{Author, Change};
use cartera_server::user::rights::Rights;
use crm::Fields;
use crm::model::Language;
use crm::rules::Gaps;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sync_protocol::wire::MutationKind;

use crate::listening::Phone;
use crate::support::World;

async fn company(first_syncs: usize, waiting: usize) -> World {
    let world = World::with(|config| {
        config.limits.first_syncs = first_syncs;
        config.limits.first_syncs_waiting = waiting;
        config.limits.writer_queue_bytes = 64 << 10;
        // Who keeps a place in these stories keeps it, however slow the machine is.
        config.http.request_timeout = Duration::from_mins(30);
    })
    .await;
    world.add_user("ana@example.com", "sales_rep").await;
    world
}

/// Begins a first sync and leaves its answer where it is.
async fn begin_first_sync(world: &World, token: &str, mutations: &Value) -> Response {
    let body = json!({ "protocol": 1, "mutations": mutations }).to_string();
    let request = Request::post("/sync/v1/exchange")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    world.open_stream(request.body(Body::from(body)).expect("a request")).await
}

/// Waits until the place of an answer that was let go is free again.
async fn until_all_are_free(world: &World) {
    let freed = async {
        while !metric(world, "cartera_first_syncs 0").await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), freed).await.expect("places are free again after a while");
}

async fn metric(world: &World, line: &str) -> bool {
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let bytes = world.as_operator_raw(request).await.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&bytes).lines().any(|own| own == line)
}

#[tokio::test]
async fn first_syncs_beyond_the_limit_come_again_while_pushes_and_small_pulls_go_on() {
    let world = company(1, 0).await;
    let mut in_step = Phone::enrol(&world, "ana@example.com").await;
    in_step.make_account("Primera").await;
    let (_, one) = world.enrol("ana@example.com").await;
    let (_, two) = world.enrol("ana@example.com").await;
    until_all_are_free(&world).await;

    let under_way = begin_first_sync(&world, &one, &json!([])).await;
    assert_eq!(under_way.status(), 200);
    let refused = begin_first_sync(&world, &two, &json!([])).await;
    assert_eq!(refused.status(), 503);
    let wait: u64 = refused.headers()["retry-after"].to_str().ok().and_then(|secs| secs.parse().ok()).expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    in_step.make_account("Segunda").await;
    assert_eq!(in_step.exchange(json!([])).await["more"], json!(false));
    assert!(metric(&world, "cartera_first_syncs 1").await);
    assert!(metric(&world, r#"cartera_refused_total{lane="first_sync"} 1"#).await);

    drop(under_way);
    until_all_are_free(&world).await;
    assert_eq!(begin_first_sync(&world, &two, &json!([])).await.status(), 200);
}

#[tokio::test]
async fn chunks_and_comparisons_stand_in_the_same_lane() {
    let world = company(1, 0).await;
    let mut in_step = Phone::enrol(&world, "ana@example.com").await;
    in_step.exchange(json!([])).await;
    until_all_are_free(&world).await;
    let (_, one) = world.enrol("ana@example.com").await;
    let manifest = world.send(Some(&one), Method::POST, "/sync/v1/manifest", json!({"protocol": 1})).await.expect(200);
    let hash = manifest["chunks"][0]["hash"].as_str().expect("somebody to see").to_owned();
    let under_way = begin_first_sync(&world, &one, &json!([])).await;
    let requests = [
        (Method::GET, format!("/sync/v1/chunk/{hash}"), Value::Null),
        (Method::POST, "/sync/v1/chunks".to_owned(), json!({"chunks": [hash]})),
        (
            Method::POST,
            "/sync/v1/digest".to_owned(),
            json!({"protocol": 1, "cursor": in_step.cursor, "limit_bytes": 1}),
        ),
    ];
    let send = async |(method, path, body): (Method, String, Value)| {
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("authorization", format!("Bearer {}", in_step.token))
            .header("content-type", "application/json");
        world.open_stream(request.body(Body::from(body.to_string())).expect("a request")).await
    };
    for request in requests.clone() {
        let path = request.1.clone();
        let refused = send(request).await;
        assert_eq!(refused.status(), 503, "{path}");
        assert!(refused.headers().contains_key("retry-after"), "{path}");
    }
    drop(under_way);
    for request in requests {
        until_all_are_free(&world).await;
        let path = request.1.clone();
        let answer = send(request).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(metric(&world, "cartera_first_syncs 1").await, "{path} keeps its place until it was read");
        answer.into_body().collect().await.expect("a whole body");
    }
    until_all_are_free(&world).await;
}

#[tokio::test]
async fn who_waits_for_a_manifest_keeps_nobody_from_what_is_there() {
    let world = company(1, 0).await;
    let (_, one) = world.enrol("ana@example.com").await;
    let under_way = begin_first_sync(&world, &one, &json!([])).await;
    let manifest = world.send(Some(&one), Method::POST, "/sync/v1/manifest", json!({"protocol": 1})).await.expect(200);
    assert!(manifest["chunks"].as_array().is_some_and(|chunks| !chunks.is_empty()), "{manifest}");
    drop(under_way);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_does_not_keep_its_place() {
    let world = World::with(|config| {
        config.limits.first_syncs = 1;
        config.http.request_timeout = Duration::from_secs(4);
    })
    .await;
    world.add_user("ana@example.com", "sales_rep").await;
    let (_, one) = world.enrol("ana@example.com").await;
    let (_, two) = world.enrol("ana@example.com").await;
    let never_read = begin_first_sync(&world, &one, &json!([])).await;
    until_all_are_free(&world).await;
    assert_eq!(begin_first_sync(&world, &two, &json!([])).await.status(), 200);
    let cut_off = never_read.into_body().collect().await.expect_err("nor its memory");
    assert!(cut_off.to_string().contains("nobody took the answer"), "{cut_off}");
}

#[tokio::test]
async fn a_first_sync_waits_for_its_turn() {
    let world = company(1, 1).await;
    let (_, one) = world.enrol("ana@example.com").await;
    let (_, two) = world.enrol("ana@example.com").await;
    let under_way = begin_first_sync(&world, &one, &json!([])).await;
    let nothing = json!([]);
    let mut waiting = std::pin::pin!(begin_first_sync(&world, &two, &nothing));
    while !metric(&world, "cartera_first_syncs_waiting 1").await {
        assert!(futures_util::poll!(&mut waiting).is_pending(), "it waits");
    }
    drop(under_way);
    assert_eq!(waiting.await.status(), 200);
}

#[tokio::test]
async fn what_a_device_that_starts_over_pushes_is_done_and_told_even_when_its_page_has_to_wait() {
    let world = company(1, 0).await;
    let (_, one) = world.enrol("ana@example.com").await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    until_all_are_free(&world).await;
    let under_way = begin_first_sync(&world, &one, &json!([])).await;
    assert_eq!(under_way.status(), 200);
    let mutation = json!([{ "id": 1, "kind": "create", "entity": "account", "record": "01930c1e-7a10-7000-8000-0000000fffff", "set": { "name": "Mía" }, "at_ms": 1 }]);
    let pushed = begin_first_sync(&world, &phone.token, &mutation).await;
    assert_eq!(pushed.status(), 200);
    let bytes = pushed.into_body().collect().await.expect("a whole body").to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!((&answer["outcomes"][0]["verdict"], &answer["operations"]), (&json!("applied"), &json!([])));
    assert_eq!(answer["more"], json!(true), "the page is still to come");
    drop(under_way);
    until_all_are_free(&world).await;
    phone.cursor = answer["cursor"].clone();
    let rest = phone.exchange(json!([])).await;
    assert!(rest["operations"].to_string().contains("Mía"), "{rest}");
}

#[tokio::test]
async fn nobody_who_reads_waits_for_an_import_under_way() {
    let world = company(16, 16).await;
    let mut in_step = Phone::enrol(&world, "ana@example.com").await;
    in_step.make_account("Primera").await;
    let session = world.sign_in("ana@example.com").await;
    let (_, new) = world.enrol("ana@example.com").await;

    // A transaction that has written and does not end.
    let rights = Arc::new(Rights::of_operator(&world.app.catalogue()));
    let author = Author { user: None, device: 0, rights, language: Language::En };
    let mut import = world.app.writer().bulk(author, Gaps::Keep).await.expect("it begins");
    let imported = Change {
        kind: MutationKind::Create,
        entity: "account".to_owned(),
        record: "01930c1e-7a10-7000-8000-0000000ffffe".parse().expect("an id"),
        base: None,
        set: Fields::from([("name".to_owned(), json!("Segunda"))]),
        ops: Vec::new(),
    };
    let decisions = import.write(vec![imported]).await.expect("it is written");
    assert!(!decisions[0].is_rejected(), "{decisions:?}");

    assert_eq!(in_step.exchange(json!([])).await["more"], json!(false));
    let restored = json!({"protocol": 1, "cursor": in_step.cursor, "why": "epoch", "limit_bytes": 1024});
    world.send(Some(&in_step.token), Method::POST, "/sync/v1/digest", restored).await.expect(200);
    assert_eq!(begin_first_sync(&world, &new, &json!([])).await.status(), 200);
    let manifest = world.send(Some(&new), Method::POST, "/sync/v1/manifest", json!({"protocol": 1})).await.expect(200);
    assert!(manifest["chunks"].as_array().is_some_and(|chunks| !chunks.is_empty()), "{manifest}");
    let listed = world.get(&session, "/api/v1/account").await.expect(200).to_string();
    assert!(listed.contains("Primera") && !listed.contains("Segunda"), "{listed}");
    import.commit().await.expect("it ends");
    assert!(in_step.exchange(json!([])).await["operations"].to_string().contains("Segunda"), "then it is there");
}

#[tokio::test]
async fn changes_beyond_what_may_wait_are_turned_away_at_once_and_those_that_wait_are_done() {
    let world = company(16, 16).await;
    let admin = world.add_user("eva@example.com", "admin").await;
    assert!(!admin.is_empty());
    let session = world.sign_in("eva@example.com").await;
    let pause = world.app.writer().pause().await.expect("it pauses");
    let path = "/api/v1/account";
    let make = |n: usize| {
        let body = json!({ "fields": { "name": format!("Cliente {n}"), "legal_name": "x".repeat(180) } });
        world.send(Some(&session), Method::POST, path, body)
    };
    let mut waiting = Vec::new();
    let refused = loop {
        let mut request = Box::pin(make(waiting.len()));
        // It is answered at once, or it takes room before the writer.
        let before = world.app.writer().waiting_bytes();
        let mut answer = futures_util::poll!(&mut request);
        while answer.is_pending() && world.app.writer().waiting_bytes() == before {
            tokio::task::yield_now().await;
            answer = futures_util::poll!(&mut request);
        }
        match answer {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => waiting.push(request),
        }
        assert!(waiting.len() <= 64, "64 KiB hold no more than 64 requests");
    };
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "unavailable"));
    assert!(refused.headers.contains_key("retry-after"));
    assert!(world.app.writer().waiting_bytes() <= 64 << 10);
    assert!(waiting.len() >= 32, "only {} were let wait", waiting.len());
    drop(pause);
    for request in waiting {
        request.await.expect(201);
    }
    assert_eq!(world.app.writer().waiting_bytes(), 0);
    make(0).await.expect(201);
}
