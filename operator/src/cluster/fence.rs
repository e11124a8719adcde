//! What keeps a replica that no longer leads from destroying data.

use async_trait::async_trait;

/// Asked before data is destroyed: whether this replica still leads.
#[async_trait]
pub trait Fence: Send + Sync + 'static {
    /// Whether this replica leads the shard, by what the API server says now and not by what was last seen.
    ///
    /// # Errors
    /// When the API server could not be asked.
    async fn still_leads(&self, shard: u32) -> kube::Result<bool>;
}

/// There is one replica, and nobody to be fenced from.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFence;

#[async_trait]
impl Fence for NoFence {
    async fn still_leads(&self, _shard: u32) -> kube::Result<bool> {
        Ok(true)
    }
}
