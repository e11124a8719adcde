use axum::http::Method;
use serde_json::{Value, json};

use crate::support::World;

const HOUR_MS: i64 = 60 * 60 * 1_000;

#[tokio::test]
async fn a_session_lasts_twelve_hours_after_its_last_use() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    let token = world.sign_in("ana@example.com").await;
    for _ in 0..3 {
        world.clock.advance(12 * HOUR_MS - 1);
        let me = world.get(&token, "/api/v1/me").await.expect(200);
        assert_eq!((&me["email"], &me["role"]), (&json!("ana@example.com"), &json!("sales_rep")));
    }
    world.clock.advance(12 * HOUR_MS);
    assert_eq!(world.get(&token, "/api/v1/me").await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_session_outlives_the_server_and_its_use_was_written_down() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    let token = world.sign_in("ana@example.com").await;
    world.clock.advance(10 * HOUR_MS);
    world.get(&token, "/api/v1/me").await.expect(200);
    wait_until_use_is_saved(&world).await;
    let world = world.restart().await;
    world.clock.advance(10 * HOUR_MS);
    world.get(&token, "/api/v1/me").await.expect(200);
}

/// Use is written down beside the answer, not before it.
async fn wait_until_use_is_saved(world: &World) {
    loop {
        let used_ms: i64 = sqlx::query_scalar("SELECT max(used_ms - created_ms) FROM session")
            .fetch_one(world.app.db().readers())
            .await
            .expect("the database answers");
        if used_ms > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn using_a_session_again_and_again_does_not_write() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    let token = world.sign_in("ana@example.com").await;
    // Nobody can write while this transaction is open: were use written down each time, it would pile up here.
    let held = world.app.db().write().await.expect("nobody writes");
    for _ in 0..100 {
        world.clock.advance(10);
        world.get(&token, "/api/v1/me").await.expect(200);
    }
    drop(held);
    let used_ms: i64 = sqlx::query_scalar("SELECT max(used_ms - created_ms) FROM session")
        .fetch_one(world.app.db().readers())
        .await
        .expect("the database answers");
    assert_eq!(used_ms, 0);
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once_and_no_other() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    let (one, other) = (world.sign_in("ana@example.com").await, world.sign_in("ana@example.com").await);
    world.get(&one, "/api/v1/me").await.expect(200);
    world.send(Some(&one), Method::DELETE, "/api/v1/sessions/current", Value::Null).await.expect(204);
    world.get(&one, "/api/v1/me").await.expect(401);
    world.get(&other, "/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn a_deactivated_user_is_out_at_once_and_cannot_come_back_in() {
    let world = World::new().await;
    let ana = world.add_user("ana@example.com", "sales_rep").await;
    let token = world.sign_in("ana@example.com").await;
    let (_, device) = world.enrol("ana@example.com").await;
    world.get(&token, "/api/v1/me").await.expect(200);
    world.set_user(&ana, "active", json!(false)).await;
    for token in [&token, &device] {
        let refused = world.get(token, "/api/v1/me").await;
        assert_eq!((refused.status.as_u16(), refused.code()), (401, "unauthenticated"));
        assert_eq!(refused.headers["www-authenticate"], "Bearer realm=\"cartera\"");
    }
    assert_eq!(world.try_sign_in("ana@example.com", crate::support::PASSWORD).await.code(), "wrong-credentials");
    world.set_user(&ana, "active", json!(true)).await;
    world.get(&token, "/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn a_new_role_counts_from_the_next_request_on() {
    let world = World::new().await;
    let ana = world.add_user("ana@example.com", "sales_rep").await;
    let token = world.sign_in("ana@example.com").await;
    assert_eq!(world.get(&token, "/api/v1/users").await.code(), "forbidden");
    let admin = world.app.directory().role_by_key("admin").expect("made at the start");
    world.set_user(&ana, "role", json!(admin)).await;
    world.get(&token, "/api/v1/users").await.expect(200);
}

#[tokio::test]
async fn what_is_no_token_is_refused_without_a_guess() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    let token = world.sign_in("ana@example.com").await;
    for forged in [&token[1..], &format!("{token}A"), &token.to_lowercase(), "x", "ñ"] {
        world.get(forged, "/api/v1/me").await.expect(401);
    }
}

#[tokio::test]
async fn the_operator_is_an_administrator_and_nobodys_user() {
    let world = World::new().await;
    let me = world.as_operator(Method::GET, "/api/v1/me", Value::Null).await.expect(200);
    assert_eq!((&me["role"], &me["user"]), (&json!("admin"), &Value::Null));
    world.as_operator(Method::DELETE, "/api/v1/sessions/current", Value::Null).await.expect(204);
}
