//! Faults of what is answered to mutations.

use serde_json::json;

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, decided_otherwise};

pub const FAULTS: &[(&str, Fault)] = &[
    ("outcomes-are-repeated", Answers(decide_anew)),
    ("acknowledging-ahead-is-refused", Answers(let_acknowledge_ahead)),
    ("acknowledged-outcomes-may-be-forgotten", Answers(decide_forgotten_ones_anew)),
    ("a-rejection-says-why", Answers(name_no_field)),
    ("an-outcome-has-the-sequence", Answers(tell_the_sequence_before)),
];

fn decide_anew(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        if !upstream.learns(&format!("{} sent {}", request.session(), mutation["id"])) {
            outcome["seq"] = json!(outcome["seq"].as_u64().unwrap_or(0) + 1);
        }
    })
}

fn let_acknowledge_ahead(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() == "acknowledged-ahead" {
        return asked_otherwise(upstream, request, |exchange| exchange["acknowledged"] = json!(0));
    }
    reply
}

/// The record that the forgotten one made is in its own way.
fn decide_forgotten_ones_anew(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() != "outcome-forgotten" {
        return reply;
    }
    let reason = json!({"code": "already-exists", "message": "It is there already."});
    Reply::outcomes(&[json!({"mutation": 1, "verdict": "rejected", "seq": 1, "reason": reason})])
}

fn name_no_field(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |_, outcome| {
        if outcome["reason"]["code"] == "invalid" {
            outcome["reason"]["fields"] = json!([]);
        }
    })
}

fn tell_the_sequence_before(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        if mutation["kind"] == "update" && outcome["verdict"] == "applied" {
            outcome["seq"] = mutation["base"].clone();
        }
    })
}
