use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use sync_protocol::wire::Report;

use super::Metrics;

/// From a second to a month.
const AGE_BUCKETS_SECS: [f64; 8] = [1.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0, 2_592_000.0];
const OUTBOX_BUCKETS: [f64; 7] = [0.0, 1.0, 5.0, 20.0, 100.0, 500.0, 2_000.0];

/// How devices stand, as they say themselves.
#[derive(Debug)]
pub(super) struct Devices {
    lag: Histogram,
    outbox: Histogram,
    oldest_unsent: Histogram,
}

impl Devices {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let lag = Histogram::new(AGE_BUCKETS_SECS);
        let about = "How long ago devices that reported were last in step";
        registry.register_with_unit("device_lag", about, Unit::Seconds, lag.clone());
        let outbox = Histogram::new(OUTBOX_BUCKETS);
        registry.register("device_outbox", "Changes without an outcome on devices that reported", outbox.clone());
        let oldest_unsent = Histogram::new(AGE_BUCKETS_SECS);
        let about = "Age of the oldest change without an outcome on devices that reported and have one";
        registry.register_with_unit("device_oldest_unsent", about, Unit::Seconds, oldest_unsent.clone());
        Self { lag, outbox, oldest_unsent }
    }
}

impl Metrics {
    /// Notes how a device stands, as it says.
    pub fn device_report(&self, report: &Report) {
        let secs = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64();
        if let Some(lag_ms) = report.lag_ms {
            self.0.devices.lag.observe(secs(lag_ms));
        }
        if let Some(oldest_ms) = report.oldest_ms {
            self.0.devices.oldest_unsent.observe(secs(oldest_ms));
        }
        self.0.devices.outbox.observe(f64::from(u32::try_from(report.waiting).unwrap_or(u32::MAX)));
    }
}
