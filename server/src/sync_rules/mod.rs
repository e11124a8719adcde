//! Which records devices carry: the sync rules of the model, settled for all records when a rule was edited, and for
//! those that depend on the day once a day.
//!
//! A record's own change settles it in its own transaction (`record/write/persist.rs`). What is left is time: a record
//! that nobody touches grows old, and a rule that changed holds for other records than before. One task passes over the
//! records of such an entity in batches, each a transaction that also notes how far it has come, so that a restart goes
//! on from there. What users may read elsewhere has nothing to do with it.

mod pass;
mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

pub use routes::{Described, routes};

use crate::live::Live;
use crate::platform::calendar::Calendar;
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::db::Db;
use crate::platform::error_chain;
use crate::platform::telemetry::metrics::Metrics;
use crate::record::write::{WriteError, Writer};

/// How often the task looks whether the day has come.
const EVERY: Duration = Duration::from_mins(1);
/// How long the task waits after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Handle to the task; cheap to clone.
#[derive(Clone)]
pub struct SyncRules {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    live: Arc<Live>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    calendar: Calendar,
    metrics: Metrics,
    /// From this hour of the day on, rules that depend on the day are settled.
    hour: u8,
    /// The most records of one transaction.
    batch: usize,
    records_per_second: u32,
    /// One batch at a time, whoever asks for it.
    turn: Mutex<()>,
    wake: Notify,
    is_closed: AtomicBool,
}

/// Why a batch was not settled; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// It could not be read what is to be settled.
    #[error("could not read which records a sync rule holds for")]
    Database(#[from] sqlx::Error),
    /// Nothing could be written.
    #[error("could not settle which records devices carry")]
    Write(#[from] WriteError),
    /// The model holds a rule that does not fit its entity.
    #[error("a sync rule cannot be asked of the database")]
    Rule(#[from] crm::expr::ExprError),
}

impl SyncRules {
    /// Starts the task; it ends with [`SyncRules::close`]. With a rate of 0 nothing is settled but by
    /// [`SyncRules::turn`] and [`SyncRules::settle_all`].
    #[must_use]
    pub fn start(
        db: &Db,
        live: &Arc<Live>,
        writer: &Writer,
        clock: &Arc<dyn Clock>,
        config: &Config,
        metrics: &Metrics,
    ) -> Self {
        let inner = Inner {
            db: db.clone(),
            live: live.clone(),
            writer: writer.clone(),
            clock: clock.clone(),
            calendar: Calendar::new(config.time_zone.clone()),
            metrics: metrics.clone(),
            hour: config.sync.rules_hour,
            batch: config.moves.batch_records,
            records_per_second: config.moves.records_per_second,
            turn: Mutex::default(),
            wake: Notify::new(),
            is_closed: AtomicBool::new(false),
        };
        let rules = Self { inner: Arc::new(inner) };
        if config.moves.records_per_second > 0 {
            tokio::spawn(rules.clone().run());
        }
        rules
    }

    /// Settles one batch where a rule was edited or its day has come; how many records came or went, or nothing when all
    /// is settled.
    ///
    /// # Errors
    /// [`SettleError`]: then nothing of the batch was settled.
    pub async fn turn(&self) -> Result<Option<usize>, SettleError> {
        let due_day = self.inner.calendar.day_past(self.inner.hour, self.inner.clock.now_ms());
        self.step(due_day).await
    }

    /// Settles every rule for today, whatever the hour, and returns when that is done; how many records came or went.
    ///
    /// # Errors
    /// [`SettleError`]: what was settled until then stays so.
    pub async fn settle_all(&self) -> Result<usize, SettleError> {
        let today = self.today();
        let mut settled = 0;
        while let Some(batch) = self.step(today).await? {
            settled += batch;
            tokio::time::sleep(self.pause(batch)).await;
        }
        Ok(settled)
    }

    /// The tenant's day, as a day number.
    #[must_use]
    pub fn today(&self) -> i64 {
        self.inner.calendar.day(self.inner.clock.now_ms())
    }

    /// Tells the task that a rule may have been edited.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Ends the task after the batch that it is at.
    pub fn close(&self) {
        self.inner.is_closed.store(true, Ordering::Release);
        self.wake();
    }

    async fn step(&self, due_day: i64) -> Result<Option<usize>, SettleError> {
        let _turn = self.inner.turn.lock().await;
        let settled = pass::step(&self.inner, due_day).await?;
        self.inner.metrics.carried(settled.unwrap_or_default() as u64);
        Ok(settled)
    }

    /// How long to leave the writer to others after a batch.
    fn pause(&self, settled: usize) -> Duration {
        Duration::from_secs(settled as u64).checked_div(self.inner.records_per_second).unwrap_or_default()
    }

    async fn run(self) {
        while !self.inner.is_closed.load(Ordering::Acquire) {
            let pause = match self.turn().await {
                Ok(None) => {
                    // Whether it is woken or the time has come, the next turn looks.
                    drop(tokio::time::timeout(EVERY, self.inner.wake.notified()).await);
                    continue;
                }
                Ok(Some(settled)) => self.pause(settled),
                Err(_) if self.inner.is_closed.load(Ordering::Acquire) => return,
                Err(error) => {
                    tracing::error!(error = %error_chain(&error), "could not settle what devices carry; trying again soon");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}
