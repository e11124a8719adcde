//! Faults of manifests and chunks.

use serde_json::{Value, json};

use super::{last_segment, without_header};
use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed_at};

pub const FAULTS: &[(&str, Fault)] = &[
    ("a-manifest-begins-with-the-most-urgent", Answers(call_the_first_the_least_urgent)),
    ("chunks-are-as-the-manifest-says", Answers(count_one_row_more)),
    ("chunks-are-fetched-by-range", Answers(send_chunks_whole)),
    ("several-chunks-come-at-once", Answers(send_any_number_of_chunks)),
    ("a-foreign-chunk-is-as-good-as-none", Answers(tell_foreign_chunks_from_none)),
    ("a-chunk-with-a-deleted-record-is-gone", Answers(keep_chunks_for_ever)),
    ("the-exchange-after-the-chunks-tells-the-rest", Answers(tell_nothing_after_chunks)),
    ("outcomes-come-while-chunks-arrive", Answers(tell_everything_while_chunks_arrive)),
];

const MANIFEST: &str = "POST /sync/v1/manifest";

fn call_the_first_the_least_urgent(upstream: &Upstream, request: &Request) -> Reply {
    changed_at(MANIFEST, upstream, request, |manifest| {
        manifest["chunks"][0]["priority"] = json!(9);
    })
}

fn count_one_row_more(upstream: &Upstream, request: &Request) -> Reply {
    changed_at(MANIFEST, upstream, request, |manifest| {
        for entry in manifest.get_mut("chunks").and_then(Value::as_array_mut).into_iter().flatten() {
            entry["rows"] = json!(entry["rows"].as_u64().unwrap_or(0) + 1);
        }
    })
}

fn send_chunks_whole(upstream: &Upstream, request: &Request) -> Reply {
    without_header(upstream, request, "GET /sync/v1/chunk/", "range")
}

fn send_any_number_of_chunks(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() != "too-many-chunks" {
        return reply;
    }
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    upstream.ask(&request.with(&json!({"chunks": [asked["chunks"][0]]})))
}

/// Asks for a manifest or anything else, and remembers what a manifest names.
fn ask_and_remember(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.line.starts_with(MANIFEST) {
        let manifest = reply.json();
        let chunks = manifest["chunks"].as_array().into_iter().flatten().map(|chunk| &chunk["hash"]);
        let named = chunks.chain([&manifest["cursor"]]).filter_map(Value::as_str);
        upstream.known.lock().expect("nobody fails while holding it").extend(named.map(str::to_owned));
    }
    reply
}

fn tell_foreign_chunks_from_none(upstream: &Upstream, request: &Request) -> Reply {
    let reply = ask_and_remember(upstream, request);
    if reply.code() != "chunk-gone" || !upstream.knows(&last_segment(request)) {
        return reply;
    }
    let mut problem = reply.json();
    problem["title"] = json!("The chunk is not yours.");
    reply.with(&problem)
}

fn keep_chunks_for_ever(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let of = (request.session().to_owned(), request.line.clone());
    if !request.line.starts_with("GET /sync/v1/chunk/") {
        return reply;
    }
    let mut sent = upstream.sent.lock().expect("nobody fails while holding it");
    if reply.code() == "chunk-gone" {
        return sent.get(&of).cloned().unwrap_or(reply);
    }
    sent.insert(of, reply.clone());
    reply
}

/// Whether it is an exchange from the cursor of a manifest.
fn is_after_manifest(upstream: &Upstream, request: &Request) -> bool {
    let cursor = request.exchange().map(|exchange| exchange["cursor"].clone()).unwrap_or_default();
    cursor.as_str().is_some_and(|cursor| upstream.knows(cursor))
}

fn tell_nothing_after_chunks(upstream: &Upstream, request: &Request) -> Reply {
    let reply = ask_and_remember(upstream, request);
    if !reply.is_ok() || !is_after_manifest(upstream, request) {
        return reply;
    }
    let mut answer = reply.json();
    answer["operations"] = json!([]);
    reply.with(&answer)
}

fn tell_everything_while_chunks_arrive(upstream: &Upstream, request: &Request) -> Reply {
    match request.exchange() {
        Some(mut exchange) if exchange["limit_bytes"] == 0 && is_after_manifest(upstream, request) => {
            exchange["limit_bytes"] = json!(4 << 20);
            upstream.ask(&request.with(&exchange))
        }
        _ => ask_and_remember(upstream, request),
    }
}
