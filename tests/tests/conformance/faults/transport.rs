//! Faults of how requests and answers travel.

use serde_json::json;

use super::without_header;
use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, header};

pub const FAULTS: &[(&str, Fault)] = &[
    ("version-is-negotiated", Answers(speak_every_version)),
    ("unknown-keys-are-skipped", Answers(refuse_unknown_keys)),
    ("requests-in-zstd", Answers(refuse_zstd)),
    ("requests-in-gzip", Answers(refuse_gzip)),
    ("answers-are-compressed", Answers(never_compress)),
    ("a-session-is-needed", Answers(serve_strangers)),
    ("only-devices-exchange", Answers(exchange_with_people)),
    ("the-model-is-served-by-its-hash", Answers(serve_the_model_by_any_hash)),
];

fn speak_every_version(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() == "unsupported-protocol" {
        return asked_otherwise(upstream, request, |exchange| exchange["protocol"] = json!(1));
    }
    reply
}

fn refuse_unknown_keys(upstream: &Upstream, request: &Request) -> Reply {
    let is_unknown = request.exchange().is_some_and(|exchange| exchange.get("from_the_future").is_some());
    if is_unknown { Reply::problem("422 Unprocessable Content", "invalid-body") } else { upstream.ask(request) }
}

fn refuse(upstream: &Upstream, request: &Request, encoding: &str) -> Reply {
    if header(&request.headers, "content-encoding") == Some(encoding) {
        return Reply::problem("415 Unsupported Media Type", "unsupported-encoding");
    }
    upstream.ask(request)
}

fn refuse_zstd(upstream: &Upstream, request: &Request) -> Reply {
    refuse(upstream, request, "zstd")
}

fn refuse_gzip(upstream: &Upstream, request: &Request) -> Reply {
    refuse(upstream, request, "gzip")
}

fn never_compress(upstream: &Upstream, request: &Request) -> Reply {
    without_header(upstream, request, "POST /sync/v1/exchange", "accept-encoding")
}

fn serve_strangers(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let is_stranger = request.is_exchange() && reply.code() == "unauthenticated";
    if is_stranger { Reply::outcomes(&[]) } else { reply }
}

fn exchange_with_people(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let is_person = request.is_exchange() && reply.code() == "no-device";
    if is_person { Reply::outcomes(&[]) } else { reply }
}

fn serve_the_model_by_any_hash(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let present = reply.json()["model"].as_str().map(|hash| format!("GET /sync/v1/model/{hash} HTTP/1.1"));
    match present.filter(|_| request.line.starts_with("GET /sync/v1/model/") && reply.code() == "not-found") {
        Some(line) => upstream.ask(&Request { line, ..request.clone() }),
        None => reply,
    }
}
