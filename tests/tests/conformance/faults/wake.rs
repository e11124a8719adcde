//! Faults around wake-ups.

use serde_json::json;

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed_at};

pub const FAULTS: &[(&str, Fault)] = &[
    ("the-wake-key-is-one-of-p-256", Answers(have_a_key_of_another_kind)),
    ("only-push-services-are-asked", Answers(ask_whomever_it_is_told)),
    ("only-push-services-are-asked", Answers(ask_whoever_has_a_name)),
    ("only-push-services-are-asked", Answers(know_services_by_their_beginning)),
    ("a-subscription-is-withdrawn", Answers(withdraw_nothing)),
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

/// Takes an endpoint that the server does not, where that part of its text is in it.
fn ask_also(upstream: &Upstream, request: &Request, part: &str) -> Reply {
    let reply = ask_whomever_it_is_told(upstream, request);
    if String::from_utf8_lossy(&request.body).contains(part) { reply } else { upstream.ask(request) }
}

/// No list of services: every address of HTTPS with a name will do.
fn ask_whoever_has_a_name(upstream: &Upstream, request: &Request) -> Reply {
    ask_also(upstream, request, "https://push.example.com/")
}

fn know_services_by_their_beginning(upstream: &Upstream, request: &Request) -> Reply {
    ask_also(upstream, request, "https://fcm.googleapis.com.")
}

/// The answer to a withdrawal, where one has been sent before or not.
fn withdrawn(upstream: &Upstream, request: &Request, is_first: bool) -> Reply {
    let reply = upstream.ask(request);
    let is_withdrawal = request.line.starts_with("DELETE /sync/v1/wake") && reply.status.starts_with("204");
    if is_withdrawal && upstream.learns(&format!("{} withdrew", request.session())) == is_first {
        return Reply { status: "404 Not Found".into(), ..reply };
    }
    reply
}

fn withdraw_nothing(upstream: &Upstream, request: &Request) -> Reply {
    withdrawn(upstream, request, true)
}

fn find_nothing_to_withdraw(upstream: &Upstream, request: &Request) -> Reply {
    withdrawn(upstream, request, false)
}

fn wake_people(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.line.contains("/sync/v1/wake") && reply.code() == "no-device" { done() } else { reply }
}
