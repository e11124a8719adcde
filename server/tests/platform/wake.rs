//! Devices that are not connected are woken: whom it concerns, once in a while, and as the push service wants it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use cartera_server::platform::clock::Clock;
use cartera_server::platform::config::{Config, Reach};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::listening::Phone;
use crate::push_receiver::PushReceiver;
use crate::support::World;

const CONTACT: &str = "mailto:it@example.com";

/// Wakes at the receiver, at once and as often as there is something.
fn eager(config: &mut Config) {
    config.wake.contact = Some(CONTACT.into());
    config.wake.hosts = vec!["127.0.0.1".parse().expect("a host")];
    config.wake.reach = Reach::Any;
    (config.wake.delay, config.wake.interval) = (Duration::ZERO, Duration::ZERO);
}

async fn company(change: impl FnOnce(&mut Config)) -> World {
    let world = World::with(|config| {
        eager(config);
        change(config);
    })
    .await;
    world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("bea@example.com", "sales_rep").await;
    world
}

async fn subscribe(world: &World, phone: &Phone<'_>, endpoint: String) {
    // As a browser writes it: the keys are for content, and there is none.
    let subscription = json!({ "endpoint": endpoint, "expirationTime": null, "keys": { "p256dh": "BK", "auth": "x" } });
    world.send(Some(&phone.token), Method::PUT, "/sync/v1/wake", subscription).await.expect(204);
}

