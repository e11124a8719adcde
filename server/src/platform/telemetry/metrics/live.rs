use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

/// Devices that are connected.
#[derive(Debug)]
pub(super) struct Live {
    connections: Gauge,
    events: Family<EventLabels, Counter>,
    dropped: Counter,
}

impl Live {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let connections = Gauge::default();
        registry.register("live_connections", "Devices that are connected", connections.clone());
        let events = Family::default();
        registry.register("live_events", "Events told to connected devices", Family::clone(&events));
        let dropped = Counter::default();
        registry.register(
            "live_dropped",
            "Connected devices that were dropped because they did not take what they were told",
            dropped.clone(),
        );
        Self { connections, events, dropped }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    event: &'static str,
}

impl Metrics {
    /// Notes how many devices are connected.
    pub fn live_connections(&self, connections: usize) {
        self.0.live.connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
    }

    /// Counts an event told to a connected device, by its name on the wire.
    pub fn live_event(&self, name: &'static str) {
        self.0.live.events.get_or_create(&EventLabels { event: name }).inc();
    }

    /// Counts a connected device that did not take what it was told.
    pub fn live_dropped(&self) {
        self.0.live.dropped.inc();
    }
}
