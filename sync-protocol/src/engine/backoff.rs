//! Pauses between tries: doubling, spread by jitter, never shorter than the server asks for.

const FIRST_PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 300_000;

#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    until_ms: Option<i64>,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        // A zero would stay zero for ever.
        Self { failures: 0, until_ms: None, random: seed ^ 0x9e37_79b9_7f4a_7c15 | 1 }
    }

    pub(super) fn fail(&mut self, now_ms: i64, retry_after_ms: Option<i64>) {
        let pause = (FIRST_PAUSE_MS << self.failures.min(10)).min(LONGEST_PAUSE_MS);
        self.failures += 1;
        let spread = i64::try_from(self.next_random() % 1_000).unwrap_or(0);
        let pause = pause / 2 + pause * spread / 2_000;
        let asked = retry_after_ms.map_or(0, |asked| asked.max(0) + FIRST_PAUSE_MS * spread / 1_000);
        self.until_ms = Some(now_ms.saturating_add(pause.max(asked)));
    }

    pub(super) fn succeed(&mut self) {
        self.failures = 0;
        self.until_ms = None;
    }

    /// Ends the pause, but remembers how often it failed.
    pub(super) fn end(&mut self) {
        self.until_ms = None;
    }

    pub(super) fn allows(&self, now_ms: i64) -> bool {
        self.until_ms.is_none_or(|until| until <= now_ms)
    }

    /// Whether there was a pause, and it is over.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        self.until_ms.is_some_and(|until| until <= now_ms)
    }

    /// When the pause is over, where there is one.
    pub(super) fn until_ms(&self) -> Option<i64> {
        self.until_ms
    }

    /// Marsaglia's xorshift: it spreads retries, it guards nothing.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
