//! The task that wakes: after commits, when a device went, and when one is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use super::push_service::{Answer, PushService};
use super::roll::{Came, Dispatch, Look, Note};
use super::{Inner, store};
use crate::live::Live;
use crate::live_feed::LiveFeed;
use crate::platform::clock::Clock;
use crate::platform::db::Db;
use crate::platform::entropy::Entropy;
use crate::platform::telemetry::metrics::Metrics;

/// Commits that follow each other faster than this are looked at together.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the task waits when the database does not answer.
const RETRY: Duration = Duration::from_secs(5);
/// The first pause after a push service failed and did not say how long; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

pub(super) struct Task {
    pub(super) inner: Arc<Inner>,
    pub(super) service: Arc<PushService>,
    pub(super) db: Db,
    pub(super) live: Arc<Live>,
    pub(super) live_feed: LiveFeed,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) metrics: Metrics,
}

impl Task {
    /// Goes on until it is closed.
    pub(super) async fn run(self) {
        let this = Arc::new(self);
        let slots = Arc::new(Semaphore::new(this.inner.config.in_flight));
        let mut changes = this.live.changes();
        while !this.is_closed() {
            if let Err(error) = this.round(&slots).await {
                if this.is_closed() {
                    return;
                }
                tracing::error!(%error, "could not read or write down who is to be woken; trying again soon");
                sleep(RETRY).await;
                continue;
            }
            // Where no slot is free, the answer that frees one is what to wait for.
            let next = this.inner.roll().next().filter(|_| slots.available_permits() > 0);
            let is_due = async { sleep_until(next.unwrap_or_else(Instant::now)).await };
            tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) => sleep(LOOK_EVERY).await,
                    Err(_) => return,
                },
                () = this.live_feed.left() => sleep(LOOK_EVERY).await,
                () = this.inner.wake.notified() => {}
                () = is_due, if next.is_some() => {}
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed.load(Ordering::Acquire)
    }

    /// Looks whom the last commits concern, writes down what changed, and begins to wake who is due.
    async fn round(self: &Arc<Self>, slots: &Arc<Semaphore>) -> Result<(), sqlx::Error> {
        let notes = self.look();
        store::save(&self.db, &notes, self.clock.now_ms()).await?;
        let due = self.inner.roll().due(Instant::now(), slots.available_permits());
        if !due.is_empty() {
            let signed_in = store::signed_in(&self.db, &due, self.clock.now_ms()).await?;
            for device in due {
                let begun = self.inner.roll().begin(device, signed_in.contains(&device), Instant::now());
                let Some(dispatch) = begun else { continue };
                let Ok(slot) = slots.clone().try_acquire_owned() else { unreachable!("only this task takes slots") };
                let this = self.clone();
                tokio::spawn(async move {
                    this.wake(&dispatch).await;
                    drop(slot);
                    this.inner.wake.notify_one();
                });
            }
        }
        self.metrics.wake_subscriptions(self.inner.roll().len());
        Ok(())
    }

    fn look(&self) -> Vec<Note> {
        let (head, snapshot) = (self.live.head(), self.live.snapshot());
        let mut roll = self.inner.roll();
        roll.look(&Look {
            now: Instant::now(),
            snapshot: &snapshot,
            head,
            concerns: &|held, seq| self.live.may_concern(held, seq),
            presence: &|device| self.live_feed.presence(device),
            delay: &|| self.entropy.spread(self.inner.config.delay),
        });
        roll.take_notes()
    }

    async fn wake(&self, dispatch: &Dispatch) {
        let (service, endpoint, why) = (self.service.clone(), dispatch.endpoint.clone(), dispatch.why);
        let now_ms = self.clock.now_ms();
        let asked = tokio::task::spawn_blocking(move || service.wake(&endpoint, why, now_ms)).await;
        let answer = asked.unwrap_or_else(|error| Answer::Unreachable(error.to_string()));
        self.metrics.wake(answer.name());
        let came = match answer {
            Answer::Accepted => Came::Woken,
            Answer::Gone => Came::Gone,
            Answer::Later(pause) => Came::Failed(self.pause(dispatch, pause)),
            Answer::Unreachable(problem) => {
                let origin = dispatch.endpoint.origin();
                tracing::warn!(push_service = origin, problem, "a push service could not be asked to wake a device");
                Came::Failed(self.pause(dispatch, None))
            }
            Answer::Refused(status) => {
                let origin = dispatch.endpoint.origin();
                tracing::warn!(push_service = origin, %status, "a push service refused to wake a device");
                Came::Refused
            }
        };
        self.inner.roll().end(dispatch, came, Instant::now());
    }

    /// How long to leave a push service alone: as it asks, not much longer; else ever longer.
    fn pause(&self, dispatch: &Dispatch, asked: Option<Duration>) -> Duration {
        let delay = self.inner.config.delay;
        if let Some(asked) = asked {
            return asked + self.entropy.spread(delay).saturating_sub(delay);
        }
        let failures = self.inner.roll().failures(dispatch.device).min(16);
        self.entropy.spread((FIRST_PAUSE * 2_u32.pow(failures)).min(LONGEST_PAUSE))
    }
}
