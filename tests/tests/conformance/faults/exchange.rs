//! Faults of exchanges.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, changed, operations};

pub const FAULTS: &[(&str, Fault)] = &[
    ("outcomes-in-the-order-sent", Answers(tell_the_last_outcome_first)),
    ("outcomes-only", Answers(send_operations_unasked)),
    ("pages-by-byte-budget", Answers(send_everything_at_once)),
    ("at-least-one-operation", Answers(send_nothing_for_a_byte)),
    ("own-writes-are-acknowledged", Answers(send_back_own_writes)),
    ("others-are-told", Answers(put_news_in_no_scope)),
    ("nothing-new-is-nothing", Answers(tell_old_news)),
    ("head-is-the-last-sequence", Answers(forget_the_head)),
];

fn tell_the_last_outcome_first(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        if let Some(outcomes) = answer.get_mut("outcomes").and_then(Value::as_array_mut) {
            outcomes.reverse();
        }
    })
}

fn send_operations_unasked(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        if exchange["limit_bytes"] == 0 {
            exchange["limit_bytes"] = json!(1 << 20);
        }
    })
}

fn send_everything_at_once(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        if exchange["limit_bytes"].as_u64().is_some_and(|limit| limit > 0) {
            exchange["limit_bytes"] = json!(4 << 20);
        }
    })
}

/// A budget in which no operation fits brings none: the device never gets on.
fn send_nothing_for_a_byte(upstream: &Upstream, request: &Request) -> Reply {
    let asked = request.exchange().filter(|exchange| exchange["limit_bytes"] == 1 && exchange["cursor"].is_string());
    changed(upstream, request, |answer| {
        if let Some(asked) = asked {
            answer["operations"] = json!([]);
            answer["cursor"] = asked["cursor"].clone();
            answer["more"] = json!(true);
        }
    })
}

fn send_back_own_writes(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        for operation in operations(answer).filter(|operation| operation["op"] == "acknowledged") {
            operation["op"] = json!("put");
            operation["partial"] = json!(true);
            operation["entity"] = json!("account");
            operation["set"] = json!({});
        }
    })
}

fn put_news_in_no_scope(upstream: &Upstream, request: &Request) -> Reply {
    let is_news = request.exchange().is_some_and(|exchange| exchange["cursor"].is_string());
    changed(upstream, request, |answer| {
        for operation in operations(answer).filter(|operation| is_news && operation["op"] == "put") {
            operation["scopes"] = json!([]);
        }
    })
}

/// Where there is no news, those before are told once more.
fn tell_old_news(upstream: &Upstream, request: &Request) -> Reply {
    let is_pull = request.exchange().is_some_and(|exchange| {
        exchange["limit_bytes"].as_u64().is_some_and(|limit| limit > 1) && exchange["mutations"] == json!([])
    });
    changed(upstream, request, |answer| {
        let mut sent = upstream.sent.lock().expect("nobody fails while holding it");
        let last = (request.session().to_owned(), "news".to_owned());
        if is_pull && answer["operations"] == json!([]) {
            answer["operations"] = sent.get(&last).map_or_else(|| json!([]), Reply::json);
        } else if is_pull {
            let news = Reply { status: String::new(), headers: Vec::new(), body: Vec::new() };
            sent.insert(last, news.with(&answer["operations"]));
        }
    })
}

fn forget_the_head(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| answer["head"] = json!(0))
}
