use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

/// Devices that are woken.
#[derive(Debug)]
pub(super) struct Wakes {
    asked: Family<WakeLabels, Counter>,
    subscriptions: Gauge,
}

impl Wakes {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let asked = Family::default();
        let about = "Requests to wake a device, by what its push service answered";
        registry.register("wakes", about, Family::clone(&asked));
        let subscriptions = Gauge::default();
        registry.register("wake_subscriptions", "Devices that can be woken", subscriptions.clone());
        Self { asked, subscriptions }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WakeLabels {
    answer: &'static str,
}

impl Metrics {
    /// Counts a request to wake a device by its answer: `accepted`, `gone`, `later`, `refused` or `unreachable`.
    pub fn wake(&self, answer: &'static str) {
        self.0.wakes.asked.get_or_create(&WakeLabels { answer }).inc();
    }

    /// Notes how many devices can be woken.
    pub fn wake_subscriptions(&self, devices: usize) {
        self.0.wakes.subscriptions.set(i64::try_from(devices).unwrap_or(i64::MAX));
    }
}
