use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use ureq::http::Method;

use super::hello::{expect_capability, hello};
use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::http::Answer;
use crate::phone::Phone;
use crate::world::World;

pub const SECTION: Section = Section {
    name: "Wake-ups",
    checks: &[
        Check {
            name: "the-wake-key-is-one-of-p-256",
            says: "`wake_key`: what a push subscription has to name, an uncompressed point of P-256 in base64url, the same for \
                   every device",
            run: the_wake_key_is_one_of_p_256,
        },
        Check {
            name: "only-push-services-are-asked",
            says: "`invalid` (422): the endpoint is none of a push service that the server asks",
            run: only_push_services_are_asked,
        },
        Check {
            name: "a-subscription-is-withdrawn",
            says: "`DELETE /sync/v1/wake` (204, also when there is none) withdraws the subscription",
            run: a_subscription_is_withdrawn,
        },
        Check {
            name: "only-devices-are-woken",
            says: "a subscription is a device's: `unauthenticated` without a session, `no-device` for one that belongs to none",
            run: only_devices_are_woken,
        },
    ],
};

const WAKE: &str = "/sync/v1/wake";

/// Addresses as the push services of browsers give them out; behind these nobody listens.
const SERVICES: [&str; 3] = [
    "https://fcm.googleapis.com/fcm/send/cartera-conformance",
    "https://updates.push.services.mozilla.com/wpush/v2/cartera-conformance",
    "https://web.push.apple.com/cartera-conformance",
];

/// A device of a server that wakes devices.
fn phone(world: &mut World) -> Result<Phone, Unmet> {
    let phone = world.phone()?;
    expect_capability(&phone, "wake")?;
    Ok(phone)
}

fn subscribe(phone: &Phone, endpoint: &str) -> Result<Answer, Unmet> {
    phone.ask(Method::PUT, WAKE, &[], json!({"endpoint": endpoint}).to_string().as_bytes())
}

fn the_wake_key_is_one_of_p_256(world: &mut World) -> Seen {
    let (one, other) = (phone(world)?, phone(world)?);
    let key = |phone: &Phone| -> Result<String, Unmet> {
        let key = hello(phone, &json!({}))?.wake_key;
        key.map_or_else(|| broken("`wake` is among the capabilities, and there is no `wake_key`"), Ok)
    };
    let (first, second) = (key(&one)?, key(&other)?);
    ensure(first == second, || format!("one device is told {first}, another {second}"))?;
    let point = URL_SAFE_NO_PAD.decode(&first).or_else(|error| broken(format!("{first} is no base64url: {error}")))?;
    ensure(point.len() == 65 && point[0] == 4, || format!("{first} are {} bytes", point.len()))?;
    Ok(first)
}

fn only_push_services_are_asked(world: &mut World) -> Seen {
    let phone = phone(world)?;
    let wrong = [
        "http://push.example.com/1",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        // Who has no list of services, and only asks for HTTPS, would ask machines beside the server and of anybody else.
        "https://169.254.169.254/",
        "https://10.0.0.1/",
        "https://push.example.com/1",
        "https://fcm.googleapis.com.example.org/",
        "https://somebody@push.example.com/",
        "file:///etc/passwd",
        "no address",
        "",
    ];
    for endpoint in wrong {
        subscribe(&phone, endpoint)?.refused(422, "invalid")?;
    }
    phone.ask(Method::PUT, WAKE, &[], b"{}")?.refused(422, "invalid-body")?;
    Ok(format!("{} that are none, and a body without any", wrong.len()))
}

/// Subscribes at the first service that the server asks, and names it.
fn subscribed(phone: &Phone) -> Result<&'static str, Unmet> {
    for endpoint in SERVICES {
        let answer = subscribe(phone, endpoint)?;
        if answer.status == 204 {
            return Ok(endpoint);
        }
        answer.refused(422, "invalid")?;
    }
    Err(Unmet::Unchecked("the server asks none of the push services of browsers".into()))
}

fn a_subscription_is_withdrawn(world: &mut World) -> Seen {
    let phone = phone(world)?;
    let endpoint = subscribed(&phone)?;
    for what in ["a subscription", "none any more"] {
        let answer = phone.ask(Method::DELETE, WAKE, &[], b"")?;
        ensure(answer.status == 204, || format!("there was {what}; it was answered with {}", answer.shown()))?;
    }
    Ok(format!("one at {endpoint}, and again when there was none"))
}

fn only_devices_are_woken(world: &mut World) -> Seen {
    let phone = phone(world)?;
    let person = phone.with_token(&world.session()?);
    let body = json!({"endpoint": "https://push.example.com/1"}).to_string();
    for (method, body) in [(Method::PUT, body.as_bytes()), (Method::DELETE, &b""[..])] {
        person.ask(method.clone(), WAKE, &[], body)?.refused(403, "no-device")?;
        let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
        world.send(method, WAKE, headers, body)?.refused(401, "unauthenticated")?;
    }
    Ok("a person's session: 403; none: 401".into())
}
