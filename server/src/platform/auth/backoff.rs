//! Growing waits after failed attempts on one account, whether or not the account exists.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::platform::db::Db;

/// This many failures in a row are free.
const FREE_FAILURES: i64 = 4;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// After this time without an attempt, an account starts afresh.
const FORGET_AFTER: Duration = Duration::from_hours(24);

/// The account that an attempt is on: a hash of the address, as typed apart from case and surrounding spaces.
#[derive(Clone, Debug)]
pub(super) struct Account(Vec<u8>);

/// Failed attempts in a row on one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    pub(super) count: i64,
    last_ms: i64,
}

impl Account {
    pub(super) fn of(email: &str) -> Self {
        Self(Sha256::digest(email.trim().to_lowercase()).to_vec())
    }

    pub(super) async fn failures(&self, db: &Db, now_ms: i64) -> Result<Failures, sqlx::Error> {
        let row: Option<(i64, i64)> =
            sqlx::query_as("SELECT failures, last_ms FROM login_failure WHERE account_hash = $1 AND last_ms > $2")
                .bind(&self.0)
                .bind(now_ms - millis(FORGET_AFTER))
                .fetch_optional(db.readers())
                .await?;
        Ok(row.map_or_else(Failures::default, |(count, last_ms)| Failures { count, last_ms }))
    }

    pub(super) async fn note_failure(&self, db: &Db, now_ms: i64) -> Result<(), sqlx::Error> {
        let forget_before_ms = now_ms - millis(FORGET_AFTER);
        let mut tx = db.write().await?;
        sqlx::query("DELETE FROM login_failure WHERE last_ms <= $1").bind(forget_before_ms).execute(&mut *tx).await?;
        sqlx::query(
            "INSERT INTO login_failure (account_hash, failures, last_ms) VALUES ($1, 1, $2)
             ON CONFLICT (account_hash) DO UPDATE SET failures = failures + 1, last_ms = excluded.last_ms",
        )
        .bind(&self.0)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    pub(super) async fn forget_failures(&self, db: &Db) -> Result<(), sqlx::Error> {
        let mut tx = db.write().await?;
        sqlx::query("DELETE FROM login_failure WHERE account_hash = $1").bind(&self.0).execute(&mut *tx).await?;
        tx.commit().await
    }
}

impl Failures {
    /// How long the next attempt still has to wait.
    pub(super) fn wait(self, now_ms: i64) -> Option<Duration> {
        if self.count <= FREE_FAILURES {
            return None;
        }
        let beyond = u32::try_from(self.count - FREE_FAILURES).unwrap_or(u32::MAX);
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(beyond - 1)).min(LONGEST_WAIT);
        // A clock that was set back must not make anybody wait longer than the longest wait.
        let left_ms = (self.last_ms + millis(wait) - now_ms).min(millis(wait));
        u64::try_from(left_ms).ok().filter(|left_ms| *left_ms > 0).map(Duration::from_millis)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_the_fifth_failure_up_to_a_quarter_of_an_hour() {
        let wait = |count| Failures { count, last_ms: 1_000 }.wait(1_000).map_or(0, |wait| wait.as_secs());
        assert_eq!((0..=8).map(wait).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!((wait(14), wait(15), wait(i64::MAX)), (512, 900, 900));
    }

    #[test]
    fn a_wait_is_over_when_its_time_has_passed() {
        let failures = Failures { count: 6, last_ms: 10_000 };
        assert_eq!(failures.wait(11_500), Some(Duration::from_millis(500)));
        assert_eq!(failures.wait(12_000), None);
        assert_eq!(failures.wait(0), Some(Duration::from_secs(2)), "whatever the clock did");
    }
}
