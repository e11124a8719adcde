//! The lane of devices that have nothing yet: what they fetch is large, so only so many fetch at a time.
//!
//! Pushes, and pulls of devices that are in step, do not pass here: they never wait behind a first sync, because its pages
//! leave at least one reader of the database to others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::platform::config::Config;
use crate::platform::http::ApiError;
use crate::platform::http::problem::UNAVAILABLE;
use crate::platform::telemetry::metrics::Metrics;

/// Who lets first syncs in.
#[derive(Clone, Debug)]
pub struct FirstSyncs {
    /// Answers under way: what they hold in memory is bounded by this.
    under_way: Arc<Semaphore>,
    /// Places to wait in.
    waiting: Arc<Semaphore>,
    /// Readers of the database that they may use at a time.
    readers: Arc<Semaphore>,
    patience: Duration,
    metrics: Metrics,
}

/// The place of one first sync; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    _under_way: OwnedSemaphorePermit,
    readers: Arc<Semaphore>,
    metrics: Metrics,
}

impl FirstSyncs {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(config: &Config, metrics: Metrics) -> Self {
        let readers = usize::try_from(config.database.readers).unwrap_or(usize::MAX);
        let lane = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self {
            under_way: lane(config.limits.first_syncs),
            waiting: lane(config.limits.first_syncs_waiting),
            readers: lane(readers.saturating_sub(1).max(1)),
            patience: config.http.request_timeout / 2,
            metrics,
        }
    }

    /// Waits for a place, in the order of arrival.
    ///
    /// # Errors
    /// `unavailable` when too many wait already, or it takes too long.
    pub async fn enter(&self) -> Result<Place, ApiError> {
        let under_way = match self.under_way.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => self.wait().await,
        };
        let Some(under_way) = under_way else {
            self.metrics.refused_first_sync();
            return Err(ApiError::new(UNAVAILABLE).detail(
                "Many devices are fetching everything at the moment. Send the same exchange again in a while.",
            ));
        };
        self.metrics.first_syncs(1, 0);
        Ok(Place { _under_way: under_way, readers: self.readers.clone(), metrics: self.metrics.clone() })
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
    /// Cuts a page with one of the readers that first syncs may use.
    pub async fn cut<T>(&self, page: impl Future<Output = T>) -> T {
        // The semaphore is never closed.
        let _reader = self.readers.acquire().await;
        page.await
    }

    /// Keeps the place until the connection has taken the whole answer, or is gone.
    pub fn keep_until_sent(self, body: Body) -> Body {
        Body::new(body.map_frame(move |frame| {
            let _kept = &self;
            frame
        }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.first_syncs(-1, 0);
    }
}