/// Ana's phone, which has written something, and her tablet, which wants to be woken.
async fn anas_devices<'w>(world: &'w World, push: &PushReceiver) -> (Phone<'w>, Phone<'w>) {
    let mut phone = Phone::enrol(world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let tablet = Phone::enrol(world, "ana@example.com").await;
    subscribe(world, &tablet, format!("{}/tablet", push.origin)).await;
    (phone, tablet)
}

async fn revoke(world: &World, phone: &Phone<'_>) {
    let path = format!("/api/v1/devices/{}", phone.device);
    world.as_operator(Method::DELETE, &path, Value::Null).await.expect(204);
}

/// What the list of devices says of waking one.
async fn listed(world: &World, phone: &Phone<'_>) -> Value {
    let listed = world.as_operator(Method::GET, "/api/v1/devices", Value::Null).await.expect(200);
    let devices = listed["devices"].as_array().expect("a list");
    devices.iter().find(|device| device["id"] == phone.device.as_str()).expect("the device")["wake"].clone()
}

async fn hello(world: &World, phone: &Phone<'_>) -> Value {
    world.send(Some(&phone.token), Method::POST, "/sync/v1/hello", json!({})).await.expect(200)
}

/// Waits until what is written down as owed to the only subscription is that.
async fn wait_until_owed(world: &World, wanted: Option<&str>) {
    for _ in 0..6_000 {
        let owed: Option<String> = sqlx::query_scalar("SELECT owed FROM wake_subscription")
            .fetch_one(world.app.db().readers())
            .await
            .expect("one subscription");
        if owed.as_deref() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{wanted:?} does not come to be owed");
}

#[tokio::test]
async fn a_commit_wakes_the_devices_that_it_concerns_and_tells_the_push_service_nothing() {
    let world = company(|_| {}).await;
    let mut push = PushReceiver::start().await;
    let mut ana = Phone::enrol(&world, "ana@example.com").await;
    let mut bea = Phone::enrol(&world, "bea@example.com").await;
    ana.make_account("Primera de Ana").await;
    bea.make_account("Primera de Bea").await;
    let anas = Phone::enrol(&world, "ana@example.com").await;
    let beas = Phone::enrol(&world, "bea@example.com").await;
    subscribe(&world, &anas, format!("{}/ana?secret=1", push.origin)).await;
    subscribe(&world, &beas, format!("{}/bea", push.origin)).await;
    let said = hello(&world, &anas).await;
    assert!(said["capabilities"].as_array().expect("a list").contains(&json!("wake")), "{said}");
    assert_eq!(listed(&world, &anas).await["woken_at_ms"], Value::Null);

    bea.make_account("De Bea").await;
    assert_eq!(push.next().await.path, "/bea");
    ana.make_account("De Ana").await;
    let asked = push.next().await;
    assert_eq!(
        (&asked.method, asked.path.as_str()),
        (&Method::POST, "/ana"),
        "Bea's account did not wake Ana's tablet"
    );
    bea.make_account("Otra de Bea").await;
    assert_eq!(push.next().await.path, "/bea", "and Ana's only once");

    let named = |name| asked.header(name);
    assert_eq!((named("ttl"), named("urgency"), named("topic")), ("86400", "normal", "wake"));
    assert_eq!((asked.body.len(), named("content-length")), (0, "0"));
    let claims = asked.claims(said["wake_key"].as_str().expect("a key"));
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!(push.origin), &json!(CONTACT)));
    let left_secs = claims["exp"].as_i64().expect("a time") - world.clock.now_ms() / 1_000;
    assert!((1..=24 * 3_600).contains(&left_secs), "{left_secs}");
    let whole = format!("{:?}", asked.headers);
    assert!(!whole.contains(&ana.device) && !whole.contains("ana@"), "{whole}");

    wait_for("the wake-up in the list", async || listed(&world, &anas).await["woken_at_ms"].is_i64()).await;
    wait_for("the count of what was accepted", async || {
        scrape(&world).await.contains(r#"_wakes_total{answer="accepted"} 3"#)
    })
    .await;
    assert!(scrape(&world).await.contains("cartera_wake_subscriptions 2"));
}

async fn scrape(world: &World) -> String {
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let bytes = world.as_operator_raw(request).await.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn wait_for(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} does not come");
}

#[tokio::test]
async fn many_commits_make_one_wake_up_and_an_order_does_not_wait_its_turn() {
    let world = company(|config| config.wake.interval = Duration::from_hours(1)).await;
    let mut push = PushReceiver::start().await;
    let (mut phone, tablet) = anas_devices(&world, &push).await;
    for n in 0..10 {
        phone.make_account(&format!("Cuenta {n}")).await;
    }
    assert_eq!(push.next().await.header("urgency"), "normal");
    phone.make_account("Una más").await;
    wait_until_owed(&world, Some("news")).await;
    assert!(push.is_quiet(), "the next one waits for its hour");

    revoke(&world, &tablet).await;
    let order = push.next().await;
    assert_eq!((order.header("urgency"), order.path.as_str()), ("high", "/tablet"));
    wait_for("the end of the subscription", async || listed(&world, &tablet).await.is_null()).await;
    assert!(push.is_quiet());
}

#[tokio::test]
async fn who_is_connected_is_told_and_not_woken() {
    let world = company(|_| {}).await;
    let mut push = PushReceiver::start().await;
    let (mut phone, tablet) = anas_devices(&world, &push).await;
    let mut stream = tablet.listen().await;
    phone.make_account("Segunda").await;
    stream.expect("delta").await;
    drop(stream);
    phone.make_account("Tercera").await;
    assert_eq!(push.next().await.header("urgency"), "normal");
    revoke(&world, &tablet).await;
    assert_eq!(push.next().await.header("urgency"), "high", "what the stream told needed no waking");
}

#[tokio::test]
async fn what_a_device_wrote_itself_does_not_wake_it() {
    let world = company(|_| {}).await;
    let mut push = PushReceiver::start().await;
    let (phone, mut tablet) = anas_devices(&world, &push).await;
    subscribe(&world, &phone, format!("{}/phone", push.origin)).await;
    tablet.make_account("Propia").await;
    assert_eq!(push.next().await.path, "/phone");
    revoke(&world, &tablet).await;
    let order = push.next().await;
    assert_eq!((order.path.as_str(), order.header("urgency")), ("/tablet", "high"));
}

#[tokio::test]
async fn who_came_by_herself_in_time_is_not_woken() {
    let world = company(|config| config.wake.delay = Duration::from_hours(1)).await;
    let push = PushReceiver::start().await;
    let (mut phone, mut tablet) = anas_devices(&world, &push).await;
    phone.make_account("Segunda").await;
    wait_until_owed(&world, Some("news")).await;
    tablet.exchange(json!([])).await;
    wait_until_owed(&world, None).await;
    assert!(push.is_quiet());
}

#[tokio::test]
async fn a_push_service_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let world = company(|_| {}).await;
    let mut push = PushReceiver::start().await;
    let (mut phone, _) = anas_devices(&world, &push).await;
    push.answer_next((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "2")]));
    phone.make_account("Segunda").await;
    push.next().await;
    let asked = Instant::now();
    phone.make_account("Tercera").await;
    push.next().await;
    assert!(asked.elapsed() > Duration::from_millis(1_500), "{:?}", asked.elapsed());
    wait_until_owed(&world, None).await;
    assert!(push.is_quiet(), "both changes made one wake-up");
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_forgotten_and_a_redirect_is_not_followed() {
    let world = company(|_| {}).await;
    let mut push = PushReceiver::start().await;
    let (mut phone, tablet) = anas_devices(&world, &push).await;
    push.answer_next((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]));
    phone.make_account("Segunda").await;
    assert_eq!(push.next().await.path, "/tablet");
    wait_until_owed(&world, None).await;
    push.answer_next(StatusCode::GONE);
    phone.make_account("Tercera").await;
    assert_eq!(push.next().await.path, "/tablet", "nothing was asked where the redirect led");
    wait_for("the end of the subscription", async || listed(&world, &tablet).await.is_null()).await;
}

