//! What connected devices are told, and what they are not.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::listening::Phone;
use crate::support::World;

fn names(operations: &Value) -> Vec<&str> {
    let puts = operations.as_array().expect("a list").iter().filter(|operation| operation["entity"] == "account");
    puts.filter_map(|operation| operation["set"]["name"].as_str()).collect()
}

async fn company() -> World {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("bea@example.com", "sales_rep").await;
    world
}

#[tokio::test]
async fn a_change_reaches_the_other_device_whole_and_the_next_one_goes_on_from_there() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = tablet.listen().await;

    phone.make_account("Segunda").await;
    let first = stream.expect("delta").await;
    assert_eq!((&first["from"], names(&first["operations"])), (&tablet.cursor, vec!["Segunda"]));
    phone.make_account("Tercera").await;
    let second = stream.expect("delta").await;
    assert_eq!((&second["from"], names(&second["operations"])), (&first["cursor"], vec!["Tercera"]));

    tablet.cursor = second["cursor"].clone();
    let answer = tablet.exchange(json!([])).await;
    assert_eq!((&answer["operations"], &answer["head"]), (&json!([]), &second["head"]), "nothing is left to tell");
}

#[tokio::test]
async fn what_a_delta_brings_is_what_an_exchange_would_have_brought() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    let account = phone.make_account("Ácme").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = tablet.listen().await;
    let set = json!({ "id": 2, "kind": "update", "entity": "account", "record": account, "base": 99, "set": { "name": "Acme SL" }, "at_ms": 1 });
    phone.exchange(json!([set])).await;
    let delta = stream.expect("delta").await;
    let answer = tablet.exchange(json!([])).await;
    assert_eq!((&delta["operations"], &delta["cursor"]), (&answer["operations"], &answer["cursor"]));
    assert_eq!(delta["operations"][0]["partial"], json!(true), "only what changed");
}

#[tokio::test]
async fn who_may_not_see_a_change_hears_nothing_of_it() {
    let world = company().await;
    let mut ana = Phone::enrol(&world, "ana@example.com").await;
    let mut bea = Phone::enrol(&world, "bea@example.com").await;
    bea.make_account("De Bea").await;
    ana.make_account("De Ana").await;
    let tablet = Phone::enrol(&world, "bea@example.com").await;
    let mut stream = tablet.listen().await;
    for n in 0..5 {
        ana.make_account(&format!("{n} de Ana")).await;
    }
    bea.make_account("Otra de Bea").await;
    let delta = stream.expect("delta").await;
    assert_eq!(names(&delta["operations"]), ["Otra de Bea"], "the first thing that it hears is of its own user");
    assert_eq!(delta["from"], tablet.cursor, "and it needed no cursor for what was none of its business");
}

#[tokio::test]
async fn what_a_device_pushes_does_not_come_back_to_it_and_deltas_go_on_behind_it() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = tablet.listen().await;
    tablet.make_account("Mía").await;
    phone.make_account("Otra").await;
    let delta = stream.expect("delta").await;
    assert_eq!((&delta["from"], names(&delta["operations"])), (&tablet.cursor, vec!["Otra"]));
}

#[tokio::test]
async fn a_push_whose_answer_brought_no_page_is_followed_by_pokes_until_the_next_exchange() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = tablet.listen().await;
    let mutation = json!({ "id": 1, "kind": "create", "entity": "account", "record": "01930c1e-7a10-7000-8000-0000000fffff", "set": { "name": "Mía" }, "at_ms": 1 });
    let body = json!({ "protocol": 1, "cursor": tablet.cursor, "mutations": [mutation], "limit_bytes": 0 });
    world.send(Some(&tablet.token), Method::POST, "/sync/v1/exchange", body).await.expect(200);
    stream.expect("poke").await;
    phone.make_account("Otra").await;
    stream.expect("poke").await;
    tablet.exchange(json!([])).await;
    phone.make_account("Tercera").await;
    assert_eq!(names(&stream.expect("delta").await["operations"]), ["Tercera"]);
}

