//! What the suite takes from the machine that it runs on: the time, and chance for ids.

use std::time::{SystemTime, UNIX_EPOCH};

use sync_protocol::id::RecordId;
use uuid::Builder;

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the one place where the suite asks the machine for the time")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// An id that no record has yet.
#[expect(clippy::disallowed_methods, reason = "the one place where the suite asks the machine for randomness")]
pub fn new_record_id() -> RecordId {
    let mut random = [0_u8; 10];
    getrandom::fill(&mut random).expect("the operating system has random bytes");
    let ms = u64::try_from(now_ms()).unwrap_or(0);
    RecordId(Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
}
