//! Faults of problems, and of what is refused.

use serde_json::json;

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, header, mutations};

pub const FAULTS: &[(&str, Fault)] = &[
    ("problems-are-rfc-9457", Answers(answer_problems_as_json)),
    ("malformed-json", Answers(tell_unreadable_from_wrong_in_nothing)),
    ("damaged-bodies", Answers(pass_over_unknown_encodings)),
    ("too-many-mutations", Answers(take_the_first_thousand)),
    ("bodies-too-large", Answers(take_bodies_of_any_size)),
    ("refused-is-unchanged", Answers(decide_before_refusing)),
];

fn answer_problems_as_json(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    for (name, value) in &mut reply.headers {
        if name == "content-type" && value == "application/problem+json" {
            "application/json".clone_into(value);
        }
    }
    reply
}

fn tell_unreadable_from_wrong_in_nothing(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() == "malformed-json" {
        return Reply::problem("422 Unprocessable Content", "invalid-body");
    }
    reply
}

fn pass_over_unknown_encodings(upstream: &Upstream, request: &Request) -> Reply {
    let mut request = request.clone();
    if header(&request.headers, "content-encoding") == Some("br") {
        request.headers.retain(|(name, _)| name != "content-encoding");
    }
    upstream.ask(&request)
}

fn take_the_first_thousand(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        if let Some(mutations) = mutations(exchange) {
            mutations.truncate(1_000);
        }
    })
}

fn take_bodies_of_any_size(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() == "body-too-large" { Reply::outcomes(&[]) } else { reply }
}

fn decide_before_refusing(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.is_exchange() && !reply.is_ok() {
        let mutations = request.exchange().map(|exchange| exchange["mutations"].clone()).unwrap_or_default();
        let bare = json!({"protocol": 1, "mutations": mutations, "limit_bytes": 0});
        let _ = asked_otherwise(upstream, request, |exchange| *exchange = bare);
    }
    reply
}
