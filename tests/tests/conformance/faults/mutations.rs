//! Faults of how mutations are taken.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, decided_otherwise, mutations, set};

pub const FAULTS: &[(&str, Fault)] = &[
    ("a-gap-is-refused", Answers(take_gaps)),
    ("ids-ascend", Answers(take_any_order)),
    ("groups-are-whole-or-nothing", Answers(break_groups_up)),
    ("what-depends-on-a-rejected-one-is-rejected", Answers(forget_what_depends)),
    ("a-wrong-one-holds-up-no-other", Answers(stop_at_a_wrong_one)),
    ("ids-of-records-are-taken-once", Answers(let_another_device_make_it_again)),
    ("null-clears", Answers(clear_nothing)),
];

fn ids(exchange: &Value) -> Vec<u64> {
    let mutations = exchange["mutations"].as_array().into_iter().flatten();
    mutations.filter_map(|mutation| mutation["id"].as_u64()).collect()
}

fn take_gaps(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let ids = ids(&request.exchange().unwrap_or_default());
    if reply.code() != "mutation-gap" || !ids.is_sorted_by(|one, next| one < next) {
        return reply;
    }
    let outcomes: Vec<Value> = ids.iter().map(|id| json!({"mutation": id, "verdict": "applied", "seq": 1})).collect();
    Reply::outcomes(&outcomes)
}

fn take_any_order(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        let id = |mutation: &Value| mutation["id"].as_u64();
        if let Some(mutations) = mutations(exchange) {
            mutations.sort_by_key(id);
            mutations.dedup_by_key(|mutation| id(mutation));
        }
    })
}

/// Passes mutations on without that key.
fn without(upstream: &Upstream, request: &Request, key: &str) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        for mutation in mutations(exchange).into_iter().flatten() {
            mutation.as_object_mut().map(|mutation| mutation.remove(key));
        }
    })
}

fn break_groups_up(upstream: &Upstream, request: &Request) -> Reply {
    without(upstream, request, "group")
}

fn forget_what_depends(upstream: &Upstream, request: &Request) -> Reply {
    without(upstream, request, "depends_on")
}

fn stop_at_a_wrong_one(upstream: &Upstream, request: &Request) -> Reply {
    let mut stopped = false;
    decided_otherwise(upstream, request, |_, outcome| {
        if stopped && outcome["verdict"] == "applied" {
            outcome["verdict"] = json!("deferred");
        }
        stopped |= outcome["verdict"] == "rejected";
    })
}

fn let_another_device_make_it_again(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        let made = format!("{} made {}", request.session(), mutation["record"]);
        if outcome["verdict"] == "applied" {
            upstream.learns(&made);
        } else if outcome["reason"]["code"] == "already-exists" && !upstream.knows(&made) {
            outcome["verdict"] = json!("applied");
        }
    })
}

fn clear_nothing(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        for mutation in mutations(exchange).into_iter().flatten() {
            if let Some(set) = set(mutation) {
                set.retain(|_, value| !value.is_null());
            }
        }
    })
}
