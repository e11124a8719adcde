//! Faults around wake-ups.

use serde_json::json;

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed_at};

pub const FAULTS: &[(&str, Fault)] = &[
    ("the-wake-key-is-one-of-p-256", Answers(have_a_key_of_another_kind)),
    ("only-push-services-are-asked", Answers(ask_whomever_it_is_told)),
    ("a-subscription-is-withdrawn", Answers(find_nothing_to_withdraw)),
    ("only-devices-are-woken", Answers(wake_people)),
];

fn have_a_key_of_another_kind(upstream: &Upstream, request: &Request) -> Reply {
    changed_at("POST /sync/v1/hello", upstream, request, |answer| answer["wake_key"] = json!("AAAA"))
}

fn done() -> Reply {
    Reply { status: "204 No Content".into(), headers: Vec::new(), body: Vec::new() }
}

fn ask_whomever_it_is_told(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.line.starts_with("PUT /sync/v1/wake") && reply.code() == "invalid" { done() } else { reply }
}

fn find_nothing_to_withdraw(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.line.starts_with("DELETE /sync/v1/wake") && reply.status.starts_with("204") {
        return Reply { status: "404 Not Found".into(), ..reply };
    }
    reply
}

fn wake_people(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.line.contains("/sync/v1/wake") && reply.code() == "no-device" { done() } else { reply }
}
