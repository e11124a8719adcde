use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, World};

#[tokio::test]
async fn unknown_addresses_and_wrong_passwords_get_the_same_answer() {
    let world = World::new().await;
    world.add_user("ana@example.com", "admin").await;
    let mut unknown = world.try_sign_in("nobody@example.com", "wrong password").await.expect(401);
    let mut wrong = world.try_sign_in("ana@example.com", "wrong password").await.expect(401);
    for answer in [&mut unknown, &mut wrong] {
        answer["request_id"] = Value::Null;
    }
    assert_eq!(unknown, wrong);
    assert_eq!(wrong["code"], "wrong-credentials");
}

#[tokio::test]
async fn an_address_counts_whatever_its_case_and_the_spaces_around_it() {
    let world = World::new().await;
    world.add_user("Ana@Example.com", "admin").await;
    world.try_sign_in(" ANA@example.COM ", PASSWORD).await.expect(201);
}

#[tokio::test]
async fn from_the_fifth_failure_on_each_attempt_waits_twice_as_long() {
    let world = World::new().await;
    world.add_user("ana@example.com", "admin").await;
    for email in ["ana@example.com", "nobody@example.com"] {
        for _ in 0..5 {
            assert_eq!(world.try_sign_in(email, "wrong password").await.code(), "wrong-credentials");
        }
        let refused = world.try_sign_in(email, PASSWORD).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (429, "too-many-requests"), "even with the right one");
        assert_eq!(refused.headers["retry-after"], "1");

        world.clock.advance(1_000);
        assert_eq!(world.try_sign_in(email, "wrong password").await.code(), "wrong-credentials");
        world.clock.advance(1_999);
        assert_eq!(world.try_sign_in(email, "wrong password").await.code(), "too-many-requests", "{email}: now 2 s");
        world.clock.advance(1);
    }
}

#[tokio::test]
async fn a_success_makes_failures_forgotten_and_a_restart_does_not() {
    let world = World::new().await;
    world.add_user("ana@example.com", "admin").await;
    for _ in 0..5 {
        world.try_sign_in("ana@example.com", "wrong password").await;
    }
    let world = world.restart().await;
    assert_eq!(world.try_sign_in("ana@example.com", PASSWORD).await.code(), "too-many-requests");
    world.clock.advance(1_000);
    world.sign_in("ana@example.com").await;
    for _ in 0..4 {
        world.try_sign_in("ana@example.com", "wrong password").await;
    }
    world.sign_in("ana@example.com").await;
}

#[tokio::test]
async fn attempts_at_the_same_time_are_counted_one_by_one() {
    let world = World::new().await;
    world.add_user("ana@example.com", "admin").await;
    let attempts = (0..12).map(|_| world.try_sign_in("ana@example.com", "wrong password"));
    let answers = futures_util::future::join_all(attempts).await;
    let judged = answers.iter().filter(|answer| answer.code() == "wrong-credentials").count();
    assert_eq!(judged, 5, "the others came while the account had to wait");
}

