use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kube::ResourceExt as _;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::cluster::index::Index;
use crate::cluster::shards::{Shards, shard_of};
use crate::crd::{RolloutState, Tenant, Truth};

/// What came of a reconcile.
#[derive(Clone, Copy, Debug, EncodeLabelValue, Eq, Hash, PartialEq)]
#[allow(non_camel_case_types, reason = "the names are those of the label's values")]
pub enum Outcome {
    /// It did what was to be done, or found nothing to do.
    done,
    /// It is tried again.
    failed,
    /// It took too long, and is tried again.
    timed_out,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reconciled {
    kind: &'static str,
    outcome: Outcome,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfKind {
    kind: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Asked {
    verb: &'static str,
    code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Standing {
    condition: String,
    status: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfRollout {
    rollout: String,
}

/// The measurements of one replica, named in `docs/operations.md`. Tenants are counted and never named: a fleet of
/// thousands would be as many time series.
pub struct Metrics {
    registry: Mutex<Registry>,
    led: Mutex<Shards>,
    reconciles: Family<Reconciled, Counter>,
    seconds: Family<OfKind, Histogram>,
    requests: Family<Asked, Counter>,
    writes: Family<OfKind, Counter>,
    queue_length: Gauge,
    queue_oldest: Gauge,
    shards: Gauge,
    tenants: Family<Standing, Gauge>,
    paused: Family<OfRollout, Gauge>,
}

impl Debug for Metrics {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("cartera_operator");
        let metrics = Self {
            reconciles: Family::default(),
            // From 2 ms to 16 s and a half.
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.002, 2.0, 14))),
            requests: Family::default(),
            writes: Family::default(),
            queue_length: Gauge::default(),
            queue_oldest: Gauge::default(),
            shards: Gauge::default(),
            tenants: Family::default(),
            paused: Family::default(),
            registry: Mutex::default(),
            led: Mutex::default(),
        };
        registry.register("reconciles", "Reconciles, by what came of them", metrics.reconciles.clone());
        registry.register_with_unit("reconcile", "How long one takes", Unit::Seconds, metrics.seconds.clone());
        registry.register("requests", "Requests to the API server; code 0: nobody answered", metrics.requests.clone());
        registry.register("writes", "Requests that change an object", metrics.writes.clone());
        registry.register("queue_length", "What is due and waits", metrics.queue_length.clone());
        let oldest = "How long the first of it has waited";
        registry.register_with_unit("queue_oldest", oldest, Unit::Seconds, metrics.queue_oldest.clone());
        registry.register("shards", "Shards that this replica leads, of 64", metrics.shards.clone());
        registry.register("tenants", "Tenants, by condition", metrics.tenants.clone());
        registry.register("rollout_paused", "Whether a roll-out stands still", metrics.paused.clone());
        *held(&metrics.registry) = registry;
        metrics
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().expect("no holder of this lock panics")
}

impl Metrics {
    /// A reconcile has ended.
    pub fn reconciled(&self, kind: &'static str, outcome: Outcome, took: Duration) {
        self.reconciles.get_or_create(&Reconciled { kind, outcome }).inc();
        self.seconds.get_or_create(&OfKind { kind: kind.to_owned() }).observe(took.as_secs_f64());
    }

    /// The API server answered, or nobody did.
    pub fn asked(&self, verb: &'static str, kind: &str, code: Option<u16>) {
        self.requests.get_or_create(&Asked { verb, code: code.unwrap_or_default() }).inc();
        if verb != "get" {
            self.writes.get_or_create(&OfKind { kind: kind.to_owned() }).inc();
        }
    }

    /// How much is due, and for how long the first of it has been.
    pub fn queued(&self, length: usize, oldest: Duration) {
        self.queue_length.set(i64::try_from(length).unwrap_or(i64::MAX));
        self.queue_oldest.set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }

    /// Which shards are led: what belongs to others is counted there.
    pub fn leads(&self, shards: Shards) {
        self.shards.set(i64::from(shards.count()));
        *held(&self.led) = shards;
    }

    /// All measurements in the text format of Prometheus; tenants and roll-outs as they were last seen.
    ///
    /// # Panics
    /// Never: a text in memory can be written to.
    #[must_use]
    pub fn text(&self, index: &Index) -> String {
        // Held to the end: two that ask at once must not count into each other.
        let registry = held(&self.registry);
        let led = *held(&self.led);
        self.tenants.clear();
        let own = |tenant: &Arc<Tenant>| tenant.uid().is_some_and(|uid| led.has(shard_of(&uid)));
        for tenant in index.tenants().into_iter().filter(own) {
            for condition in tenant.status.iter().flat_map(|status| &status.conditions) {
                let status = match condition.status {
                    Truth::True => "True",
                    Truth::False => "False",
                    Truth::Unknown => "Unknown",
                };
                let standing = Standing { condition: condition.kind.clone(), status: status.to_owned() };
                self.tenants.get_or_create(&standing).inc();
            }
        }
        self.paused.clear();
        for rollout in index.rollouts().into_iter().filter(|rollout| led.has(shard_of(&rollout.name_any()))) {
            let state = rollout.status.as_ref().and_then(|status| status.state);
            let is_paused = state == Some(RolloutState::Paused);
            self.paused.get_or_create(&OfRollout { rollout: rollout.name_any() }).set(i64::from(is_paused));
        }
        let mut told = String::new();
        text::encode(&mut told, &registry).expect("a text in memory can be written to");
        told
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tenant::fixture::tenant;

    #[test]
    fn the_names_are_those_that_alerts_and_dashboards_use() {
        let metrics = Metrics::default();
        let index = Index::default();
        let ready = json!({ "type": "Ready", "status": "False", "reason": "R", "message": "m", "lastTransitionTime": "2026-11-01T00:00:00Z" });
        index.put_tenant(tenant(&json!({ "status": { "conditions": [ready] } })));
        metrics.reconciled("tenant", Outcome::timed_out, Duration::from_millis(5));
        metrics.asked("apply", "Service", Some(429));
        metrics.queued(3, Duration::from_secs(7));
        metrics.leads(Shards::ALL);
        let told = metrics.text(&index);
        for line in [
            r#"cartera_operator_reconciles_total{kind="tenant",outcome="timed_out"} 1"#,
            r#"cartera_operator_reconcile_seconds_count{kind="tenant"} 1"#,
            r#"cartera_operator_requests_total{verb="apply",code="429"} 1"#,
            r#"cartera_operator_writes_total{kind="Service"} 1"#,
            "cartera_operator_queue_length 3",
            "cartera_operator_queue_oldest_seconds 7",
            "cartera_operator_shards 64",
            r#"cartera_operator_tenants{condition="Ready",status="False"} 1"#,
        ] {
            assert!(told.contains(line), "{line} is not in\n{told}");
        }
        metrics.leads(Shards::default());
        assert!(!metrics.text(&index).contains("tenants{"), "it is another replica's");
    }
}
