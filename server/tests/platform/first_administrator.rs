//! The first administrator: made of two files, and nobody's but her own once she has chosen a password.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::tenancy::{EVERYTHING, Tenancy};

const EMAIL: &str = "alba@example.com";
const GIVEN: &str = "given by somebody else";
const OWN: &str = "one that only she knows";

async fn tenancy() -> Tenancy {
    Tenancy::start(&json!({ "modules": EVERYTHING })).await
}

/// Hands her in, and waits until she can sign in; her token.
async fn hand_in(tenancy: &Tenancy) -> String {
    tenancy.put("first-administrator", &[("email", "Alba@example.com\n"), ("password", GIVEN)]);
    let has_password = async || {
        let readers = tenancy.server.app().db().readers();
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM credential").fetch_one(readers).await.expect("a count");
        count > 0
    };
    tenancy.until("the first administrator's password", has_password).await;
    tenancy.sign_in(EMAIL, GIVEN).await
}

#[tokio::test(flavor = "multi_thread")]
async fn until_she_has_chosen_a_password_she_may_do_nothing_else() {
    let tenancy = tenancy().await;
    let alba = hand_in(&tenancy).await;
    let me = tenancy.get(&alba, "/api/v1/me").await.expect(200);
    assert_eq!((&me["role"], &me["password_change_required"]), (&json!("admin"), &json!(true)));
    for (method, path, body) in [
        (Method::GET, "/api/v1/account", Value::Null),
        (Method::GET, "/metrics", Value::Null),
        (Method::POST, "/api/v1/users", json!({ "email": "ana@example.com", "role": "admin", "password": PASSWORD })),
        (Method::POST, "/api/v1/users/00000000-0000-7000-8000-000000000000/password", json!({ "password": PASSWORD })),
    ] {
        let refused = tenancy.ask(Some(&alba), method, path, body).await;
        assert_eq!((refused.code(), refused.status.as_u16()), ("password-change-required", 403), "{path}");
    }
    let device = json!({ "email": EMAIL, "password": GIVEN, "name": "Móvil", "platform": "test" });
    let refused = tenancy.ask(None, Method::POST, "/api/v1/devices", device.clone()).await;
    assert_eq!(refused.code(), "password-change-required");
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("elige una")), "{}", refused.body);
    assert_eq!(tenancy.health().await["has_administrator"], false);

    let own = format!("/api/v1/users/{}/password", me["user"].as_str().expect("an id"));
    let choice = json!({ "password": OWN, "old_password": GIVEN });
    tenancy.post(&alba, &own, choice).await.expect(204);
    tenancy.get(&alba, "/api/v1/account").await.expect(200);
    let me = tenancy.get(&alba, "/api/v1/me").await.expect(200);
    assert!(me.get("password_change_required").is_none(), "{me}");
    assert_eq!(tenancy.health().await["has_administrator"], true);
    let mut device = device;
    device["password"] = json!(OWN);
    tenancy.ask(None, Method::POST, "/api/v1/devices", device).await.expect(201);
    tenancy.ask(Some(&alba), Method::DELETE, "/api/v1/sessions/current", Value::Null).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn she_may_sign_out_before_she_has_chosen() {
    let tenancy = tenancy().await;
    let alba = hand_in(&tenancy).await;
    tenancy.ask(Some(&alba), Method::DELETE, "/api/v1/sessions/current", Value::Null).await.expect(204);
    tenancy.get(&alba, "/api/v1/me").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_somebody_signs_in_already_the_files_make_nobody() {
    let tenancy = tenancy().await;
    tenancy.person("ana@example.com", "sales_rep").await;
    tenancy.put("first-administrator", &[("email", EMAIL), ("password", GIVEN)]);
    // The server looks at the one file after the other: once it obeys the next entitlements twice, it has looked.
    tenancy.entitle(&json!({ "modules": ["sales"] })).await;
    tenancy.entitle(&json!({ "modules": EVERYTHING })).await;
    assert!(tenancy.server.app().directory().user_by_email(EMAIL).is_none());
    assert_eq!(tenancy.health().await["has_administrator"], false, "a representative is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_too_short_makes_nobody_until_it_is_replaced() {
    let tenancy = tenancy().await;
    tenancy.put("first-administrator", &[("email", EMAIL), ("password", "short")]);
    tenancy.entitle(&json!({ "modules": ["sales"] })).await;
    tenancy.entitle(&json!({ "modules": EVERYTHING })).await;
    assert!(tenancy.server.app().directory().user_by_email(EMAIL).is_none());
    hand_in(&tenancy).await;
}
