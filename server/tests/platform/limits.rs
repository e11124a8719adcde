//! Limits of a plan: what is new is refused beyond them, and nothing that is there is taken away.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::tenancy::{EVERYTHING, Tenancy};

fn limited(limits: &Value) -> Value {
    json!({ "modules": EVERYTHING, "limits": limits })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_beyond_the_limit_is_refused_until_another_makes_room_and_a_known_one_never() {
    let tenancy = Tenancy::start(&limited(&json!({ "devices": 1 }))).await;
    let ana = tenancy.person("ana@example.com", "sales_rep").await;
    let first = tenancy.try_enrol("ana@example.com", &Value::Null).await.expect(201)["device"].clone();
    let refused = tenancy.try_enrol("ana@example.com", &Value::Null).await;
    assert_eq!((refused.code(), refused.status.as_u16()), ("limit-devices", 403));
    assert_eq!((&refused.body["limit"], &refused.body["count"]), (&json!(1), &json!(1)));
    assert_eq!(tenancy.try_enrol("ana@example.com", &first).await.expect(201)["device"], first);

    tenancy.entitle(&limited(&json!({ "devices": 0 }))).await;
    let again = tenancy.try_enrol("ana@example.com", &first).await.expect(201);
    let phone = again["token"].as_str().expect("a token");
    tenancy.post(phone, "/sync/v1/exchange", json!({ "protocol": 1 })).await.expect(200);

    tenancy.entitle(&limited(&json!({ "devices": 1 }))).await;
    let path = format!("/api/v1/devices/{}", first.as_str().expect("an id"));
    tenancy.ask(Some(&ana), Method::DELETE, &path, Value::Null).await.expect(204);
    tenancy.enrol("ana@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_who_may_sign_in_is_refused_by_every_way_in() {
    let tenancy = Tenancy::start(&limited(&json!({ "users": 2 }))).await;
    let eva = tenancy.person("eva@example.com", "admin").await;
    let phone = tenancy.enrol("eva@example.com").await;
    let ana = json!({ "email": "ana@example.com", "role": "sales_rep", "password": PASSWORD });
    let ana = tenancy.post(&eva, "/api/v1/users", ana).await.expect(201)["user"].clone();
    let roles = tenancy.get(&eva, "/api/v1/role").await.expect(200);
    let role =
        roles["items"].as_array().and_then(|roles| roles.iter().find(|role| role["fields"]["key"] == "sales_rep"));
    let role = role.expect("a role")["id"].clone();
    let bea = json!({ "name": "Bea", "email": "bea@example.com", "role": role });

    let person = json!({ "email": "bea@example.com", "role": "sales_rep", "password": PASSWORD });
    let refused = tenancy.post(&eva, "/api/v1/users", person).await;
    assert_eq!((refused.code(), refused.status.as_u16()), ("limit-users", 403), "{}", refused.body);
    let refused = tenancy.post(&eva, "/api/v1/user", json!({ "fields": bea })).await;
    assert_eq!((refused.code(), refused.status.as_u16()), ("limit-users", 403), "{}", refused.body);

    let create =
        json!({ "id": 1, "kind": "create", "entity": "user", "record": tenancy.new_id(), "set": bea, "at_ms": 1 });
    let pushed = tenancy.post(&phone, "/sync/v1/exchange", json!({ "protocol": 1, "mutations": [create] })).await;
    let outcome = &pushed.expect(200)["outcomes"][0];
    assert_eq!((&outcome["verdict"], &outcome["reason"]["code"]), (&json!("rejected"), &json!("limit-users")));

    let import = json!({ "entity": "user", "file_name": "people.csv" });
    let import = tenancy.post(&eva, "/api/v1/imports", import).await.expect(201);
    let import = format!("/api/v1/imports/{}", import["id"].as_str().expect("an id"));
    tenancy
        .put_file(&eva, &format!("{import}/file"), "name,email,role\nBea,bea@example.com,sales_rep\n")
        .await
        .expect(202);
    let ended = async || {
        let job = tenancy.get(&eva, &import).await.expect(200);
        job["state"] != "waiting" && job["state"] != "running"
    };
    tenancy.until("the end of the import", ended).await;
    let report = tenancy.get(&eva, &import).await.expect(200);
    assert!(report.to_string().contains("limit-users"), "{report}");

    // Whoever cannot sign in takes no place, and whoever is deactivated makes room.
    tenancy.post(&eva, "/api/v1/user", json!({ "fields": { "name": "Una agente" } })).await.expect(201);
    let path = format!("/api/v1/user/{}", ana.as_str().expect("an id"));
    tenancy.ask(Some(&eva), Method::PATCH, &path, json!({ "set": { "active": false } })).await.expect(200);
    tenancy.post(&eva, "/api/v1/user", json!({ "fields": bea })).await.expect(201);
    let back = tenancy.ask(Some(&eva), Method::PATCH, &path, json!({ "set": { "active": true } })).await;
    assert_eq!(back.code(), "limit-users");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_lowered_takes_nothing_away() {
    let tenancy = Tenancy::start(&limited(&json!({}))).await;
    let eva = tenancy.person("eva@example.com", "admin").await;
    tenancy.person("ana@example.com", "sales_rep").await;
    tenancy.entitle(&limited(&json!({ "users": 0, "devices": 0 }))).await;
    tenancy.sign_in("ana@example.com", PASSWORD).await;
    let me = tenancy.get(&eva, "/api/v1/me").await.expect(200);
    let path = format!("/api/v1/user/{}", me["user"].as_str().expect("an id"));
    tenancy.ask(Some(&eva), Method::PATCH, &path, json!({ "set": { "job_title": "Jefa" } })).await.expect(200);
    tenancy.get(&eva, "/api/v1/user/export").await.expect(200);
}
