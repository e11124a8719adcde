use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{DURATION_BUCKETS_SECS, Metrics};

/// Answers are told apart as long as this, and as long again are those of before looked at.
const SPAN: Duration = Duration::from_mins(2);

/// What the operator of many tenants is told of this one.
#[derive(Debug)]
pub(super) struct Health {
    answered: AtomicU64,
    failed: AtomicU64,
    recent: Mutex<Recent>,
    entitlements_unread: Gauge,
}

impl Health {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let entitlements_unread = Gauge::default();
        let about = "1 while the file of entitlements cannot be read, and those of before are obeyed";
        registry.register("entitlements_unread", about, entitlements_unread.clone());
        let (answered, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { answered, failed, recent: Mutex::default(), entitlements_unread }
    }
}

/// How long answers of late took: how many of this span and of the one before stand in each bucket.
#[derive(Debug, Default)]
struct Recent {
    began: Option<Instant>,
    now: [u64; DURATION_BUCKETS_SECS.len()],
    before: [u64; DURATION_BUCKETS_SECS.len()],
}

impl Recent {
    fn note(&mut self, at: Instant, elapsed: Duration) {
        let age = self.began.map(|began| at.saturating_duration_since(began));
        if age.is_none_or(|age| age >= SPAN) {
            self.before = if age.is_some_and(|age| age < 2 * SPAN) { self.now } else { Default::default() };
            self.now = Default::default();
            self.began = Some(at);
        }
        let elapsed_secs = elapsed.as_secs_f64();
        let bucket = DURATION_BUCKETS_SECS.iter().position(|bound| elapsed_secs <= *bound);
        self.now[bucket.unwrap_or(DURATION_BUCKETS_SECS.len() - 1)] += 1;
    }

    fn p95(&self) -> Option<Duration> {
        let counts: Vec<u64> = self.now.iter().zip(&self.before).map(|(now, before)| now + before).collect();
        let enough = counts.iter().sum::<u64>() * 95;
        let mut below = 0;
        let bucket = counts.iter().position(|count| {
            below += count;
            enough > 0 && below * 100 >= enough
        });
        bucket.map(|bucket| Duration::from_secs_f64(DURATION_BUCKETS_SECS[bucket]))
    }
}

impl Metrics {
    /// Counts an answer to somebody; probes are nobody.
    pub fn answer(&self, has_failed: bool) {
        self.0.health.answered.fetch_add(1, Ordering::Relaxed);
        self.0.health.failed.fetch_add(u64::from(has_failed), Ordering::Relaxed);
    }

    /// How many answers there were since the start, and how many of them failed.
    #[must_use]
    pub fn answered(&self) -> (u64, u64) {
        (self.0.health.answered.load(Ordering::Relaxed), self.0.health.failed.load(Ordering::Relaxed))
    }

    /// Notes how long an answer took that has to come in time.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn answer_in_time(&self, at: Instant, elapsed: Duration) {
        self.0.health.recent.lock().expect("no holder of this lock panics").note(at, elapsed);
    }

    /// 95 of 100 of the last minutes' answers that have to come in time took no longer; `None` where there were none.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        self.0.health.recent.lock().expect("no holder of this lock panics").p95()
    }

    /// Notes whether the file of entitlements could be read.
    pub fn entitlements_unread(&self, is_unread: bool) {
        self.0.health.entitlements_unread.set(i64::from(is_unread));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn what_took_long_counts_for_some_minutes() {
        let (mut recent, start) = (Recent::default(), Instant::now());
        assert_eq!(recent.p95(), None);
        for elapsed_ms in [2; 94].into_iter().chain([400; 6]) {
            recent.note(start, Duration::from_millis(elapsed_ms));
        }
        assert_eq!(recent.p95(), Some(Duration::from_millis(500)));
        recent.note(start + SPAN, Duration::from_millis(2));
        assert_eq!(recent.p95(), Some(Duration::from_millis(500)), "those of before count");
        recent.note(start + 2 * SPAN, Duration::from_millis(2));
        assert_eq!(recent.p95(), Some(Duration::from_micros(2_500)));
        recent.note(start + 9 * SPAN, Duration::from_mins(9));
        assert_eq!(recent.p95(), Some(Duration::from_mins(1)), "the last bucket has all that is longer");
    }
}
