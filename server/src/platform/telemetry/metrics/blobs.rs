//! Measurements of files that records name.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BlobLabels {
    outcome: &'static str,
}

/// Files that records name.
#[derive(Debug)]
pub(super) struct Blobs {
    uploads: Family<BlobLabels, Counter>,
    received: Counter,
    sent: Counter,
    removed: Counter,
}

impl Blobs {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let uploads = Family::default();
        registry.register("blob_uploads", "Uploads of files that were complete, by outcome", Family::clone(&uploads));
        let (received, sent, removed) = (Counter::default(), Counter::default(), Counter::default());
        registry.register_with_unit("blob_received", "Received of files", Unit::Bytes, received.clone());
        registry.register_with_unit("blob_sent", "Sent of files", Unit::Bytes, sent.clone());
        registry.register("blobs_removed", "Files that were removed because no record names them", removed.clone());
        Self { uploads, received, sent, removed }
    }
}

/// What became of an upload whose bytes all came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobOutcome {
    /// It is stored.
    Stored,
    /// It was there already.
    Duplicate,
    /// Its bytes are others than its name says.
    WrongHash,
}

impl Metrics {
    /// Counts an upload whose bytes all came.
    pub fn blob_upload(&self, outcome: BlobOutcome) {
        let outcome = match outcome {
            BlobOutcome::Stored => "stored",
            BlobOutcome::Duplicate => "duplicate",
            BlobOutcome::WrongHash => "wrong_hash",
        };
        self.0.blobs.uploads.get_or_create(&BlobLabels { outcome }).inc();
    }

    /// Counts bytes of files that came.
    pub fn blob_received(&self, bytes: u64) {
        self.0.blobs.received.inc_by(bytes);
    }

    /// Counts bytes of files that are sent.
    pub fn blob_sent(&self, bytes: u64) {
        self.0.blobs.sent.inc_by(bytes);
    }

    /// Counts files that were removed.
    pub fn blobs_removed(&self, files: usize) {
        self.0.blobs.removed.inc_by(files as u64);
    }
}
