//! While no changes are taken: people read, devices keep what waits on them, and nothing is lost.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::routes::all_routes;
use crate::support::PASSWORD;
use crate::tenancy::{EVERYTHING, Tenancy};

const RUNNING: &str = "running";
const READ_ONLY: &str = "read_only";

fn powered(power: &str) -> Value {
    json!({ "modules": EVERYTHING, "power": power })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_keeps_what_it_would_push_and_is_told_what_is_new() {
    let tenancy = Tenancy::start(&powered(RUNNING)).await;
    let eva = tenancy.person("eva@example.com", "admin").await;
    let phone = tenancy.enrol("eva@example.com").await;
    let account = tenancy.post(&eva, "/api/v1/account", json!({ "fields": { "name": "Grúas" } })).await.expect(201);
    tenancy.entitle(&powered(READ_ONLY)).await;

    let update = json!({ "id": 1, "kind": "update", "entity": "account", "record": account["id"], "base": account["seq"], "set": { "name": "Grúas SL" }, "at_ms": 1 });
    let push = json!({ "protocol": 1, "mutations": [update], "language": "en" });
    let answer = tenancy.post(&phone, "/sync/v1/exchange", push.clone()).await.expect(200);
    let outcome = &answer["outcomes"][0];
    assert_eq!((&outcome["verdict"], &outcome["reason"]["code"]), (&json!("deferred"), &json!("read-only")));
    let message = outcome["reason"]["message"].as_str().expect("a sentence");
    assert!(message.contains("stays there and is sent later"), "{message}");
    assert!(answer["operations"].to_string().contains("Grúas"), "{answer}");

    // What was deferred is left out for a while.
    let later = json!({ "id": 2, "kind": "update", "entity": "account", "record": account["id"], "base": account["seq"], "set": { "website": "https://gruas.example" }, "at_ms": 2 });
    let without = json!({ "protocol": 1, "mutations": [later] });
    let answer = tenancy.post(&phone, "/sync/v1/exchange", without.clone()).await.expect(200);
    assert_eq!(answer["outcomes"][0]["verdict"], "deferred", "{answer}");

    tenancy.entitle(&powered(RUNNING)).await;
    let gap = tenancy.post(&phone, "/sync/v1/exchange", without).await;
    assert_eq!((gap.code(), &gap.body["expected"]), ("mutation-gap", &json!(1)));
    let pushed = tenancy.post(&phone, "/sync/v1/exchange", push.clone()).await.expect(200);
    assert_eq!(pushed["outcomes"][0]["verdict"], "applied", "{pushed}");

    tenancy.entitle(&powered(READ_ONLY)).await;
    let repeated = tenancy.post(&phone, "/sync/v1/exchange", push).await.expect(200);
    assert_eq!(repeated["outcomes"], pushed["outcomes"], "what was decided is told again");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_sign_in_and_choose_passwords_and_change_no_record() {
    let tenancy = Tenancy::start(&powered(RUNNING)).await;
    let eva = tenancy.person("eva@example.com", "admin").await;
    let account = tenancy.post(&eva, "/api/v1/account", json!({ "fields": { "name": "Grúas" } })).await.expect(201);
    let path = format!("/api/v1/account/{}", account["id"].as_str().expect("an id"));
    tenancy.entitle(&powered(READ_ONLY)).await;

    let errors = tenancy.health().await["errors"].clone();
    for (method, path, body) in [
        (Method::POST, "/api/v1/account", json!({ "fields": { "name": "Otra" } })),
        (Method::PATCH, path.as_str(), json!({ "set": { "name": "Otra" } })),
        (Method::DELETE, path.as_str(), Value::Null),
        (Method::POST, "/api/v1/users", json!({ "email": "ana@example.com", "role": "sales_rep" })),
        (Method::POST, "/api/v1/imports", json!({ "entity": "account", "file_name": "accounts.csv" })),
        (Method::POST, "/api/v1/moves", json!({ "entity": "account", "where": "true", "set": {} })),
        (Method::POST, "/api/v1/model/layers", json!({ "name": "x", "yaml": "" })),
    ] {
        let refused = tenancy.ask(Some(&eva), method.clone(), path, body).await;
        assert_eq!((refused.code(), refused.status.as_u16()), ("read-only", 503), "{method} {path}: {}", refused.body);
        assert!(refused.headers.contains_key("retry-after"));
    }
    assert_eq!(tenancy.health().await["errors"], errors, "what was ordered is no failure");
    assert_eq!(tenancy.get(&eva, &path).await.expect(200)["fields"]["name"], "Grúas");
    tenancy.get(&eva, "/api/v1/account/export").await.expect(200);

    let again = tenancy.sign_in("eva@example.com", PASSWORD).await;
    let me = tenancy.get(&again, "/api/v1/me").await.expect(200);
    let own = format!("/api/v1/users/{}/password", me["user"].as_str().expect("an id"));
    let next = json!({ "password": "otra contraseña larga", "old_password": PASSWORD });
    tenancy.post(&again, &own, next).await.expect(204);
    tenancy.ask(Some(&again), Method::DELETE, "/api/v1/sessions/current", Value::Null).await.expect(204);
    let body = json!({ "fields": { "name": "De la máquina" } });
    tenancy.as_operator(Method::POST, "/api/v1/account", body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_changes_something_is_refused_but_those_that_are_known_to_go_on() {
    let tenancy = Tenancy::start(&powered(READ_ONLY)).await;
    let mut goes_on = BTreeSet::new();
    for route in all_routes() {
        let path = route
            .split('/')
            .map(|part| if part.starts_with('{') { "00000000-0000-7000-8000-000000000000" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let body = if method == Method::DELETE { Value::Null } else { json!({}) };
            let answer = tenancy.ask(None, method.clone(), &path, body).await;
            if answer.status != 405 && answer.code() != "read-only" {
                goes_on.insert(format!("{method} {route}"));
            }
        }
    }
    let known = [
        "DELETE /api/v1/devices/{id}",
        "DELETE /api/v1/sessions/current",
        "DELETE /sync/v1/wake",
        "POST /api/v1/devices",
        "POST /api/v1/sessions",
        "POST /api/v1/users/{id}/password",
        "POST /sync/v1/chunks",
        "POST /sync/v1/digest",
        "POST /sync/v1/exchange",
        "POST /sync/v1/hello",
        "POST /sync/v1/manifest",
        "POST /sync/v1/report",
        "PUT /sync/v1/wake",
    ];
    assert_eq!(goes_on.iter().map(String::as_str).collect::<Vec<_>>(), known);
}
