use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use jiff::Timestamp;

use super::Metrics;
use crate::cluster::clock::Clock;
use crate::cluster::index::Index;

/// The loop turns at least every two minutes; one that has not for so long never will.
const STALLED: Duration = Duration::from_mins(6);

/// Whether the loop turns, and whether it knows the cluster.
#[derive(Debug, Default)]
pub struct Pulse {
    turned_at: AtomicI64,
    is_ready: AtomicBool,
}

impl Pulse {
    /// The loop has turned.
    pub fn turn(&self, now: Timestamp) {
        self.turned_at.store(now.as_second(), Ordering::Relaxed);
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// Before its first turn it looks at the whole cluster, however long that takes.
    fn is_stalled(&self, now: Timestamp) -> bool {
        let since = now.as_second() - self.turned_at.load(Ordering::Relaxed);
        self.is_ready() && since > i64::try_from(STALLED.as_secs()).unwrap_or(i64::MAX)
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Told {
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
    index: Arc<Index>,
    clock: Arc<dyn Clock>,
}

/// Answers `/livez`, `/readyz` and `/metrics` for as long as it is polled.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn listen(
    address: SocketAddr,
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
    index: Arc<Index>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(measurements))
        .with_state(Told { pulse, metrics, index, clock });
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))?;
    axum::serve(listener, router).await.with_context(|| format!("could not answer on {address}"))
}

async fn livez(State(told): State<Told>) -> (StatusCode, &'static str) {
    if told.pulse.is_stalled(told.clock.now()) {
        (StatusCode::SERVICE_UNAVAILABLE, "the loop has not turned for minutes\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn readyz(State(told): State<Told>) -> (StatusCode, &'static str) {
    if told.pulse.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not everything of the cluster was seen yet\n")
    }
}

async fn measurements(State(told): State<Told>) -> Response {
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], told.metrics.text(&told.index)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_is_noticed_and_one_that_has_not_begun_is_waited_for() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let pulse = Pulse::default();
        assert!(!pulse.is_stalled(at(100_000)) && !pulse.is_ready());
        pulse.turn(at(100_000));
        assert!(!pulse.is_stalled(at(100_300)) && pulse.is_ready());
        assert!(pulse.is_stalled(at(100_361)));
    }
}
