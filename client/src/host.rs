//! What a device takes from the machine it runs on: the time and chance. Tests bring their own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sync_protocol::id::RecordId;
use uuid::Builder;

const MS_PER_DAY: i64 = 86_400_000;

/// The machine under a device.
pub trait Host {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// Fills `bytes` with unpredictable ones.
    fn fill(&self, bytes: &mut [u8]);

    /// Lets time pass before a request that the server asked to put off.
    fn wait(&self, pause: Duration);

    /// Day number of today, in UTC as the server counts.
    fn today(&self) -> i64 {
        self.now_ms().div_euclid(MS_PER_DAY)
    }

    /// An id for a new record, which begins with the time.
    fn new_record_id(&self) -> RecordId {
        let mut random = [0_u8; 10];
        self.fill(&mut random);
        let ms = u64::try_from(self.now_ms()).unwrap_or(0);
        RecordId(Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
    }
}

/// The machine that this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Host for Machine {
    #[expect(clippy::disallowed_methods, reason = "the one place where the device asks the machine for the time")]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where the device asks the machine for randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has random bytes");
    }

    fn wait(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}
