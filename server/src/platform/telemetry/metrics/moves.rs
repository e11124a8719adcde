use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

/// Records that are moved little by little.
#[derive(Debug)]
pub(super) struct Moves {
    moved: Counter,
    left: Gauge,
}

impl Moves {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let moved = Counter::default();
        let about = "Records that followed a parent or a move that was asked for";
        registry.register("moved_records", about, moved.clone());
        let left = Gauge::default();
        let about = "Moves that were asked for and parents that have not been followed";
        registry.register("moves_left", about, left.clone());
        Self { moved, left }
    }
}

impl Metrics {
    /// Counts records that were moved little by little.
    pub fn moved(&self, records: u64) {
        self.0.moves.moved.inc_by(records);
    }

    /// Notes how many moves wait.
    pub fn moves_left(&self, moves: i64) {
        self.0.moves.left.set(moves);
    }
}
