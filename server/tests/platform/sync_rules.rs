//! Which records devices carry: settled when a record changes, when a rule does, and with the day.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use cartera_server::platform::clock::Clock;
use cartera_server::platform::config::Config;
use crm::expr::date_text;
use crm::rules::carries;
use serde_json::{Value, json};

use crate::listening::Phone;
use crate::support::{NOW_MS, World};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const TODAY: i64 = NOW_MS / DAY_MS;
/// Open ones, and what is not older than half a year.
const RECENT: &str = "status != 'done' || due == null || due > today - 180";

/// Nothing is settled but what a test settles.
fn by_hand(config: &mut Config) {
    config.moves.records_per_second = 0;
}

async fn company() -> World {
    let world = World::with(by_hand).await;
    world.add_user("ana@example.com", "sales_rep").await;
    world.add_user("bea@example.com", "sales_rep").await;
    world.add_user("eva@example.com", "admin").await;
    world
}

async fn rule(world: &World, rule: &str) {
    let layer = json!({ "name": "carry", "yaml": format!("entity: activity\nsync: {{where: \"{rule}\"}}\n") });
    world.as_operator(Method::POST, "/api/v1/model/layers", layer).await.expect(200);
}

async fn settle(world: &World) {
    while world.app.sync_rules().turn().await.expect("a turn").is_some() {}
    let uneven: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT s.id, d.records, (SELECT count(*) FROM scope_entry AS e WHERE e.scope = s.id AND e.state = 0)
         FROM scope AS s JOIN scope_digest AS d ON d.scope = s.id
         WHERE s.kind <> 'all'
           AND d.records <> (SELECT count(*) FROM scope_entry AS e WHERE e.scope = s.id AND e.state = 0)",
    )
    .fetch_all(world.app.db().readers())
    .await
    .expect("the database answers");
    assert!(uneven.is_empty(), "scopes whose digest counts other records than stand in them: {uneven:?}");
}

fn day(offset: i64) -> String {
    date_text(TODAY + offset).expect("a day")
}

/// A device that keeps what it is told, as the protocol says.
struct Carrier<'a> {
    phone: Phone<'a>,
    /// By id: subject and scopes.
    records: BTreeMap<String, (String, BTreeSet<i64>)>,
}

impl<'a> Carrier<'a> {
    async fn enrol(world: &'a World, email: &str) -> Self {
        let (device, token) = world.enrol(email).await;
        let mut phone = Phone::enrol(world, email).await;
        // The phone has begun already: this one begins by itself, to see its first page too.
        (phone.device, phone.token, phone.cursor) = (device, token, Value::Null);
        let mut carrier = Self { phone, records: BTreeMap::new() };
        carrier.sync().await;
        carrier
    }

    async fn sync(&mut self) {
        let answer = self.phone.exchange(json!([])).await;
        self.apply(&answer["operations"]);
    }

    fn apply(&mut self, operations: &Value) {
        for operation in operations.as_array().expect("a list") {
            let id = operation["id"].as_str().unwrap_or_default().to_owned();
            let scopes = operation["scopes"].as_array().map(|scopes| scopes.iter().filter_map(Value::as_i64).collect());
            match operation["op"].as_str().expect("a name") {
                "put" if operation["entity"] == "activity" => {
                    let before = self.records.get(&id).map(|(subject, _)| subject.clone());
                    assert!(
                        before.is_some() || operation["partial"] != true,
                        "a part of what is not here: {operation}"
                    );
                    let subject = operation["set"]["subject"].as_str().map(str::to_owned).or(before);
                    self.records.insert(id, (subject.expect("a subject"), scopes.expect("scopes")));
                }
                "acknowledged" => {
                    if let Some((_, own)) = self.records.get_mut(&id) {
                        *own = scopes.expect("scopes");
                    }
                }
                "exit" | "delete" => drop(self.records.remove(&id)),
                "scope_drop" => {
                    let scope = operation["scope"].as_i64().expect("a number");
                    self.records.retain(|_, (_, own)| {
                        own.remove(&scope);
                        !own.is_empty()
                    });
                }
                _ => {}
            }
        }
    }