#[tokio::test]
async fn a_device_that_comes_back_is_told_what_it_missed_or_to_exchange() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Segunda").await;
    let delta = tablet.listen().await.expect("delta").await;
    assert_eq!(names(&delta["operations"]), ["Segunda"], "its cursor is the last that it was given");
    phone.make_account("Tercera").await;
    // The delta was lost: the device comes with the cursor from before it.
    tablet.listen().await.expect("poke").await;
    tablet.exchange(json!([])).await;
    let stale = std::mem::replace(&mut tablet.cursor, json!("nonsense"));
    tablet.listen().await.expect("poke").await;
    tablet.cursor = stale;
    let mut stream = tablet.listen().await;
    phone.make_account("Cuarta").await;
    stream.expect("delta").await;
}

#[tokio::test]
async fn a_change_too_large_for_a_delta_is_a_poke() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = tablet.listen().await;
    let mutations: Vec<Value> = (0..60)
        .map(|n| {
            let record = format!("01930c1e-7a10-7000-8000-0000000a{n:04}");
            json!({ "id": n + 2, "kind": "create", "entity": "account", "record": record, "set": { "name": format!("Cliente {n}") }, "at_ms": 1 })
        })
        .collect();
    let answer = phone.exchange(json!(mutations)).await;
    assert_eq!(stream.expect("poke").await["head"], answer["head"]);
    tablet.exchange(json!([])).await;
    phone.mutations = 61;
    phone.make_account("Otra").await;
    assert_eq!(names(&stream.expect("delta").await["operations"]), ["Otra"]);
}

#[tokio::test]
async fn what_a_user_gains_or_loses_is_told_to_be_fetched() {
    let world = company().await;
    let mut ana = Phone::enrol(&world, "ana@example.com").await;
    ana.make_account("De Ana").await;
    let bea = Phone::enrol(&world, "bea@example.com").await;
    let mut stream = bea.listen().await;
    let listed = world.as_operator(Method::GET, "/api/v1/user", Value::Null).await.expect(200);
    let record = |name: &str| {
        let users = listed["items"].as_array().expect("users").iter();
        let mut own = users.filter(|user| user["fields"]["email"] == name);
        own.next().expect("she is there")["id"].as_str().expect("an id").to_owned()
    };
    let roles = world.as_operator(Method::GET, "/api/v1/role?where=key%20==%20'admin'", Value::Null).await.expect(200);
    let path = format!("/api/v1/user/{}", record("bea@example.com"));
    let body = json!({ "set": { "role": roles["items"][0]["id"] } });
    world.as_operator(Method::PATCH, &path, body).await.expect(200);
    let mut told = Vec::new();
    while !told.contains(&"poke".to_owned()) {
        told.push(stream.next().await.expect("an event").0);
    }
    assert!(told.contains(&"order".to_owned()), "another role sees another model: {told:?}");

    let body = json!({ "set": { "active": false } });
    world.as_operator(Method::PATCH, &path, body).await.expect(200);
    let mut last = None;
    while let Some(event) = stream.next().await {
        last = Some(event);
    }
    assert_eq!(
        last,
        Some(("order".to_owned(), json!({ "order": "signed-out" }))),
        "who may not sign in is told nothing more"
    );
}

#[tokio::test]
async fn a_change_of_the_model_is_an_order_to_fetch_it() {
    let world = company().await;
    let ana = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = ana.listen().await;
    let yaml = "entity: account\nfields:\n  nickname: {type: text, labels: {es: Apodo, en: Nickname}}\n";
    let body = json!({ "name": "local", "yaml": yaml });
    let applied = world.as_operator(Method::POST, "/api/v1/model/layers", body).await;
    assert_eq!(applied.status.as_u16() / 100, 2, "{}", applied.body);
    let order = stream.expect("order").await;
    let me = world.get(&ana.token, "/api/v1/me").await.expect(200);
    assert_eq!(order, json!({ "order": "upgrade", "model": me["model"] }));
}

