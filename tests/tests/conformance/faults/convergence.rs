//! A fault that no section sees: devices by the book that are told less than a new one.

use serde_json::json;

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, changed, operations};

pub const FAULTS: &[(&str, Fault)] = &[("two-devices-converge", Answers(tell_that_and_not_what))];

/// That a record was changed, and not what of it: sequences and digests are right, the fields are not.
fn tell_that_and_not_what(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        for operation in operations(answer).filter(|operation| operation["partial"] == true) {
            operation["set"] = json!({});
        }
    })
}
