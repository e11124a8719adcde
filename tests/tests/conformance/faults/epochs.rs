//! Faults around what a server has lost, or says that it cannot lose.

use serde_json::json;

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed, decided_otherwise};

pub const FAULTS: &[(&str, Fault)] = &[
    ("expected-is-what-is-decided-next", Answers(expect_the_one_after)),
    ("void-mutations-keep-the-numbers-whole", Answers(take_void_mutations)),
    ("safe-is-not-ahead", Answers(be_safe_ahead_of_time)),
];

fn expect_the_one_after(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        if let Some(expected) = answer["expected"].as_u64() {
            answer["expected"] = json!(expected + 1);
        }
    })
}

fn take_void_mutations(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        if mutation["entity"] == "" {
            outcome["verdict"] = json!("applied");
        }
    })
}

fn be_safe_ahead_of_time(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| answer["safe"] = json!(answer["head"].as_u64().unwrap_or(0) + 1))
}
