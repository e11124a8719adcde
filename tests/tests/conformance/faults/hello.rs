//! Faults of hello and report.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed_at};

pub const FAULTS: &[(&str, Fault)] = &[
    ("hello-says-what-the-server-is", Answers(have_no_name)),
    ("hello-orders-what-is-to-be-done", Answers(order_nothing)),
    ("a-report-is-taken", Answers(refuse_unknown_keys_of_reports)),
    ("a-malformed-report-is-refused", Answers(take_every_report)),
    ("only-devices-say-hello", Answers(take_reports_of_people)),
];

const REPORT: &str = "POST /sync/v1/report";

fn have_no_name(upstream: &Upstream, request: &Request) -> Reply {
    changed_at("POST /sync/v1/hello", upstream, request, |answer| answer["server"] = json!(""))
}

fn order_nothing(upstream: &Upstream, request: &Request) -> Reply {
    changed_at("POST /sync/v1/hello", upstream, request, |answer| answer["orders"] = json!([]))
}

fn refuse_unknown_keys_of_reports(upstream: &Upstream, request: &Request) -> Reply {
    let is_unknown =
        serde_json::from_slice::<Value>(&request.body).is_ok_and(|report| report.get("from_the_future").is_some());
    if request.line.starts_with(REPORT) && is_unknown {
        return upstream.ask(&request.with(&json!({})));
    }
    upstream.ask(request)
}

fn take_every_report(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let is_malformed = matches!(reply.code().as_str(), "invalid-body" | "malformed-json");
    if request.line.starts_with(REPORT) && is_malformed {
        return taken();
    }
    reply
}

fn taken() -> Reply {
    Reply { status: "204 No Content".into(), headers: Vec::new(), body: Vec::new() }
}

fn take_reports_of_people(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    if request.line.starts_with(REPORT) && reply.code() == "no-device" { taken() } else { reply }
}
