//! Faults of digests.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, changed_at, leave_out, operations};

pub const FAULTS: &[(&str, Fault)] = &[
    ("a-digest-is-of-what-was-sent", Answers(never_compare)),
    ("what-is-equal-is-the-same", Answers(find_every_range_different)),
    ("a-scope-that-was-not-named-differs", Answers(look_at_named_scopes_alone)),
    ("a-search-ends-at-what-differs", Answers(put_nothing_that_is_missing)),
    ("what-is-out-of-reach-is-an-exit", Answers(tell_hidden_from_absent)),
    ("deep-leaves-have-the-fields", Answers(never_look_deep)),
    ("digests-are-bounded", Answers(take_digests_of_any_size)),
];

fn never_compare(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| exchange["compare"] = json!(false))
}

/// What a digest request asks for, where it is one.
fn digest(request: &Request) -> Option<Value> {
    let is_digest = request.line.starts_with("POST /sync/v1/digest");
    is_digest.then(|| serde_json::from_slice(&request.body).ok()).flatten()
}

/// Passes digests that are not deep on; what comes back may be changed.
fn changed_digest(upstream: &Upstream, request: &Request, change: impl FnOnce(&mut Value)) -> Reply {
    match digest(request) {
        Some(asked) if asked["deep"] != true => changed_at("POST", upstream, request, change),
        _ => upstream.ask(request),
    }
}

fn find_every_range_different(upstream: &Upstream, request: &Request) -> Reply {
    changed_digest(upstream, request, |answer| {
        for range in answer.get_mut("ranges").and_then(Value::as_array_mut).into_iter().flatten() {
            if range["state"] == "same" {
                range["state"] = json!("differs");
            }
        }
    })
}

fn look_at_named_scopes_alone(upstream: &Upstream, request: &Request) -> Reply {
    let asked = digest(request).unwrap_or_default();
    let is_named =
        |scope: &Value| asked["scopes"].as_array().into_iter().flatten().any(|named| named["scope"] == *scope);
    changed_digest(upstream, request, |answer| {
        if let Some(scopes) = answer.get_mut("scopes").and_then(Value::as_array_mut) {
            scopes.retain(is_named);
        }
    })
}

fn put_nothing_that_is_missing(upstream: &Upstream, request: &Request) -> Reply {
    changed_digest(upstream, request, |answer| leave_out(answer, |operation| operation["op"] == "put"))
}

fn tell_hidden_from_absent(upstream: &Upstream, request: &Request) -> Reply {
    changed_digest(upstream, request, |answer| {
        if let Some(exit) = operations(answer).filter(|operation| operation["op"] == "exit").last() {
            exit["op"] = json!("delete");
        }
    })
}

fn never_look_deep(upstream: &Upstream, request: &Request) -> Reply {
    match digest(request) {
        Some(mut asked) if asked["deep"] == true => {
            asked["deep"] = json!(false);
            upstream.ask(&request.with(&asked))
        }
        _ => upstream.ask(request),
    }
}

fn take_digests_of_any_size(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() != "digest-too-large" {
        return reply;
    }
    let nothing = json!({"protocol": 1, "cursor": "c", "scopes": [], "ranges": [], "operations": []});
    Reply { status: "200 OK".into(), ..reply.with(&nothing) }
}
