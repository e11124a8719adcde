//! Faults of exchanges, what they carry, and problems.

use serde_json::{Value, json};

use super::without_header;
use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed, header};

pub const FAULTS: &[(&str, Fault)] = &[
    ("unknown-keys-are-skipped", Answers(refuse_unknown_keys)),
    ("answers-are-compressed", Answers(never_compress)),
    ("an-altered-cursor-is-refused", Answers(start_over_in_silence)),
    ("pages-by-byte-budget", Answers(send_everything_at_once)),
    ("own-writes-are-acknowledged", Answers(send_back_own_writes)),
    ("head-is-the-last-sequence", Answers(forget_the_head)),
    ("exits-reach-who-loses-a-record", Answers(tell_of_no_exit)),
    ("a-gap-is-refused", Answers(take_gaps)),
    ("outcomes-are-repeated", Answers(decide_anew)),
    ("lww", Answers(overwrite_in_silence)),
    ("problems-are-rfc-9457", Answers(answer_problems_as_json)),
];

fn refuse_unknown_keys(upstream: &Upstream, request: &Request) -> Reply {
    let is_unknown = request.exchange().is_some_and(|exchange| exchange.get("from_the_future").is_some());
    if !is_unknown {
        return upstream.ask(request);
    }
    let problem =
        json!({"type": "urn:cartera:problem:invalid-body", "code": "invalid-body", "title": "No.", "status": 422});
    let headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
    Reply { status: "422 Unprocessable Content".into(), headers, body: problem.to_string().into_bytes() }
}

fn never_compress(upstream: &Upstream, request: &Request) -> Reply {
    without_header(upstream, request, "POST /sync/v1/exchange", "accept-encoding")
}

fn start_over_in_silence(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    match request.exchange() {
        Some(mut exchange) if reply.code() == "cursor-forged" => {
            exchange.as_object_mut().map(|exchange| exchange.remove("cursor"));
            upstream.ask(&request.with(&exchange))
        }
        _ => reply,
    }
}

fn send_everything_at_once(upstream: &Upstream, request: &Request) -> Reply {
    match request.exchange() {
        Some(mut exchange) if exchange["limit_bytes"].as_u64().is_some_and(|limit| limit > 0) => {
            exchange["limit_bytes"] = json!(4 << 20);
            upstream.ask(&request.with(&exchange))
        }
        _ => upstream.ask(request),
    }
}

fn send_back_own_writes(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        for operation in answer["operations"].as_array_mut().into_iter().flatten() {
            if operation["op"] == "acknowledged" {
                operation["op"] = json!("put");
                operation["partial"] = json!(true);
                operation["entity"] = json!("account");
                operation["set"] = json!({});
            }
        }
    })
}

fn forget_the_head(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| answer["head"] = json!(0))
}

fn tell_of_no_exit(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        if let Some(operations) = answer["operations"].as_array_mut() {
            operations.retain(|operation| operation["op"] != "exit");
        }
    })
}

fn ids(exchange: &Value) -> Vec<u64> {
    let mutations = exchange["mutations"].as_array().into_iter().flatten();
    mutations.filter_map(|mutation| mutation["id"].as_u64()).collect()
}

fn take_gaps(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let ids = request.exchange().map(|exchange| ids(&exchange)).unwrap_or_default();
    if reply.code() != "mutation-gap" || !ids.is_sorted_by(|one, next| one < next) {
        return reply;
    }
    let outcomes: Vec<Value> = ids.iter().map(|id| json!({"mutation": id, "verdict": "applied", "seq": 1})).collect();
    let answer = json!({
        "protocol": 1, "model": "m", "outcomes": outcomes, "operations": [], "cursor": "c", "more": false, "head": 1,
        "server_time_ms": 1,
    });
    Reply { status: "200 OK".into(), ..reply.with(&answer) }
}

fn decide_anew(upstream: &Upstream, request: &Request) -> Reply {
    let token = header(&request.headers, "authorization").unwrap_or_default().to_owned();
    changed(upstream, request, |answer| {
        let mut answered = upstream.answered.lock().expect("nobody fails while holding it");
        for outcome in answer["outcomes"].as_array_mut().into_iter().flatten() {
            let id = outcome["mutation"].as_u64().unwrap_or(0);
            if !answered.insert((token.clone(), id)) {
                outcome["seq"] = json!(outcome["seq"].as_u64().unwrap_or(0) + 1);
            }
        }
    })
}

fn overwrite_in_silence(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        for outcome in answer["outcomes"].as_array_mut().into_iter().flatten() {
            if outcome["verdict"] == "merged" {
                outcome["verdict"] = json!("applied");
            }
        }
    })
}

fn answer_problems_as_json(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    for (name, value) in &mut reply.headers {
        if name == "content-type" && value == "application/problem+json" {
            "application/json".clone_into(value);
        }
    }
    reply
}