#[tokio::test]
async fn what_is_owed_and_the_key_outlive_a_restart() {
    let world = company(|config| config.wake.delay = Duration::from_hours(1)).await;
    let mut push = PushReceiver::start().await;
    let (mut phone, tablet) = anas_devices(&world, &push).await;
    let key = hello(&world, &tablet).await["wake_key"].as_str().expect("a key").to_owned();
    phone.make_account("Segunda").await;
    wait_until_owed(&world, Some("news")).await;
    let world = world.restart().await;
    let asked = push.next().await;
    asked.claims(&key);
    wait_until_owed(&world, None).await;
}

#[tokio::test]
async fn only_a_push_service_is_asked_and_only_where_somebody_answers_for_it() {
    let world = World::with(|config| config.wake.contact = Some(CONTACT.into())).await;
    world.add_user("ana@example.com", "sales_rep").await;
    let phone = Phone::enrol(&world, "ana@example.com").await;
    for (endpoint, status) in [
        ("http://fcm.googleapis.com/fcm/send/x", 422),
        ("https://127.0.0.1/x", 422),
        ("https://metadata.internal/latest", 422),
        ("https://fcm.googleapis.com@10.0.0.1/", 422),
        ("https://fcm.googleapis.com/fcm/send/x", 204),
    ] {
        let answer =
            world.send(Some(&phone.token), Method::PUT, "/sync/v1/wake", json!({ "endpoint": endpoint })).await;
        assert_eq!(answer.status, status, "{endpoint}: {}", answer.body);
    }
    world.send(Some(&phone.token), Method::DELETE, "/sync/v1/wake", Value::Null).await.expect(204);
    assert_eq!(listed(&world, &phone).await, Value::Null);

    let silent = World::new().await;
    silent.add_user("ana@example.com", "sales_rep").await;
    let phone = Phone::enrol(&silent, "ana@example.com").await;
    let said = hello(&silent, &phone).await;
    assert!(said.get("wake_key").is_none() && !said["capabilities"].to_string().contains("wake"), "{said}");
    let endpoint = json!({ "endpoint": "https://fcm.googleapis.com/fcm/send/x" });
    silent.send(Some(&phone.token), Method::PUT, "/sync/v1/wake", endpoint).await.expect(404);
}
