//! Measurements for Prometheus. Every label has a small, fixed set of values.

mod blobs;
mod comparisons;
mod devices;
mod health;
mod live;
mod moves;
mod snapshots;
mod wakes;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use sync_protocol::wire::Verdict;

pub use blobs::BlobOutcome;
use blobs::Blobs;
use comparisons::Comparisons;
use devices::Devices;
use health::Health;
use live::Live;
use moves::Moves;
use snapshots::Snapshots;
use wakes::Wakes;

/// From half a millisecond to a minute.
const DURATION_BUCKETS_SECS: [f64; 15] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The server's measurements; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<RouteLabels, Histogram>,
    commits: Counter,
    mutations: Counter,
    outcomes: Family<VerdictLabels, Counter>,
    exchange_rows: Counter,
    exchange_bytes: Counter,
    live: Live,
    first_syncs: Gauge,
    first_syncs_waiting: Gauge,
    refused: Family<LaneLabels, Counter>,
    writer_queue_bytes: Gauge,
    devices: Devices,
    health: Health,
    snapshots: Snapshots,
    moves: Moves,
    comparisons: Comparisons,
    blobs: Blobs,
    wakes: Wakes,
    head: Gauge,
    database_bytes: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    lane: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All measurements at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("cartera");
        let requests = Family::default();
        registry.register("http_requests", "Answered requests", Family::clone(&requests));
        let request_duration = Family::new_with_constructor((|| Histogram::new(DURATION_BUCKETS_SECS)) as fn() -> _);
        registry.register_with_unit(
            "http_request_duration",
            "Time until an answer began",
            Unit::Seconds,
            Family::clone(&request_duration),
        );
        let commits = Counter::default();
        registry.register("writer_commits", "Transactions that the writer committed", commits.clone());
        let mutations = Counter::default();
        registry.register("writer_mutations", "Changes that the writer decided", mutations.clone());
        let outcomes = Family::default();
        registry.register(
            "outcomes",
            "Answers to changes by verdict; those of imports are not among them",
            Family::clone(&outcomes),
        );
        let exchange_rows = Counter::default();
        registry.register("exchange_rows", "Operations sent to devices", exchange_rows.clone());
        let exchange_bytes = Counter::default();
        registry.register(
            "exchange_bytes",
            "Size of the answers to devices before compression",
            exchange_bytes.clone(),
        );
        let first_syncs = Gauge::default();
        registry.register(
            "first_syncs",
            "Answers under way to devices that fetch or compare everything",
            first_syncs.clone(),
        );
        let first_syncs_waiting = Gauge::default();
        registry.register(
            "first_syncs_waiting",
            "Devices that wait for their turn to fetch or compare everything",
            first_syncs_waiting.clone(),
        );
        let refused = Family::default();
        registry.register("refused", "Requests that were told to come again, by lane", Family::clone(&refused));
        let writer_queue_bytes = Gauge::default();
        registry.register_with_unit(
            "writer_queue_size",
            "Memory of changes that wait to be written",
            Unit::Bytes,
            writer_queue_bytes.clone(),
        );
        let head = Gauge::default();
        registry.register("head_sequence", "The last sequence given out", head.clone());
        let database_bytes = Gauge::default();
        registry.register_with_unit(
            "database_size",
            "Size of the database and its write-ahead log",
            Unit::Bytes,
            database_bytes.clone(),
        );
        Self(Arc::new(Registered {
            requests,
            request_duration,
            commits,
            mutations,
            outcomes,
            exchange_rows,
            exchange_bytes,
            live: Live::register(&mut registry),
            first_syncs,
            first_syncs_waiting,
            refused,
            writer_queue_bytes,
            devices: Devices::register(&mut registry),
            health: Health::register(&mut registry),
            snapshots: Snapshots::register(&mut registry),
            moves: Moves::register(&mut registry),
            comparisons: Comparisons::register(&mut registry),
            blobs: Blobs::register(&mut registry),
            wakes: Wakes::register(&mut registry),
            head,
            database_bytes,
            registry,
        }))
    }

    /// Counts an answered request; `route` is the route's pattern, never the address.
    pub fn request(&self, method: &Method, route: &str, status: u16, elapsed: Duration) {
        let method = known_method(method);
        let labels = RequestLabels { method, route: route.to_owned(), status };
        self.0.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { method, route: labels.route };
        self.0.request_duration.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// Counts one commit of the writer with that many decided changes.
    pub fn commit(&self, mutations: u64) {
        self.0.commits.inc();
        self.0.mutations.inc_by(mutations);
    }

    /// Counts the answer to a change.
    pub fn outcome(&self, verdict: Verdict) {
        let verdict = match verdict {
            Verdict::Applied => "applied",
            Verdict::Merged => "merged",
            Verdict::Rejected => "rejected",
            Verdict::Deferred => "deferred",
        };
        self.0.outcomes.get_or_create(&VerdictLabels { verdict }).inc();
    }

    /// Counts what one exchange sent to a device.
    pub fn exchange(&self, rows: u64, bytes: u64) {
        self.0.exchange_rows.inc_by(rows);
        self.0.exchange_bytes.inc_by(bytes);
    }

    /// Counts a first sync that begins or ends, and one that begins or ends to wait.
    pub fn first_syncs(&self, under_way: i64, waiting: i64) {
        self.0.first_syncs.inc_by(under_way);
        self.0.first_syncs_waiting.inc_by(waiting);
    }

    /// Counts a first sync that was told to come again.
    pub fn refused_first_sync(&self) {
        self.0.refused.get_or_create(&LaneLabels { lane: "first_sync" }).inc();
    }

    /// Counts changes that were told to come again.
    pub fn refused_writer(&self) {
        self.0.refused.get_or_create(&LaneLabels { lane: "writer" }).inc();
    }

    /// Notes how much waits to be written.
    pub fn writer_queue(&self, bytes: usize) {
        self.0.writer_queue_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Everything as Prometheus reads it, with the state of the store as it is now.
    ///
    /// # Panics
    /// Never: a string takes all that is written into it.
    #[must_use]
    pub fn encode(&self, head: u64, database_bytes: u64) -> String {
        self.0.head.set(i64::try_from(head).unwrap_or(i64::MAX));
        self.0.database_bytes.set(i64::try_from(database_bytes).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("writing into a string does not fail");
        text
    }
}

/// Anybody can send any word as a method: unknown ones share a label.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_tells_requests_outcomes_and_the_state_of_the_store() {
        let metrics = Metrics::new();
        metrics.request(&Method::GET, "/api/v1/{entity}", 200, Duration::from_millis(3));
        metrics.commit(50);
        metrics.outcome(Verdict::Merged);
        metrics.exchange(7, 900);
        let text = metrics.encode(42, 4096);
        for line in [
            r#"cartera_http_requests_total{method="GET",route="/api/v1/{entity}",status="200"} 1"#,
            r#"cartera_http_request_duration_seconds_bucket{le="0.005",method="GET",route="/api/v1/{entity}"} 1"#,
            "cartera_writer_mutations_total 50",
            r#"cartera_outcomes_total{verdict="merged"} 1"#,
            "cartera_exchange_bytes_total 900",
            "cartera_head_sequence 42",
            "cartera_database_size_bytes 4096",
        ] {
            assert!(text.lines().any(|own| own == line), "no line {line} in:\n{text}");
        }
    }

    #[test]
    fn invented_methods_do_not_make_labels() {
        let metrics = Metrics::new();
        for n in 0..100 {
            let method = Method::from_bytes(format!("X{n}").as_bytes()).expect("a method");
            metrics.request(&method, "none", 405, Duration::ZERO);
        }
        let text = metrics.encode(0, 0);
        assert!(
            text.contains(r#"cartera_http_requests_total{method="other",route="none",status="405"} 100"#),
            "{text}"
        );
    }
}
