//! The task that tells: after each commit, or when somebody came or moved.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use sync_protocol::id::Sequence;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::LiveFeed;
use super::registry::Group;
use crate::exchange::{PullError, Puller};
use crate::live::{Live, Snapshot};
use crate::platform::auth::Ended;
use crate::platform::db::Db;

/// Pages that are cut at once: the readers of the database serve exchanges as well.
const PAGES_AT_ONCE: usize = 2;

pub(super) struct Task {
    pub(super) feed: LiveFeed,
    pub(super) db: Db,
    pub(super) live: Arc<Live>,
    pub(super) epoch: u64,
}

impl Task {
    /// Goes on until the feed is closed. What is committed during a round is told in the next, all of it at once.
    pub(super) async fn run(self) {
        let mut changes = self.live.changes();
        while !self.feed.registry().is_closed() {
            self.round().await;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = self.feed.inner.wake.notified() => {}
            }
        }
    }

    async fn round(&self) {
        let head = self.live.head();
        let snapshot = self.live.snapshot();
        let groups = self.feed.registry().plan(&snapshot, head, &self.live);
        let snapshot = &snapshot;
        stream::iter(groups)
            .for_each_concurrent(PAGES_AT_ONCE, |group| async move { self.tell(group, snapshot, head).await })
            .await;
    }

    /// A page as a device without writes of its own would get it, for all devices of the group.
    async fn tell(&self, group: Group, snapshot: &Snapshot, head: Sequence) {
        let limit_bytes = self.feed.registry().delta_bytes();
        let puller = Puller {
            snapshot,
            rights: &group.rights,
            device: 0,
            epoch: self.epoch,
            limit_bytes,
            compare: false,
            holds_model: false,
        };
        match puller.pull(&self.db, head, Some(group.cursor.clone())).await {
            Ok(page) => self.feed.registry().deliver(group, &page),
            // The commit is about to be made known, and then there is another round.
            Err(PullError::SnapshotBehind) => {}
            Err(error) => {
                tracing::error!(error = %crate::platform::error_chain(&error), "could not read what connected devices are to be told");
            }
        }
    }
}

/// Ends the streams of sessions that end, at once and whatever else there is to do.
pub(super) async fn end_with_sessions(feed: LiveFeed, mut endings: broadcast::Receiver<Ended>) {
    while !feed.registry().is_closed() {
        match endings.recv().await {
            Ok(ended) => feed.registry().end_sessions(Some(&ended)),
            // Who it was is not known any more: everybody comes back, and those whose session ended do not get in.
            Err(RecvError::Lagged(_)) => feed.registry().end_sessions(None),
            Err(RecvError::Closed) => return,
        }
    }
}
