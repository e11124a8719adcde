use serde_json::{Value, json};
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::wire::{HelloAnswer, MAX_MUTATIONS_PER_EXCHANGE, Order};
use ureq::http::Method;

use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::phone::Phone;
use crate::world::World;

pub const SECTION: Section = Section {
    name: "Hello and report",
    checks: &[
        Check {
            name: "hello-says-what-the-server-is",
            says: "`hello` answers the versions that the server speaks, its version, the model as this user may see it, \
                   capabilities and limits",
            run: hello_says_what_the_server_is,
        },
        Check {
            name: "hello-orders-what-is-to-be-done",
            says: "`orders` of `hello` as the live ones: `upgrade` for a device with another model, `update` for one that \
                   is too old",
            run: hello_orders_what_is_to_be_done,
        },
        Check { name: "a-report-is-taken", says: "`report` is answered with 204", run: a_report_is_taken },
        Check {
            name: "a-malformed-report-is-refused",
            says: "every key of a report but `waiting` and `attention` is optional; `malformed-json` (400), `invalid-body` \
                   (422)",
            run: a_malformed_report_is_refused,
        },
        Check {
            name: "only-devices-say-hello",
            says: "hello and report are for a device: `unauthenticated` without a session, `no-device` for one that belongs \
                   to none",
            run: only_devices_say_hello,
        },
    ],
};

const HELLO: &str = "/sync/v1/hello";
const REPORT: &str = "/sync/v1/report";

/// What the server says of itself.
pub fn hello(phone: &Phone, request: &Value) -> Result<HelloAnswer, Unmet> {
    let answer = phone.post(HELLO, request)?.ok()?;
    serde_json::from_value(answer).or_else(|error| broken(format!("the answer to hello cannot be read: {error}")))
}

/// Goes on only where the server says that it can do this.
pub fn expect_capability(phone: &Phone, capability: &str) -> Result<(), Unmet> {
    if hello(phone, &json!({}))?.capabilities.iter().any(|known| known == capability) {
        return Ok(());
    }
    Err(Unmet::Unchecked(format!("hello does not name `{capability}` among the server's capabilities")))
}

fn hello_says_what_the_server_is(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let said = hello(&phone, &json!({"protocols": [PROTOCOL_VERSION, 999], "app": "conformance", "later": {"a": 1}}))?;
    ensure(said.protocols.contains(&PROTOCOL_VERSION), || format!("it speaks {:?}", said.protocols))?;
    ensure(!said.server.is_empty(), || "`server` is empty".into())?;
    let model: String = crate::phone::read(&phone.exchange(&phone.request(&[]))?.ok()?, "model")?;
    ensure(said.model == model, || format!("hello names the model {}, an exchange {model}", said.model))?;
    let limits = said.limits;
    let is_usable = (1..=MAX_MUTATIONS_PER_EXCHANGE as u64).contains(&limits.mutations)
        && limits.body_bytes >= 1 << 20
        && limits.page_bytes > 0;
    ensure(is_usable, || format!("{limits:?}: at most 1,000 mutations, at least 1 MiB of them in a body"))?;
    Ok(format!("{} with {}", said.server, said.capabilities.join(", ")))
}

fn hello_orders_what_is_to_be_done(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let model = hello(&phone, &json!({"protocols": [PROTOCOL_VERSION]}))?.model;
    let orders = |request: Value| hello(&phone, &request).map(|said| said.orders);
    let present = orders(json!({"protocols": [PROTOCOL_VERSION], "model": model}))?;
    ensure(present.is_empty(), || format!("a device that is as the server wants it is ordered {present:?}"))?;
    let other = orders(json!({"protocols": [PROTOCOL_VERSION], "model": "0".repeat(64)}))?;
    ensure(other.contains(&Order::Upgrade { model }), || format!("a device with another model is ordered {other:?}"))?;
    let old = orders(json!({"protocols": [0]}))?;
    ensure(old.iter().any(|order| matches!(order, Order::Update { protocol } if *protocol > 0)), || {
        format!("a device that speaks version 0 alone is ordered {old:?}")
    })?;
    Ok("nothing, another model, a newer app: each to whom it concerns".into())
}

fn a_report_is_taken(world: &mut World) -> Seen {
    let phone = world.phone()?;
    expect_capability(&phone, "report")?;
    let whole = json!({
        "waiting": 3, "oldest_ms": 60_000, "attention": 1, "lag_ms": 5_000, "problem": "unavailable", "model": "m",
        "app": "conformance", "digest": "same", "storage_bytes": 4_096, "from_the_future": [1],
    });
    for report in [whole, json!({"waiting": 0, "attention": 0})] {
        let answer = phone.post(REPORT, &report)?;
        ensure(answer.status == 204, || format!("{report} was answered with {}", answer.shown()))?;
    }
    Ok("one with all keys and one more, and one with the two that are required".into())
}

fn a_malformed_report_is_refused(world: &mut World) -> Seen {
    let phone = world.phone()?;
    expect_capability(&phone, "report")?;
    let malformed = [
        json!({}),
        json!({"waiting": 1}),
        json!({"waiting": -1, "attention": 0}),
        json!({"waiting": "many", "attention": 0}),
        json!({"waiting": 0, "attention": 0, "lag_ms": "long"}),
        json!([]),
    ];
    for report in &malformed {
        phone.post(REPORT, report)?.refused(422, "invalid-body")?;
    }
    phone.ask(Method::POST, REPORT, &[], b"{\"waiting\": 0,")?.refused(400, "malformed-json")?;
    Ok(format!("{} that are no report, and one that is no JSON", malformed.len()))
}

fn only_devices_say_hello(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let person = phone.with_token(&world.session()?);
    let report = json!({"waiting": 0, "attention": 0});
    for (path, body) in [(HELLO, &json!({})), (REPORT, &report)] {
        person.post(path, body)?.refused(403, "no-device")?;
        let headers = [("content-type", "application/json")];
        let answer = world.send(Method::POST, path, &headers, body.to_string().as_bytes())?;
        answer.refused(401, "unauthenticated")?;
    }
    Ok("a person's session: 403; none: 401".into())
}
