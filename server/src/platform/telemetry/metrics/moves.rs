use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

/// Records that are moved little by little.
#[derive(Debug)]
pub(super) struct Moves {
    moved: Counter,
    left: Gauge,
    carried: Counter,
}

impl Moves {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let moved = Counter::default();
        let about = "Records that followed a parent or a move that was asked for";
        registry.register("moved_records", about, moved.clone());
        let left = Gauge::default();
        let about = "Moves that were asked for and parents that have not been followed";
        registry.register("moves_left", about, left.clone());
        let carried = Counter::default();
        let about =
            "Records that devices came to carry, or no longer do, because a sync rule was edited or the day changed";
        registry.register("sync_rule_records", about, carried.clone());
        Self { moved, left, carried }
    }
}

impl Metrics {
    /// Counts records that were moved little by little.
    pub fn moved(&self, records: u64) {
        self.0.moves.moved.inc_by(records);
    }

    /// Counts records that a pass over a sync rule brought to devices or took from them.
    pub fn carried(&self, records: u64) {
        self.0.moves.carried.inc_by(records);
    }

    /// Notes how many moves wait.
    pub fn moves_left(&self, moves: i64) {
        self.0.moves.left.set(moves);
    }
}