#[tokio::test]
async fn a_revoked_devices_stream_ends_with_the_reason_and_others_go_on() {
    let world = company().await;
    let phone = Phone::enrol(&world, "ana@example.com").await;
    let tablet = Phone::enrol(&world, "ana@example.com").await;
    let (mut ends, mut stays) = (phone.listen().await, tablet.listen().await);
    let path = format!("/api/v1/devices/{}", phone.device);
    world.send(Some(&tablet.token), Method::DELETE, &path, Value::Null).await.expect(204);
    assert_eq!(ends.expect("order").await, json!({ "order": "signed-out" }));
    assert_eq!(ends.next().await, None);
    world.get(&phone.token, "/sync/v1/live").await.expect(401);
    world.app.live_feed().close();
    assert_eq!(stays.next().await, None, "only the server's end ends this one");
    assert_eq!(world.get(&tablet.token, "/sync/v1/live").await.code(), "unavailable");
}

#[tokio::test]
async fn a_session_that_runs_out_ends_the_stream_with_the_next_sign_of_life() {
    let world = World::with(|config| config.live.heartbeat = Duration::from_millis(40)).await;
    world.add_user("ana@example.com", "sales_rep").await;
    let phone = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = phone.listen().await;
    assert_eq!(stream.block().await.as_deref(), Some(":"), "a sign of life");
    // In use it does not run out.
    for _ in 0..40 {
        world.clock.advance(24 * 60 * 60 * 1_000);
        while stream.block().await.is_some_and(|block| block != ":") {}
    }
    world.clock.advance(31 * 24 * 60 * 60 * 1_000);
    assert_eq!(stream.expect("order").await, json!({ "order": "signed-out" }));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_catches_up_by_an_exchange() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    let mut stream = tablet.listen().await;
    let mut reader = Phone::enrol(&world, "ana@example.com").await;
    let mut read = reader.listen().await;
    for n in 0..20 {
        phone.make_account(&format!("{n} de muchas")).await;
        let delta = read.expect("delta").await;
        reader.cursor = delta["cursor"].clone();
    }
    assert_eq!(stream.next().await, None, "nothing of what waited is sent any more");
    let answer = tablet.exchange(json!([])).await;
    assert_eq!(names(&answer["operations"]).len(), 20);
    let metrics = world.as_operator(Method::GET, "/metrics", Value::Null).await;
    assert_eq!(metrics.status, 200);
    assert_eq!(tablet.cursor, reader.cursor, "both came to the same place");
}

#[tokio::test]
async fn a_device_has_one_stream() {
    let world = company().await;
    let phone = Phone::enrol(&world, "ana@example.com").await;
    let mut first = phone.listen().await;
    let _second = phone.listen().await;
    assert_eq!(first.next().await, None);
}

#[tokio::test]
async fn there_is_room_for_so_many_devices_and_not_one_more() {
    let world = World::with(|config| config.live.connections = 1).await;
    world.add_user("ana@example.com", "sales_rep").await;
    let phone = Phone::enrol(&world, "ana@example.com").await;
    let tablet = Phone::enrol(&world, "ana@example.com").await;
    let stream = phone.listen().await;
    let refused = world.get(&tablet.token, "/sync/v1/live").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "unavailable"));
    assert!(refused.headers.contains_key("retry-after"));
    drop(stream);
    tablet.listen().await;
}

#[tokio::test]
async fn a_long_poll_answers_at_once_or_when_something_comes_or_with_nothing() {
    let world = company().await;
    let mut phone = Phone::enrol(&world, "ana@example.com").await;
    phone.make_account("Primera").await;
    let mut tablet = Phone::enrol(&world, "ana@example.com").await;
    assert_eq!(tablet.poll(1).await, json!({}));
    phone.make_account("Segunda").await;
    let answer = tablet.poll(20).await;
    assert_eq!(names(&answer["delta"]["operations"]), ["Segunda"]);
    tablet.cursor = answer["delta"]["cursor"].clone();

    let (answer, _) = tokio::join!(tablet.poll(20), phone.make_account("Tercera"));
    assert_eq!(answer["delta"]["from"], tablet.cursor);
    assert_eq!(names(&answer["delta"]["operations"]), ["Tercera"]);
    tablet.cursor = Value::Null;
    assert!(tablet.poll(20).await["poke"]["head"].is_u64(), "without a cursor there is always something to fetch");
}

#[tokio::test]
async fn only_the_session_of_a_device_may_listen() {
    let world = company().await;
    let session = world.sign_in("ana@example.com").await;
    assert_eq!(world.get(&session, "/sync/v1/live").await.code(), "no-device");
}
