//! Time as an argument: the one place that asks the machine.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

/// Where the operator takes the time from.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Lets time pass before something is tried again.
    async fn pause(&self, how_long: Duration);

    /// Ends when something has taken too long.
    async fn limit(&self, how_long: Duration);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the operator asks the machine for the time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn pause(&self, how_long: Duration) {
        tokio::time::sleep(how_long).await;
    }

    async fn limit(&self, how_long: Duration) {
        tokio::time::sleep(how_long).await;
    }
}

/// A clock that stands until it is moved: pauses move it themselves, limits wait for who moves it.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
    moved: watch::Sender<()>,
}

impl ManualClock {
    /// Stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: Mutex::new(now), moved: watch::Sender::new(()) }
    }

    /// Moves forward.
    ///
    /// # Panics
    /// Never: no holder of its lock panics.
    pub fn advance(&self, how_long: Duration) {
        *self.now.lock().expect("no holder of this lock panics") += how_long;
        self.moved.send_replace(());
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().expect("no holder of this lock panics")
    }

    async fn pause(&self, how_long: Duration) {
        self.advance(how_long);
    }

    async fn limit(&self, how_long: Duration) {
        let end = self.now() + how_long;
        let mut moved = self.moved.subscribe();
        while self.now() < end {
            // The sender lives as long as `self`.
            let _ = moved.changed().await;
        }
    }
}
