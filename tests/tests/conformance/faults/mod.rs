//! Rules of the specification, each broken by a proxy in one way.

mod blobs;
mod convergence;
mod cursor;
mod digests;
mod epochs;
mod exchange;
mod hello;
mod live;
mod merge;
mod model;
mod mutations;
mod operations;
mod outcomes;
mod problems;
mod snapshot;
mod transport;
mod wake;

use crate::proxy::{Fault, Reply, Request, Upstream};

/// Each with the one check that must see it.
pub fn all() -> Vec<(&'static str, Fault)> {
    [
        transport::FAULTS,
        exchange::FAULTS,
        cursor::FAULTS,
        snapshot::FAULTS,
        operations::FAULTS,
        mutations::FAULTS,
        outcomes::FAULTS,
        merge::FAULTS,
        model::FAULTS,
        live::FAULTS,
        wake::FAULTS,
        hello::FAULTS,
        blobs::FAULTS,
        digests::FAULTS,
        epochs::FAULTS,
        problems::FAULTS,
        convergence::FAULTS,
    ]
    .concat()
}

/// Passes requests that begin so on without that header, and others as they are.
fn without_header(upstream: &Upstream, request: &Request, line: &str, forgotten: &str) -> Reply {
    let mut request = request.clone();
    if request.line.starts_with(line) {
        request.headers.retain(|(name, _)| name != forgotten);
    }
    upstream.ask(&request)
}

/// What follows the last slash of the request's path.
fn last_segment(request: &Request) -> String {
    let path = request.line.split(' ').nth(1).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
