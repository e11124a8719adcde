//! Faults around models that are not the present one.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, changed, decided_otherwise};

pub const FAULTS: &[(&str, Fault)] = &[
    ("only-the-present-model-is-served", Answers(keep_the_present_model_to_itself)),
    ("another-model-is-told-no-operations", Answers(tell_of_records_in_words_of_another_model)),
    ("what-was-queued-under-another-model-is-decided", Answers(reject_what_was_queued_under_another_model)),
    ("the-oldest-devices-may-still-push", Answers(let_the_oldest_believe_that_they_are_in_step)),
];

fn keep_the_present_model_to_itself(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.line.starts_with("GET /sync/v1/model/") && reply.code() == "not-found" {
        let mut problem = reply.json();
        problem.as_object_mut().map(|problem| problem.remove("model"));
        return reply.with(&problem);
    }
    reply
}

fn tell_of_records_in_words_of_another_model(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        exchange.as_object_mut().map(|exchange| exchange.remove("model"));
    })
}

fn reject_what_was_queued_under_another_model(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        if mutation.get("model").is_some_and(Value::is_string) {
            outcome["verdict"] = json!("rejected");
            outcome["reason"] = json!({"code": "invalid", "message": "Another model."});
        }
    })
}

fn let_the_oldest_believe_that_they_are_in_step(upstream: &Upstream, request: &Request) -> Reply {
    let is_oldest = request.exchange().is_some_and(|exchange| exchange["protocol"] == 0);
    changed(upstream, request, |answer| {
        if is_oldest {
            answer["more"] = json!(false);
        }
    })
}