    fn subjects(&self) -> Vec<&str> {
        let mut subjects: Vec<&str> = self.records.values().map(|(subject, _)| subject.as_str()).collect();
        subjects.sort_unstable();
        subjects
    }

    /// Exchanges, and says what it carries then.
    async fn carries(&mut self) -> Vec<&str> {
        self.sync().await;
        self.subjects()
    }
}

/// Ana's, signed in without a device.
async fn make(world: &World, token: &str, subject: &str, fields: Value) -> String {
    let mut fields = fields;
    fields["subject"] = json!(subject);
    let made = world.send(Some(token), Method::POST, "/api/v1/activity", json!({ "fields": fields })).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

async fn set(world: &World, token: &str, id: &str, fields: Value) {
    let path = format!("/api/v1/activity/{id}");
    world.send(Some(token), Method::PATCH, &path, json!({ "set": fields })).await.expect(200);
}

async fn listed(world: &World, token: &str) -> u64 {
    let summary = world.get(token, "/api/v1/activity/summary").await.expect(200);
    summary["count"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_record_that_nobody_touches_leaves_the_devices_with_its_day_and_is_found_as_before() {
    let world = company().await;
    rule(&world, RECENT).await;
    settle(&world).await;
    let ana = world.sign_in("ana@example.com").await;
    make(&world, &ana, "Antigua", json!({ "status": "done", "due": day(-200) })).await;
    make(&world, &ana, "Al borde", json!({ "status": "done", "due": day(-179) })).await;
    make(&world, &ana, "Abierta", json!({ "due": day(-300) })).await;
    let mut phone = Carrier::enrol(&world, "ana@example.com").await;
    let mut admins = Carrier::enrol(&world, "eva@example.com").await;
    let mut beas = Carrier::enrol(&world, "bea@example.com").await;
    assert_eq!(phone.subjects(), ["Abierta", "Al borde"]);
    assert_eq!(admins.subjects(), ["Abierta", "Al borde"], "who reads all carries no more");
    assert!(beas.subjects().is_empty(), "and a rule shows nobody what she may not read");

    world.clock.advance(DAY_MS);
    assert_eq!(phone.carries().await, ["Abierta", "Al borde"], "until the night");
    settle(&world).await;
    assert_eq!((phone.carries().await, admins.carries().await), (vec!["Abierta"], vec!["Abierta"]));
    assert!(beas.carries().await.is_empty());
    let ana = world.sign_in("ana@example.com").await;
    assert_eq!(listed(&world, &ana).await, 3, "REST is not narrowed");
    let found = world.get(&ana, "/api/v1/search?q=borde").await.expect(200);
    assert_eq!(found["items"].as_array().expect("a list").len(), 1, "{found}");
    assert_eq!(Carrier::enrol(&world, "ana@example.com").await.subjects(), ["Abierta"]);
}

#[tokio::test]
async fn each_change_settles_its_record_at_once_and_a_connected_device_hears_of_it() {
    let world = company().await;
    rule(&world, RECENT).await;
    let ana = world.sign_in("ana@example.com").await;
    make(&world, &ana, "Otra", json!({})).await;
    let id = make(&world, &ana, "Llamada", json!({ "status": "planned", "due": day(-400) })).await;
    let mut phone = Carrier::enrol(&world, "ana@example.com").await;
    let mut stream = phone.phone.listen().await;
    set(&world, &ana, &id, json!({ "status": "done" })).await;
    let left = stream.expect("delta").await;
    assert_eq!((&left["operations"][0]["op"], &left["operations"][0]["id"]), (&json!("exit"), &json!(id)), "{left}");
    phone.apply(&left["operations"]);
    assert_eq!(phone.subjects(), ["Otra"]);
    set(&world, &ana, &id, json!({ "subject": "Llamada larga" })).await;
    set(&world, &ana, &id, json!({ "due": day(0) })).await;
    let back = stream.expect("delta").await;
    phone.apply(&back["operations"]);
    assert_eq!(phone.subjects(), ["Llamada larga", "Otra"], "what it did not carry meanwhile comes whole: {back}");

    // Its own change may cost a device the record as well.
    phone.phone.cursor = back["cursor"].clone();
    let seq = back["operations"][0]["seq"].clone();
    let mutation = json!({
        "id": 1, "kind": "update", "entity": "activity", "record": id, "base": seq, "set": { "due": day(-400) }, "at_ms": 1,
    });
    let answer = phone.phone.exchange(json!([mutation])).await;
    assert_eq!(answer["outcomes"][0]["verdict"], "applied", "{answer}");
    phone.apply(&answer["operations"]);
    assert_eq!(phone.subjects(), ["Otra"]);
}

#[tokio::test]
async fn an_edited_rule_moves_records_and_a_rule_that_goes_brings_all_of_them_back() {
    let world = company().await;
    let ana = world.sign_in("ana@example.com").await;
    for n in 0..5 {
        make(&world, &ana, &format!("Visita {n}"), json!({ "type": "visit", "due": day(-100 * n) })).await;
    }
    make(&world, &ana, "Nota", json!({ "type": "note" })).await;
    let mut phone = Carrier::enrol(&world, "ana@example.com").await;
    let mut admins = Carrier::enrol(&world, "eva@example.com").await;
    assert_eq!((phone.subjects().len(), admins.subjects().len()), (6, 6));

    rule(&world, "due > today - 150").await;
    assert_eq!(admins.carries().await.len(), 6, "the scope that takes the place of all begins with all");
    settle(&world).await;
    let recent = ["Visita 0", "Visita 1"];
    assert_eq!((phone.carries().await, admins.carries().await), (recent.to_vec(), recent.to_vec()));

    rule(&world, "type == 'note'").await;
    settle(&world).await;
    assert_eq!((phone.carries().await, admins.carries().await), (vec!["Nota"], vec!["Nota"]));

    rule(&world, "true").await;
    settle(&world).await;
    assert_eq!((phone.carries().await.len(), admins.carries().await.len()), (6, 6));
    let id = phone.records.iter().find(|(_, (subject, _))| subject == "Nota").expect("it is there").0.clone();
    world.send(Some(&ana), Method::DELETE, &format!("/api/v1/activity/{id}"), Value::Null).await.expect(204);
    assert_eq!((phone.carries().await.len(), admins.carries().await.len()), (5, 5), "deletions reach both");
}

#[tokio::test]
async fn a_new_device_fetches_chunks_of_what_is_carried_alone() {
    let world = company().await;
    rule(&world, RECENT).await;
    settle(&world).await;
    let ana = world.sign_in("ana@example.com").await;
    for n in 0..4 {
        make(&world, &ana, &format!("Visita {n}"), json!({ "status": "done", "due": day(-100 * n) })).await;
    }
    for email in ["ana@example.com", "eva@example.com"] {
        let (_, token) = world.enrol(email).await;
        let manifest = world.send(Some(&token), Method::POST, "/sync/v1/manifest", json!({ "protocol": 1 })).await;
        let manifest = manifest.expect(200);
        let chunks = manifest["chunks"].as_array().expect("a list").iter();
        let rows = chunks.filter(|chunk| chunk["entity"] == "activity").filter_map(|chunk| chunk["rows"].as_u64());
        assert_eq!(rows.sum::<u64>(), 2, "{email}: {manifest}");
    }
}

#[tokio::test]
async fn a_pass_that_was_cut_short_goes_on_where_it_was() {
    let world = World::with(|config| {
        by_hand(config);
        config.moves.batch_records = 2;
    })
    .await;
    world.add_user("ana@example.com", "sales_rep").await;
    let ana = world.sign_in("ana@example.com").await;
    for n in 0..5 {
        make(&world, &ana, &format!("Visita {n}"), json!({ "due": day(-300) })).await;
    }
    rule(&world, "due > today - 180").await;
    assert_eq!(world.app.sync_rules().turn().await.expect("a turn"), Some(2));
    let world = world.restart().await;
    let mut settled = Vec::new();
    while let Some(count) = world.app.sync_rules().turn().await.expect("a turn") {
        settled.push(count);
    }
    assert_eq!(settled, [2, 1]);
    assert!(Carrier::enrol(&world, "ana@example.com").await.subjects().is_empty());
}

#[tokio::test]
async fn the_night_is_that_of_the_tenants_time_zone_and_a_command_does_not_wait_for_it() {
    let world = World::with(|config| {
        by_hand(config);
        config.time_zone = jiff::tz::TimeZone::get("Europe/Madrid").expect("a zone");
        config.sync.rules_hour = 3;
    })
    .await;
    rule(&world, "due > today - 180").await;
    settle(&world).await;
    let turn = async || world.app.sync_rules().turn().await.expect("a turn");
    // The clock stands at 16:13 in Madrid; to 2:53 of the next day it is 10 h 40 min.
    world.clock.advance(10 * 3_600_000 + 40 * 60_000);
    assert_eq!(turn().await, None, "the day has begun, its hour has not come");
    world.clock.advance(10 * 60_000);
    assert_eq!(turn().await, Some(0));
    assert_eq!(turn().await, None, "once a day");

    world.clock.advance(20 * 3_600_000);
    let rules = world.as_operator(Method::POST, "/api/v1/sync-rules/settle", Value::Null).await.expect(200);
    let shown = &rules["rules"][0];
    assert_eq!((&shown["entity"], &shown["where"]), (&json!("activity"), &json!("due > today - 180")));
    assert_eq!((&shown["day"], &shown["left"]), (&json!(day(1)), &json!(0)), "{rules}");
    world.add_user("ana@example.com", "sales_rep").await;
    let token = world.sign_in("ana@example.com").await;
    world.get(&token, "/api/v1/sync-rules").await.expect(403);
}

#[tokio::test]
async fn what_the_database_finds_for_a_rule_is_what_memory_says_of_each_record() {
    let world = company().await;
    let ana = world.sign_in("ana@example.com").await;
    // A small generator of its own: the same records in every run.
    let mut random = 7_u64;
    let mut next = |below: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(random >> 33).expect("31 bits") % below
    };
    for n in 0..60 {
        let mut fields =
            json!({ "type": (["call", "visit", "note", "task"][usize::try_from(next(4)).expect("small")]) });
        if next(3) > 0 {
            fields["due"] = json!(day(next(40) - 20));
        }
        if next(2) == 0 {
            fields["location"] = json!((["Vigo", "", "A Coruña", "vigo"][usize::try_from(next(4)).expect("small")]));
        }
        if next(2) == 0 {
            fields["status"] = json!((["planned", "done", "cancelled"][usize::try_from(next(3)).expect("small")]));
        }
        make(&world, &ana, &format!("Actividad {n}"), fields).await;
    }
    for source in [
        "due > today - 3",
        "due >= today || status == 'planned'",
        "!(due < today) && type in ['call', 'visit']",
        "has(location) ? location.contains('Vigo') : due == null",
        "due.month == today.month && due.year == today.year",
        "size(location) > 4 || due != today",
    ] {
        rule(&world, source).await;
        for days in [0, 1, 6] {
            world.clock.advance(days * DAY_MS);
            settle(&world).await;
            let catalogue = world.app.catalogue();
            let entity = catalogue.model.entity("activity").expect("it is in the core");
            let today = world.clock.now_ms().div_euclid(DAY_MS);
            let rows: Vec<(bool, sqlx::types::Json<crm::Fields>)> = sqlx::query_as(
                "SELECT r.carried, r.body FROM record AS r JOIN entity AS e ON e.code = r.entity WHERE e.name = 'activity'",
            )
            .fetch_all(world.app.db().readers())
            .await
            .expect("the database answers");
            assert_eq!(rows.len(), 60);
            for (carried, fields) in rows {
                assert_eq!(carried, carries(entity, &fields, today), "{source} on day {today}: {fields:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_rule_that_differs_by_user_or_can_fail_is_refused() {
    let world = company().await;
    for (rule, said) in [
        ("owner == me", "names `me` or `now`"),
        ("start < now", "names `me` or `now`"),
        ("due + 30 > today", "can fail"),
        ("subject", "does not fit here"),
        ("colour == 'red'", "does not fit the entity"),
    ] {
        let layer = json!({ "name": "carry", "yaml": format!("entity: activity\nsync: {{where: \"{rule}\"}}\n") });
        let refused = world.as_operator(Method::POST, "/api/v1/model/layers", layer).await.expect(422);
        assert!(refused.to_string().contains(said), "{rule}: {refused}");
    }
}
