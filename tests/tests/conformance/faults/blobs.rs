//! Faults of files.

use serde_json::json;

use super::{last_segment, without_header};
use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream};

pub const FAULTS: &[(&str, Fault)] = &[
    ("a-blob-may-be-on-its-way", Answers(know_nothing_before_the_first_byte)),
    ("uploads-go-on-by-offset", Answers(forget_how_far_uploads_are)),
    ("a-wrong-hash-is-refused", Answers(say_that_wrong_bytes_are_kept)),
    ("blobs-are-fetched-by-range", Answers(send_files_whole)),
    ("blobs-are-never-run", Answers(show_files_in_place)),
    ("a-blob-is-for-who-sees-its-field", Answers(tell_hidden_files_from_none)),
];

/// Asks, and remembers of which files bytes came.
fn ask_and_remember(upstream: &Upstream, request: &Request) -> Reply {
    if request.line.starts_with("PUT /sync/v1/blob/") {
        upstream.known.lock().expect("nobody fails while holding it").insert(last_segment(request));
    }
    upstream.ask(request)
}

/// The same problem with another code.
fn called(reply: &Reply, code: &str) -> Reply {
    let mut problem = reply.json();
    problem["code"] = json!(code);
    reply.with(&problem)
}

fn know_nothing_before_the_first_byte(upstream: &Upstream, request: &Request) -> Reply {
    let reply = ask_and_remember(upstream, request);
    let is_new = reply.code() == "blob-pending" && !upstream.knows(&last_segment(request));
    if is_new { called(&reply, "not-found") } else { reply }
}

fn forget_how_far_uploads_are(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    if request.line.starts_with("HEAD /sync/v1/blob/") {
        reply.headers.retain(|(name, _)| name != "upload-offset");
    }
    reply
}

fn say_that_wrong_bytes_are_kept(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() != "blob-hash" {
        return reply;
    }
    Reply { status: "201 Created".into(), ..reply }
}

fn send_files_whole(upstream: &Upstream, request: &Request) -> Reply {
    without_header(upstream, request, "GET /sync/v1/blob/", "range")
}

fn show_files_in_place(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    reply.headers.retain(|(name, _)| name != "content-disposition");
    reply
}

fn tell_hidden_files_from_none(upstream: &Upstream, request: &Request) -> Reply {
    let reply = ask_and_remember(upstream, request);
    let is_hidden = reply.code() == "not-found" && upstream.knows(&last_segment(request));
    if is_hidden { called(&reply, "forbidden") } else { reply }
}
