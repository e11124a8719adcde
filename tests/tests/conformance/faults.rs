//! Rules of the specification, each broken by a proxy in one way.

use serde_json::{Value, json};

use crate::proxy::{Fault, Reply, Request, Upstream, changed, changed_at, header};

/// Each with the one check that must see it.
pub const FAULTS: &[(&str, Fault)] = &[
    ("unknown-keys-are-skipped", refuse_unknown_keys),
    ("answers-are-compressed", never_compress),
    ("an-altered-cursor-is-refused", start_over_in_silence),
    ("pages-by-byte-budget", send_everything_at_once),
    ("own-writes-are-acknowledged", send_back_own_writes),
    ("head-is-the-last-sequence", forget_the_head),
    ("exits-reach-who-loses-a-record", tell_of_no_exit),
    ("a-gap-is-refused", take_gaps),
    ("outcomes-are-repeated", decide_anew),
    ("lww", overwrite_in_silence),
    ("chunks-are-as-the-manifest-says", count_one_row_more),
    ("chunks-are-fetched-by-range", send_chunks_whole),
    ("a-chunk-with-a-deleted-record-is-gone", keep_chunks_for_ever),
    ("the-exchange-after-the-chunks-tells-the-rest", tell_nothing_after_chunks),
    ("a-poll-waits", poke_for_nothing),
    ("another-model-is-ordered", poke_instead_of_ordering),
    ("hello-orders-what-is-to-be-done", order_nothing),
    ("a-malformed-report-is-refused", take_every_report),
    ("uploads-go-on-by-offset", forget_how_far_uploads_are),
    ("blobs-are-fetched-by-range", send_files_whole),
    ("blobs-are-never-run", show_files_in_place),
    ("a-digest-is-of-what-was-sent", never_compare),
    ("what-is-equal-is-the-same", find_every_range_different),
    ("a-scope-that-was-not-named-differs", look_at_named_scopes_alone),
    ("a-search-ends-at-what-differs", put_nothing_that_is_missing),
    ("what-is-out-of-reach-is-an-exit", tell_hidden_from_absent),
    ("deep-leaves-have-the-fields", never_look_deep),
    ("problems-are-rfc-9457", answer_problems_as_json),
];

fn count_one_row_more(upstream: &Upstream, request: &Request) -> Reply {
    changed_at("POST /sync/v1/manifest", upstream, request, |manifest| {
        for entry in manifest["chunks"].as_array_mut().into_iter().flatten() {
            entry["rows"] = json!(entry["rows"].as_u64().unwrap_or(0) + 1);
        }
    })
}

fn send_chunks_whole(upstream: &Upstream, request: &Request) -> Reply {
    without_header(upstream, request, "GET /sync/v1/chunk/", "range")
}

fn keep_chunks_for_ever(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let of = (header(&request.headers, "authorization").unwrap_or_default().to_owned(), request.line.clone());
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

fn tell_nothing_after_chunks(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let mut manifests = upstream.manifests.lock().expect("nobody fails while holding it");
    if request.line.starts_with("POST /sync/v1/manifest") {
        manifests.extend(reply.json()["cursor"].as_str().map(str::to_owned));
    }
    let cursor = request.exchange().map(|exchange| exchange["cursor"].clone()).unwrap_or_default();
    if !reply.is_ok() || !cursor.as_str().is_some_and(|cursor| manifests.contains(cursor)) {
        return reply;
    }
    let mut answer = reply.json();
    answer["operations"] = json!([]);
    reply.with(&answer)
}

fn never_compare(upstream: &Upstream, request: &Request) -> Reply {
    match request.exchange() {
        Some(mut exchange) if exchange["compare"] == true => {
            exchange["compare"] = json!(false);
            upstream.ask(&request.with(&exchange))
        }
        _ => upstream.ask(request),
    }
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
    changed_digest(upstream, request, |answer| {
        if let Some(operations) = answer["operations"].as_array_mut() {
            operations.retain(|operation| operation["op"] != "put");
        }
    })
}

fn tell_hidden_from_absent(upstream: &Upstream, request: &Request) -> Reply {
    changed_digest(upstream, request, |answer| {
        let operations = answer["operations"].as_array_mut().into_iter().flatten();
        if let Some(exit) = operations.filter(|operation| operation["op"] == "exit").last() {
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

fn poke_for_nothing(upstream: &Upstream, request: &Request) -> Reply {
    changed_at("GET /sync/v1/live?wait=", upstream, request, |answer| {
        if *answer == json!({}) {
            *answer = json!({"poke": {"head": 1}});
        }
    })
}

fn poke_instead_of_ordering(upstream: &Upstream, request: &Request) -> Reply {
    changed_at("GET /sync/v1/live?wait=", upstream, request, |answer| {
        if answer.get("order").is_some() {
            *answer = json!({"poke": {"head": 1}});
        }
    })
}

fn order_nothing(upstream: &Upstream, request: &Request) -> Reply {
    changed_at("POST /sync/v1/hello", upstream, request, |answer| answer["orders"] = json!([]))
}

fn take_every_report(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let is_malformed = matches!(reply.code().as_str(), "invalid-body" | "malformed-json");
    if request.line.starts_with("POST /sync/v1/report") && is_malformed {
        return Reply { status: "204 No Content".into(), headers: Vec::new(), body: Vec::new() };
    }
    reply
}

fn forget_how_far_uploads_are(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    if request.line.starts_with("HEAD /sync/v1/blob/") {
        reply.headers.retain(|(name, _)| name != "upload-offset");
    }
    reply
}

fn send_files_whole(upstream: &Upstream, request: &Request) -> Reply {
    without_header(upstream, request, "GET /sync/v1/blob/", "range")
}

/// Passes requests that begin so on without that header, and others as they are.
fn without_header(upstream: &Upstream, request: &Request, line: &str, forgotten: &str) -> Reply {
    let mut request = request.clone();
    if request.line.starts_with(line) {
        request.headers.retain(|(name, _)| name != forgotten);
    }
    upstream.ask(&request)
}

fn show_files_in_place(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    reply.headers.retain(|(name, _)| name != "content-disposition");
    reply
}

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
