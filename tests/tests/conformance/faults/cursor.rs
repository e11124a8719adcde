//! Faults of cursors.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, changed, leave_out};

pub const FAULTS: &[(&str, Fault)] = &[
    ("an-altered-cursor-is-refused", Answers(start_over_in_silence)),
    ("what-is-no-cursor-is-refused", Answers(take_an_empty_text_for_no_cursor)),
    ("an-overlong-cursor-is-refused", Answers(pass_over_overlong_cursors)),
    ("an-older-cursor-still-serves", Answers(serve_each_cursor_once)),
    ("starting-over-brings-everything", Answers(leave_out_the_newest_of_all)),
    ("numbers-survive-starting-over", Answers(count_anew_after_starting_over)),
];

fn without_cursor(exchange: &mut Value) {
    exchange.as_object_mut().map(|exchange| exchange.remove("cursor"));
}

fn start_over_in_silence(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if reply.code() == "cursor-forged" { asked_otherwise(upstream, request, without_cursor) } else { reply }
}

fn take_an_empty_text_for_no_cursor(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        if exchange["cursor"] == "" {
            without_cursor(exchange);
        }
    })
}

fn pass_over_overlong_cursors(upstream: &Upstream, request: &Request) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        if exchange["cursor"].as_str().is_some_and(|cursor| cursor.len() > 64 << 10) {
            without_cursor(exchange);
        }
    })
}

fn serve_each_cursor_once(upstream: &Upstream, request: &Request) -> Reply {
    let cursor = request.exchange().and_then(|exchange| exchange["cursor"].as_str().map(str::to_owned));
    let is_first = cursor.is_none_or(|cursor| upstream.learns(&format!("{} {cursor}", request.session())));
    changed(upstream, request, |answer| {
        if !is_first {
            answer["operations"] = json!([]);
        }
    })
}

fn leave_out_the_newest_of_all(upstream: &Upstream, request: &Request) -> Reply {
    let is_beginning = request.exchange().is_some_and(|exchange| exchange.get("cursor").is_none());
    changed(upstream, request, |answer| {
        let put = |operation: &&Value| operation["op"] == "put";
        let puts = answer["operations"].as_array().into_iter().flatten().filter(put);
        let newest = puts.filter_map(|put| put["seq"].as_u64()).max();
        leave_out(answer, |operation| is_beginning && put(&operation) && operation["seq"].as_u64() == newest);
    })
}

fn count_anew_after_starting_over(upstream: &Upstream, request: &Request) -> Reply {
    let Some(exchange) = request.exchange() else { return upstream.ask(request) };
    let (pushed, began_anew) = (format!("{} pushed", request.session()), format!("{} anew", request.session()));
    let is_push = exchange["mutations"] != json!([]);
    if is_push && upstream.knows(&began_anew) {
        return Reply::problem("409 Conflict", "mutation-gap");
    }
    if is_push {
        upstream.learns(&pushed);
    } else if exchange.get("cursor").is_none() && upstream.knows(&pushed) {
        upstream.learns(&began_anew);
    }
    upstream.ask(request)
}
