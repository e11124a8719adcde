//! What is tried again at once, and what waits for the next reconcile.

use std::time::Duration;

/// How often a request is sent at the most, the first time included.
pub const TRIES: u32 = 3;
/// How long one may take.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// The longest that a reconcile waits before it is its turn again.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// How long to wait before a request is sent again; nothing where that would be in vain.
#[must_use]
pub fn pause_before_retry(error: &kube::Error, tries: u32) -> Option<Duration> {
    if tries >= TRIES {
        return None;
    }
    let growing = Duration::from_millis(100) * 4_u32.pow(tries.saturating_sub(1));
    match error {
        kube::Error::Api(status) => match status.code {
            429 => {
                let asked = status.details.as_ref().map_or(1, |details| details.retry_after_seconds);
                Some(Duration::from_secs(u64::from(asked).clamp(1, 10)))
            }
            // 403: rights in a namespace count a moment after the RoleBinding that gives them was made.
            403 | 500 | 502 | 503 | 504 => Some(growing),
            // Refused for what it says: the same would be refused again.
            _ => None,
        },
        // Nobody answered. What is sent here may be sent twice.
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => Some(growing),
        _ => None,
    }
}

/// When a reconcile that failed so many times in a row is its turn again.
#[must_use]
pub fn pause_before_reconcile(failures: u32) -> Duration {
    Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::core::response::StatusDetails;
    use serde_json::json;

    use super::*;

    fn refused(code: u16, retry_after_seconds: u32) -> kube::Error {
        let details: StatusDetails =
            serde_json::from_value(json!({ "retryAfterSeconds": retry_after_seconds })).expect("details");
        kube::Error::Api(Box::new(Status { code, details: Some(details), ..Status::default() }))
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_for_long() {
        for (code, after, expected) in [
            (429, 3, Some(Duration::from_secs(3))),
            (429, 3_600, Some(Duration::from_secs(10))),
            (500, 0, Some(Duration::from_millis(100))),
            (504, 0, Some(Duration::from_millis(100))),
            (403, 0, Some(Duration::from_millis(100))),
            (409, 0, None),
            (422, 0, None),
        ] {
            assert_eq!(pause_before_retry(&refused(code, after), 1), expected, "{code}");
        }
        assert_eq!(pause_before_retry(&refused(500, 0), TRIES), None);
    }

    #[test]
    fn reconciles_that_go_on_failing_come_ever_more_rarely() {
        let waits: Vec<u64> = [0, 1, 3, 8, 40].map(|failures| pause_before_reconcile(failures).as_secs()).into();
        assert_eq!(waits, [1, 2, 8, 256, 300]);
    }
}
