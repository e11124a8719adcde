use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::Metrics;

/// What new devices are sent in chunks.
#[derive(Debug)]
pub(super) struct Snapshots {
    manifests: Counter,
    chunks_built: Counter,
    chunk_rows_built: Counter,
    chunks_served: Counter,
    chunk_bytes_served: Counter,
}

impl Snapshots {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let manifests = Counter::default();
        registry.register("manifests", "Manifests sent to devices", manifests.clone());
        let chunks_built = Counter::default();
        registry.register("chunks_built", "Chunks that were cut because none was there to serve", chunks_built.clone());
        let chunk_rows_built = Counter::default();
        registry.register("chunk_rows_built", "Records in the chunks that were cut", chunk_rows_built.clone());
        let chunks_served = Counter::default();
        registry.register("chunks_served", "Chunks sent to devices, whole or in part", chunks_served.clone());
        let chunk_bytes_served = Counter::default();
        registry.register(
            "chunk_bytes_served",
            "Compressed size of the chunks that were sent, as if each were sent whole",
            chunk_bytes_served.clone(),
        );
        Self { manifests, chunks_built, chunk_rows_built, chunks_served, chunk_bytes_served }
    }
}

impl Metrics {
    /// Counts a manifest.
    pub fn manifest(&self) {
        self.0.snapshots.manifests.inc();
    }

    /// Counts a chunk that was cut.
    pub fn chunk_built(&self, rows: u64) {
        self.0.snapshots.chunks_built.inc();
        self.0.snapshots.chunk_rows_built.inc_by(rows);
    }

    /// Counts a chunk that goes to a device.
    pub fn chunk_served(&self, packed_bytes: u64) {
        self.0.snapshots.chunks_served.inc();
        self.0.snapshots.chunk_bytes_served.inc_by(packed_bytes);
    }
}
