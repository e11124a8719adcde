//! Faults of streams and long polls.

#![expect(clippy::unnecessary_wraps, reason = "a fault of a stream may leave a part out, and not each does")]

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers, Streams};
use crate::proxy::{Part, Reply, Request, Upstream, changed_at, header};

pub const FAULTS: &[(&str, Fault)] = &[
    ("live-is-a-stream-of-events", Streams(stream_something_else)),
    ("a-stream-tells-of-a-change", Streams(send_deltas_without_id)),
    ("a-delta-is-what-an-exchange-brings", Streams(send_deltas_without_operations)),
    ("a-device-has-one-stream", Streams(let_a_device_have_two)),
    ("who-is-signed-out-hears-of-it", Streams(end_without_an_order)),
    ("a-poll-without-a-place-is-poked", Answers(let_polls_without_a_place_wait)),
    ("a-poll-waits", Answers(poke_for_nothing)),
    ("a-poll-answers-when-something-comes", Answers(poke_with_an_old_head)),
    ("another-model-is-ordered", Answers(poke_instead_of_ordering)),
    ("only-devices-listen", Answers(let_people_listen)),
];

const POLL: &str = "GET /sync/v1/live?wait=";

fn stream_something_else(_: &Upstream, _: &Request, part: Part) -> Option<Part> {
    Some(match part {
        Part::Head(head) => Part::Head(head.replace("text/event-stream", "text/plain")),
        part => part,
    })
}

/// An event with other lines: each is changed, or left out.
fn with_lines(event: &str, change: impl Fn(&str) -> Option<String>) -> Part {
    Part::Event(event.lines().filter_map(change).map(|line| line + "\n").collect())
}

fn send_deltas_without_id(_: &Upstream, _: &Request, part: Part) -> Option<Part> {
    Some(match part {
        Part::Event(event) => with_lines(&event, |line| (!line.starts_with("id:")).then(|| line.to_owned())),
        part => part,
    })
}

fn send_deltas_without_operations(_: &Upstream, _: &Request, part: Part) -> Option<Part> {
    let without = |line: &str| {
        let data: Option<Value> = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok());
        let Some(mut data) = data.filter(|data| data.get("operations").is_some()) else { return line.to_owned() };
        data["operations"] = json!([]);
        format!("data: {data}")
    };
    Some(match part {
        Part::Event(event) => with_lines(&event, |line| Some(without(line))),
        part => part,
    })
}

/// No stream ends without an order: the first of two goes on.
fn let_a_device_have_two(upstream: &Upstream, request: &Request, part: Part) -> Option<Part> {
    let session = request.session();
    if is_order(&part) {
        upstream.learns(session);
    }
    let goes_on = matches!(part, Part::End) && !upstream.knows(session);
    (!goes_on).then_some(part)
}

fn end_without_an_order(_: &Upstream, _: &Request, part: Part) -> Option<Part> {
    (!is_order(&part)).then_some(part)
}

fn is_order(part: &Part) -> bool {
    matches!(part, Part::Event(event) if event.lines().any(|line| line == "event: order"))
}

fn let_polls_without_a_place_wait(upstream: &Upstream, request: &Request) -> Reply {
    let has_place = header(&request.headers, "last-event-id").is_some();
    changed_at(POLL, upstream, request, |answer| {
        if !has_place {
            *answer = json!({});
        }
    })
}

fn poke_for_nothing(upstream: &Upstream, request: &Request) -> Reply {
    changed_at(POLL, upstream, request, |answer| {
        if *answer == json!({}) {
            *answer = json!({"poke": {"head": 1}});
        }
    })
}

fn poke_with_an_old_head(upstream: &Upstream, request: &Request) -> Reply {
    changed_at(POLL, upstream, request, |answer| {
        if answer.get("delta").is_some() {
            *answer = json!({"poke": {"head": 0}});
        }
    })
}

fn poke_instead_of_ordering(upstream: &Upstream, request: &Request) -> Reply {
    changed_at(POLL, upstream, request, |answer| {
        if answer.get("order").is_some() {
            *answer = json!({"poke": {"head": 1}});
        }
    })
}

fn let_people_listen(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if !request.line.starts_with(POLL) || reply.code() != "no-device" {
        return reply;
    }
    Reply { status: "200 OK".into(), ..reply.with(&json!({"poke": {"head": 1}})) }
}
