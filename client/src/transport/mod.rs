//! The way to the server: what a device asks of it, and what may come back instead of an answer.
//!
//! The device knows only the [`Transport`] trait; [`HttpTransport`] is the one that a person uses, tests bring their own.

mod blob;
pub mod body;
mod chunk;
mod error;
pub mod events;
mod http;
mod live;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sync_protocol::id::{DeviceId, RecordId, TenantId};
use sync_protocol::wire::{
    ChunkEntry, DigestRequest, DigestResponse, ExchangeRequest, ExchangeResponse, ManifestRequest, ManifestResponse,
    Report,
};

pub use blob::{BlobTransport, Reached};
pub use error::TransportError;
pub use http::{HttpTransport, ServerAddress};
pub use live::{Heard, Listening};

/// What a device asks of its server once it is enrolled.
pub trait Transport {
    /// Push and pull in one round trip.
    ///
    /// # Errors
    /// When the server was not reached, refused, or answered with something else than an answer.
    fn exchange(&self, request: &ExchangeRequest) -> Result<ExchangeResponse, TransportError>;

    /// What a new device fetches first.
    ///
    /// # Errors
    /// As [`Transport::exchange`]; a server that has no chunks refuses with 404.
    fn manifest(&self, request: &ManifestRequest) -> Result<ManifestResponse, TransportError>;

    /// The bytes of chunks, uncompressed; those that the server no longer has may be missing.
    ///
    /// # Errors
    /// As [`Transport::exchange`].
    fn chunks(&self, chunks: &[ChunkEntry]) -> Result<Vec<Arc<[u8]>>, TransportError>;

    /// What differs between the device and the server.
    ///
    /// # Errors
    /// As [`Transport::exchange`].
    fn digest(&self, request: &DigestRequest) -> Result<DigestResponse, TransportError>;

    /// The model of that hash, as JSON, as the device's user may see it.
    ///
    /// # Errors
    /// As [`Transport::exchange`].
    fn model(&self, hash: &str) -> Result<String, TransportError>;

    /// Tells how the device stands; a way that cannot carry it tells nobody.
    ///
    /// # Errors
    /// As [`Transport::exchange`].
    fn report(&self, report: &Report) -> Result<(), TransportError> {
        let _ = report;
        Ok(())
    }
}

/// What a person gives to make this installation a device of hers.
#[derive(Clone, Serialize)]
pub struct EnrolRequest {
    /// Her e-mail address.
    pub email: String,
    /// Her password; it is sent once and kept nowhere.
    pub password: String,
    /// What the device is called in lists of devices.
    pub name: String,
    /// Operating system and architecture.
    pub platform: String,
    /// The device that this was before its session ended: it keeps its outbox and its numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// What the server gives a device when it is enrolled.
#[derive(Clone, Deserialize)]
pub struct Enrolment {
    /// The device.
    pub device: DeviceId,
    /// What it shows with every request from now on. A secret.
    pub token: String,
    /// Whose device it is.
    pub user: RecordId,
    /// Whose server it is.
    pub tenant: TenantId,
    /// Hash of the model as the user may see it.
    pub model: String,
}
