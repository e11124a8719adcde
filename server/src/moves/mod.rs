//! Records that come to stand elsewhere little by little, so that nobody waits for it: children after their parent, and
//! many at once because somebody asked for it.
//!
//! What is to be moved is written down durably: children by the very transaction that moves their parent. One task works
//! it off in batches, each a transaction that also notes how far it has come, so that a restart goes on from there and
//! nothing is done twice. Between batches it pauses, as the configured rate says.

mod asked;
mod following;
mod job;
mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

pub use routes::{Described, routes};

use crate::live::Live;
use crate::platform::config;
use crate::platform::db::Db;
use crate::platform::error_chain;
use crate::platform::telemetry::metrics::Metrics;
use crate::record::read::ReadError;
use crate::record::write::{WriteError, Writer};

/// How long the task waits after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Handle to the task; cheap to clone.
#[derive(Clone, Debug)]
pub struct Moves {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    mover: Mover,
    wake: Arc<Notify>,
    is_closed: AtomicBool,
}

/// Why a batch was not moved; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// It could not be read what is to be moved.
    #[error("could not read what is to be moved")]
    Database(#[from] sqlx::Error),
    /// Nothing could be written.
    #[error("could not move records")]
    Write(#[from] WriteError),
    /// The records of a move could not be found.
    #[error("could not find the records of a move")]
    Read(#[from] ReadError),
}

/// What works moves off.
#[derive(Debug)]
struct Mover {
    db: Db,
    live: Arc<Live>,
    writer: Writer,
    metrics: Metrics,
    /// The most records of one transaction.
    batch: usize,
}

impl Moves {
    /// Starts the task; it ends with [`Moves::close`]. With a rate of 0 nothing moves but by [`Moves::turn`].
    #[must_use]
    pub fn start(db: Db, live: Arc<Live>, writer: Writer, config: &config::Moves, metrics: Metrics) -> Self {
        let wake = writer.moves();
        let mover = Mover { db, live, writer, metrics, batch: config.batch_records };
        let moves = Self { inner: Arc::new(Inner { mover, wake, is_closed: AtomicBool::new(false) }) };
        if config.records_per_second > 0 {
            tokio::spawn(moves.clone().run(config.records_per_second));
        }
        moves
    }

    /// Works off one batch; how many records it looked at, or nothing when nothing is to be moved.
    ///
    /// # Errors
    /// [`MoveError`]: then nothing of the batch was moved.
    pub async fn turn(&self) -> Result<Option<usize>, MoveError> {
        let mover = &self.inner.mover;
        // What follows comes first: it is little, and until it is done parents and children stand apart.
        let moved = match following::work_off(mover).await? {
            Some(moved) => Some(moved),
            None => asked::work_off(mover).await?,
        };
        let left = sqlx::query_scalar(include_str!("sql/count_left.sql")).fetch_one(mover.db.readers()).await?;
        mover.metrics.moves_left(left);
        mover.metrics.moved(moved.unwrap_or_default() as u64);
        Ok(moved)
    }

    /// Tells the task that there is something to do.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Ends the task after the batch that it is at.
    pub fn close(&self) {
        self.inner.is_closed.store(true, Ordering::Release);
        self.wake();
    }

    async fn run(self, records_per_second: u32) {
        while !self.inner.is_closed.load(Ordering::Acquire) {
            let pause = match self.turn().await {
                Ok(None) => {
                    self.inner.wake.notified().await;
                    continue;
                }
                Ok(Some(moved)) => Duration::from_secs(moved.max(1) as u64) / records_per_second,
                Err(_) if self.inner.is_closed.load(Ordering::Acquire) => return,
                Err(error) => {
                    tracing::error!(error = %error_chain(&error), "could not move records; trying again soon");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}
