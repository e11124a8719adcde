use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use sync_protocol::wire::MendReason;

use super::Metrics;

/// Devices that compare what they hold, and what they need no longer be told of.
#[derive(Debug)]
pub(super) struct Comparisons {
    begun: Family<MendLabels, Counter>,
    forgotten: Family<ForgottenLabels, Counter>,
}

impl Comparisons {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let begun = Family::default();
        let about = "Devices that began to compare what they hold, by reason";
        registry.register("digest_comparisons", about, Family::clone(&begun));
        let forgotten = Family::default();
        let about = "Rows older than the horizon that were forgotten";
        registry.register("horizon_forgotten", about, Family::clone(&forgotten));
        Self { begun, forgotten }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForgottenLabels {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MendLabels {
    why: &'static str,
}

impl Metrics {
    /// Counts rows that the horizon passed, by what they were.
    pub fn forgotten(&self, what: &'static str, rows: u64) {
        self.0.comparisons.forgotten.get_or_create(&ForgottenLabels { what }).inc_by(rows);
    }

    /// Counts a device that begins to compare what it holds.
    pub fn mend(&self, why: MendReason) {
        self.0.comparisons.begun.get_or_create(&MendLabels { why: why.as_str() }).inc();
    }
}
