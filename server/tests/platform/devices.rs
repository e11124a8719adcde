use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, World};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

#[tokio::test]
async fn an_enrolled_device_has_a_session_of_thirty_days_and_knows_itself() {
    let world = World::new().await;
    let ana = world.add_user("ana@example.com", "sales_rep").await;
    let body = json!({ "email": "ana@example.com", "password": PASSWORD, "name": "Móvil", "platform": "linux x86_64" });
    let enrolled = world.send(None, Method::POST, "/api/v1/devices", body).await.expect(201);
    assert_eq!((&enrolled["user"], &enrolled["tenant"]), (&json!(ana), &json!(world.app.tenant().id)));
    let token = enrolled["token"].as_str().expect("a token");
    world.clock.advance(30 * DAY_MS - 1);
    let me = world.get(token, "/api/v1/me").await.expect(200);
    assert_eq!((&me["device"], &me["model"]), (&enrolled["device"], &enrolled["model"]));
    world.clock.advance(30 * DAY_MS);
    world.get(token, "/api/v1/me").await.expect(401);
}

#[tokio::test]
async fn a_device_is_not_enrolled_with_a_wrong_password_or_without_a_name() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    for (name, password, status) in
        [("Móvil", "wrong password", 401), (" ", PASSWORD, 422), (&"x".repeat(121), PASSWORD, 422)]
    {
        let body = json!({ "email": "ana@example.com", "password": password, "name": name, "platform": "test" });
        world.send(None, Method::POST, "/api/v1/devices", body).await.expect(status);
    }
    let devices = world.as_operator(Method::GET, "/api/v1/devices", Value::Null).await.expect(200);
    assert_eq!(devices["devices"], json!([]));
}

#[tokio::test]
async fn users_see_their_own_devices_and_administrators_all() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("eva@example.com", "admin").await;
    let (anas, ana) = world.enrol("ana@example.com").await;
    world.clock.advance(1_000);
    let (evas, eva) = world.enrol("eva@example.com").await;
    let ids = |listed: Value| {
        let devices = listed["devices"].as_array().expect("a list").clone();
        devices.iter().map(|device| device["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(world.get(&ana, "/api/v1/devices").await.expect(200)), std::slice::from_ref(&anas));
    assert_eq!(ids(world.get(&eva, "/api/v1/devices").await.expect(200)), [evas, anas]);
}

#[tokio::test]
async fn a_revoked_device_is_out_at_once_and_stays_in_the_list() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("bea@example.com", "sales_manager").await;
    let (device, token) = world.enrol("ana@example.com").await;
    let (_, beas) = world.enrol("bea@example.com").await;
    let session = world.sign_in("ana@example.com").await;
    let path = format!("/api/v1/devices/{device}");
    world.get(&token, "/api/v1/me").await.expect(200);

    let others = world.send(Some(&beas), Method::DELETE, &path, Value::Null).await;
    assert_eq!(others.code(), "not-found", "somebody else's device is not there");
    world.get(&token, "/api/v1/me").await.expect(200);

    world.send(Some(&session), Method::DELETE, &path, Value::Null).await.expect(204);
    world.get(&token, "/api/v1/me").await.expect(401);
    world.get(&session, "/api/v1/me").await.expect(200);
    let listed = world.get(&session, "/api/v1/devices").await.expect(200);
    assert_eq!((&listed["devices"][0]["id"], &listed["devices"][0]["active"]), (&json!(device), &json!(false)));
}

#[tokio::test]
async fn a_device_enrolled_again_keeps_its_id_and_loses_its_old_session() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("bea@example.com", "sales_rep").await;
    let (device, old) = world.enrol("ana@example.com").await;
    world.get(&old, "/api/v1/me").await.expect(200);
    let again = |email: &str| {
        let body =
            json!({ "email": email, "password": PASSWORD, "name": "Móvil", "platform": "test", "device": device });
        world.send(None, Method::POST, "/api/v1/devices", body)
    };
    assert_eq!(again("bea@example.com").await.code(), "not-found", "it is not hers");
    let renewed = again("ana@example.com").await.expect(201);
    assert_eq!(renewed["device"], json!(device));
    world.get(&old, "/api/v1/me").await.expect(401);
    world.get(renewed["token"].as_str().expect("a token"), "/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_seen_by_its_user_and_by_administrators() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("bea@example.com", "sales_rep").await;
    let (_, token) = world.enrol("ana@example.com").await;
    let (_, beas) = world.enrol("bea@example.com").await;
    let report = |waiting: u64| json!({ "waiting": waiting, "attention": 1, "lag_ms": 7_200_000, "oldest_ms": 60_000, "problem": "mutation-gap", "from_tomorrow": true });
    for waiting in [9, 3] {
        world.clock.advance(1_000);
        world.send(Some(&token), Method::POST, "/sync/v1/report", report(waiting)).await.expect(204);
    }
    let mut said = report(3);
    said.as_object_mut().expect("an object").remove("from_tomorrow");
    said["received_at_ms"] = json!(crate::support::NOW_MS + 2_000);
    let own = world.get(&token, "/api/v1/devices").await.expect(200);
    assert_eq!(own["devices"][0]["report"], said, "the last one stands");
    let hers = world.get(&beas, "/api/v1/devices").await.expect(200);
    assert_eq!((hers["devices"].as_array().map(Vec::len), &hers["devices"][0]["report"]), (Some(1), &Value::Null));
    let all = world.as_operator(Method::GET, "/api/v1/devices", Value::Null).await.expect(200);
    assert_eq!(all["devices"].as_array().map(Vec::len), Some(2));

    let long = json!({ "waiting": 0, "attention": 0, "app": "x".repeat(201) });
    assert_eq!(world.send(Some(&token), Method::POST, "/sync/v1/report", long).await.code(), "invalid");
    let session = world.sign_in("ana@example.com").await;
    assert_eq!(world.send(Some(&session), Method::POST, "/sync/v1/report", report(1)).await.code(), "no-device");
}

#[tokio::test]
async fn a_hello_tells_versions_limits_and_the_order_to_fetch_another_model() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    let (_, token) = world.enrol("ana@example.com").await;
    let hello = |model: Value| {
        world.send(Some(&token), Method::POST, "/sync/v1/hello", json!({ "protocols": [1], "model": model }))
    };
    let answer = hello(json!("an old one")).await.expect(200);
    assert_eq!((&answer["protocols"], &answer["limits"]["mutations"]), (&json!([1]), &json!(1_000)));
    assert_eq!(answer["orders"], json!([{ "order": "upgrade", "model": answer["model"] }]));
    assert_eq!(hello(answer["model"].clone()).await.expect(200)["orders"], json!([]));
}
