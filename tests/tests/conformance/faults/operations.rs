//! Faults of what a device is told.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed, leave_out};

pub const FAULTS: &[(&str, Fault)] = &[
    ("scopes-come-before-their-records", Answers(tell_of_no_scope)),
    ("news-in-order-of-sequence", Answers(tell_the_newest_first)),
    ("deletions-reach-others", Answers(tell_nobody_else_of_deletions)),
    ("deletions-reach-their-author", Answers(tell_others_alone_of_deletions)),
    ("what-came-and-went-is-not-put", Answers(put_what_is_gone)),
    ("exits-reach-who-loses-a-record", Answers(tell_of_no_exit)),
];

fn tell_of_no_scope(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| leave_out(answer, |operation| operation["op"] == "scope_add"))
}

fn is_pull_of_news(request: &Request) -> bool {
    request.exchange().is_some_and(|exchange| exchange["cursor"].is_string())
}

fn tell_the_newest_first(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        if let Some(operations) =
            answer.get_mut("operations").and_then(Value::as_array_mut).filter(|_| is_pull_of_news(request))
        {
            operations.reverse();
        }
    })
}

/// Notes which session deleted what, and leaves deletions out: of others, or its own.
fn leave_out_deletions(upstream: &Upstream, request: &Request, own: bool) -> Reply {
    let deleted = |record: &Value| format!("{} deleted {record}", request.session());
    let mutations = request.exchange().map(|exchange| exchange["mutations"].clone()).unwrap_or_default();
    for mutation in mutations.as_array().into_iter().flatten().filter(|mutation| mutation["kind"] == "delete") {
        upstream.learns(&deleted(&mutation["record"]));
    }
    changed(upstream, request, |answer| {
        leave_out(answer, |operation| operation["op"] == "delete" && upstream.knows(&deleted(&operation["id"])) == own);
    })
}

fn tell_nobody_else_of_deletions(upstream: &Upstream, request: &Request) -> Reply {
    leave_out_deletions(upstream, request, false)
}

fn tell_others_alone_of_deletions(upstream: &Upstream, request: &Request) -> Reply {
    leave_out_deletions(upstream, request, true)
}

/// Of a record that this session was never told of, and did not make, the whole life is told.
fn put_what_is_gone(upstream: &Upstream, request: &Request) -> Reply {
    let known = |record: &Value| format!("{} knows {record}", request.session());
    let mutations = request.exchange().map(|exchange| exchange["mutations"].clone()).unwrap_or_default();
    for mutation in mutations.as_array().into_iter().flatten() {
        upstream.learns(&known(&mutation["record"]));
    }
    changed(upstream, request, |answer| {
        let mut told = Vec::new();
        for operation in answer["operations"].as_array().cloned().unwrap_or_default() {
            let is_new = operation.get("id").is_some_and(|record| upstream.learns(&known(record)));
            if is_new && operation["op"] == "delete" {
                let (id, seq) = (&operation["id"], &operation["seq"]);
                told.push(json!({"op": "put", "entity": "account", "id": id, "seq": seq, "scopes": [1], "set": {}}));
            }
            told.push(operation);
        }
        answer["operations"] = json!(told);
    })
}

fn tell_of_no_exit(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| leave_out(answer, |operation| operation["op"] == "exit"))
}
