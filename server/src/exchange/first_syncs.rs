//! The lane of devices that have nothing yet, or compare all that they have: what they ask for is large, so only so many
//! are answered at a time. Chunks and comparisons pass here too; manifests do not, which are built one at a time as it is.
//!
//! Pushes, and pulls of devices that are in step, do not: they never wait behind a first sync, because what passes here
//! leaves at least one reader of the database to others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::sending::sending;
use crate::platform::config::Config;
use crate::platform::entropy::Entropy;
use crate::platform::http::ApiError;
use crate::platform::http::problem::UNAVAILABLE;
use crate::platform::telemetry::metrics::Metrics;

/// Who is turned away comes back after this and up to twice as long.
pub(super) const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Who lets first syncs in.
#[derive(Clone)]
pub struct FirstSyncs {
    /// Answers under way: what they hold in memory is bounded by this.
    under_way: Arc<Semaphore>,
    /// Places to wait in.
    waiting: Arc<Semaphore>,
    /// Readers of the database that they may use at a time.
    readers: Arc<Semaphore>,
    patience: Duration,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
}

/// The place of one answer; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    _under_way: OwnedSemaphorePermit,
    readers: Arc<Semaphore>,
    patience: Duration,
    metrics: Metrics,
}

impl FirstSyncs {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(config: &Config, entropy: Arc<dyn Entropy>, metrics: Metrics) -> Self {
        let readers = usize::try_from(config.database.readers).unwrap_or(usize::MAX);
        let lane = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self {
            under_way: lane(config.limits.first_syncs),
            waiting: lane(config.limits.first_syncs_waiting),
            // One is left to whoever builds chunks, and one to everybody else.
            readers: lane(readers.saturating_sub(2).max(1)),
            patience: config.http.request_timeout / 2,
            entropy,
            metrics,
        }
    }

    /// Waits for a place, in the order of arrival.
    ///
    /// # Errors
    /// `unavailable`, with when to come again, when too many wait already or it takes too long.
    pub async fn enter(&self) -> Result<Place, ApiError> {
        let under_way = match self.under_way.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => self.wait().await,
        };
        let Some(under_way) = under_way else {
            self.metrics.refused_first_sync();
            return Err(ApiError::new(UNAVAILABLE)
                .detail("Many devices are fetching everything at the moment. Send the same request again in a while.")
                .retry_after(self.entropy.spread(BUSY_RETRY)));
        };
        self.metrics.first_syncs(1, 0);
        Ok(Place {
            _under_way: under_way,
            readers: self.readers.clone(),
            patience: self.patience,
            metrics: self.metrics.clone(),
        })
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let _place_to_wait = self.waiting.try_acquire().ok()?;
        let _counted = Counted::one_waits(&self.metrics);
        tokio::time::timeout(self.patience, self.under_way.clone().acquire_owned()).await.ok()?.ok()
    }
}

/// Somebody who waits, as long as it is counted.
struct Counted<'a>(&'a Metrics);

impl<'a> Counted<'a> {
    fn one_waits(metrics: &'a Metrics) -> Self {
        metrics.first_syncs(0, 1);
        Self(metrics)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.first_syncs(0, -1);
    }
}

impl Place {
    /// Reads with one of the readers that first syncs may use.
    pub async fn read<T>(&self, reading: impl Future<Output = T>) -> T {
        // The semaphore is never closed.
        let _reader = self.readers.acquire().await;
        reading.await
    }

    /// Keeps the place until the connection has taken the whole answer or is gone, for a while at most: a phone on a slow line
    /// holds nobody up. One that takes nothing any more, in a tunnel, is cut off, long before TCP would give it up: the answer
    /// must not stay in memory for it.
    pub fn keep_until_sent(self, body: Body) -> Body {
        let (sending, mut watch) = sending(body);
        tokio::spawn(async move {
            let patience = self.patience;
            let mut place = Some(self);
            while tokio::time::timeout(patience, watch.is_sent()).await.is_err() {
                drop(place.take());
                if !watch.was_taken_from() {
                    watch.cut();
                    break;
                }
            }
        });
        Body::new(sending)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.first_syncs(-1, 0);
    }
}