#[tokio::test]
async fn an_address_that_fails_too_often_waits_whatever_account_it_tries() {
    let world = World::with(|config| config.auth.address_failures_per_hour = 6).await;
    world.add_user("ana@example.com", "admin").await;
    let from = async |address: &str, email: &str, password: &str| {
        world.try_sign_in_from(address, "192.0.2.77", email, password).await
    };
    for number in 0..6 {
        let email = format!("user{number}@example.com");
        assert_eq!(from("203.0.113.9", &email, "wrong password").await.code(), "wrong-credentials");
    }
    let refused = from("203.0.113.9", "ana@example.com", PASSWORD).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (429, "too-many-requests"), "even with a right one");
    assert_eq!(refused.headers["retry-after"], "600", "six in an hour are one in ten minutes");
    from("203.0.113.10", "ana@example.com", PASSWORD).await.expect(201);
    world.try_sign_in("ana@example.com", PASSWORD).await.expect(201);

    world.clock.advance(600_000);
    from("203.0.113.9", "ana@example.com", PASSWORD).await.expect(201);
    assert_eq!(from("203.0.113.9", "ana@example.com", "wrong password").await.code(), "wrong-credentials");
    assert_eq!(from("203.0.113.9", "ana@example.com", PASSWORD).await.code(), "too-many-requests");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_counts_for_itself() {
    let world = World::with(|config| {
        config.auth.address_failures_per_hour = 1;
        config.http.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a network")];
    })
    .await;
    world.add_user("ana@example.com", "admin").await;
    let from = async |forwarded: &str, email: &str, password: &str| {
        world.try_sign_in_from("10.1.2.3", forwarded, email, password).await
    };
    assert_eq!(from("203.0.113.9", "nobody@example.com", "wrong password").await.code(), "wrong-credentials");
    assert_eq!(from("203.0.113.9", "ana@example.com", PASSWORD).await.code(), "too-many-requests");
    let lying = from("198.51.100.1, 203.0.113.9", "ana@example.com", PASSWORD).await;
    assert_eq!(lying.code(), "too-many-requests", "what the client itself writes into the header is not believed");
    from("203.0.113.10", "ana@example.com", PASSWORD).await.expect(201);
}

#[tokio::test]
async fn a_new_password_of_ones_own_needs_the_old_one_and_ends_the_other_sessions() {
    let world = World::new().await;
    let ana = world.add_user("ana@example.com", "sales_rep").await;
    let (mine, other) = (world.sign_in("ana@example.com").await, world.sign_in("ana@example.com").await);
    let path = format!("/api/v1/users/{ana}/password");
    let set = |body: Value| world.send(Some(&mine), Method::POST, &path, body);

    set(json!({ "password": "otra contraseña" })).await.expect(422);
    set(json!({ "password": "otra contraseña", "old_password": "wrong password" })).await.expect(401);
    set(json!({ "password": "corta", "old_password": PASSWORD })).await.expect(422);
    world.get(&other, "/api/v1/me").await.expect(200);

    set(json!({ "password": "otra contraseña", "old_password": PASSWORD })).await.expect(204);
    world.get(&mine, "/api/v1/me").await.expect(200);
    world.get(&other, "/api/v1/me").await.expect(401);
    world.try_sign_in("ana@example.com", PASSWORD).await.expect(401);
    world.try_sign_in("ana@example.com", "otra contraseña").await.expect(201);
}

#[tokio::test]
async fn only_an_administrator_sets_another_users_password() {
    let world = World::new().await;
    let ana = world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("bea@example.com", "sales_manager").await;
    world.add_user("eva@example.com", "admin").await;
    let hers = world.sign_in("ana@example.com").await;
    let path = format!("/api/v1/users/{ana}/password");
    let body = json!({ "password": "otra contraseña" });
    let manager = world.sign_in("bea@example.com").await;
    assert_eq!(world.send(Some(&manager), Method::POST, &path, body.clone()).await.code(), "forbidden");
    let admin = world.sign_in("eva@example.com").await;
    world.send(Some(&admin), Method::POST, &path, body).await.expect(204);
    world.get(&hers, "/api/v1/me").await.expect(401);
}

#[tokio::test]
async fn nothing_that_was_typed_is_in_the_database() {
    let world = World::new().await;
    world.add_user("ana@example.com", "admin").await;
    let token = world.sign_in("ana@example.com").await;
    world.try_sign_in("a-password-in-the-wrong-field", "wrong password").await;
    world.app.close().await;
    let bytes = std::fs::read(world.folder.path().join("data/cartera.db")).expect("the database");
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("ana@example.com"), "it is the database that was written to");
    for secret in [PASSWORD, &token, "a-password-in-the-wrong-field"] {
        assert!(!holds(secret), "{secret}");
    }
}
