//! How many failed attempts one client address may make, on whatever accounts: who tries one password on many accounts
//! is no faster than who tries many on one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ClientAddress;

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Addresses that are remembered at once. Beyond them only the back-off of each account holds.
const MOST_ADDRESSES: usize = 100_000;

/// Bits of an IPv6 address that its provider gives to one customer.
const CUSTOMER_BITS: u32 = 64;

/// Failures of client addresses, kept in memory: what outlives a restart is the back-off of accounts.
#[derive(Debug)]
pub struct AddressLimit {
    failures_per_hour: u32,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

/// Failures that are not forgiven yet, in the time that forgiving them takes.
#[derive(Clone, Copy, Debug)]
struct Failures {
    /// When the last of them is forgiven.
    forgiven_at_ms: i64,
}

impl AddressLimit {
    /// Nothing failed yet; an address may fail so many times at once, and then as often as failures are forgiven: so
    /// many evenly over an hour.
    #[must_use]
    pub fn new(failures_per_hour: u32) -> Self {
        Self { failures_per_hour, failures: Mutex::default() }
    }

    /// How long the next attempt from there still has to wait.
    #[must_use]
    pub fn wait(&self, client: ClientAddress, now_ms: i64) -> Option<Duration> {
        let failures = *self.lock().get(&key(client.0?))?;
        // A failure more must be forgiven within the hour from now on.
        let wait_ms = failures.forgiven_at_ms + self.step_ms() - HOUR_MS - now_ms;
        // A clock that was set back must not make anybody wait longer than the hour.
        u64::try_from(wait_ms.min(HOUR_MS)).ok().filter(|wait_ms| *wait_ms > 0).map(Duration::from_millis)
    }

    /// Counts an attempt that failed.
    pub fn note_failure(&self, client: ClientAddress, now_ms: i64) {
        let Some(address) = client.0 else { return };
        let step_ms = self.step_ms();
        let mut failures = self.lock();
        if failures.len() >= MOST_ADDRESSES {
            failures.retain(|_, failures| failures.forgiven_at_ms > now_ms);
        }
        let key = key(address);
        if failures.len() >= MOST_ADDRESSES && !failures.contains_key(&key) {
            return;
        }
        let known = failures.entry(key).or_insert(Failures { forgiven_at_ms: now_ms });
        known.forgiven_at_ms = known.forgiven_at_ms.clamp(now_ms, now_ms + HOUR_MS) + step_ms;
    }

    /// The time after which one failure is forgiven.
    fn step_ms(&self) -> i64 {
        HOUR_MS / i64::from(self.failures_per_hour.max(1))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address: of IPv6, all that one customer has.
fn key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> CUSTOMER_BITS << CUSTOMER_BITS).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> ClientAddress {
        ClientAddress(Some(address.parse().expect("an address")))
    }

    #[test]
    fn after_so_many_failures_at_once_they_are_let_in_one_by_one() {
        let limit = AddressLimit::new(60);
        let client = from("203.0.113.9");
        for _ in 0..60 {
            assert_eq!(limit.wait(client, 5_000), None);
            limit.note_failure(client, 5_000);
        }
        assert_eq!(limit.wait(client, 5_000), Some(Duration::from_mins(1)));
        assert_eq!(limit.wait(client, 64_999), Some(Duration::from_millis(1)));
        assert_eq!(limit.wait(client, 65_000), None);
        limit.note_failure(client, 65_000);
        assert_eq!(limit.wait(client, 65_000), Some(Duration::from_mins(1)));
        assert_eq!(limit.wait(client, 65_000 + HOUR_MS), None);
        assert_eq!(limit.wait(client, -HOUR_MS), Some(Duration::from_hours(1)), "whatever the clock did");
    }

    #[test]
    fn addresses_do_not_count_for_each_other_and_those_of_one_customer_do() {
        let limit = AddressLimit::new(1);
        limit.note_failure(from("203.0.113.9"), 0);
        limit.note_failure(from("2001:db8:0:7::1"), 0);
        limit.note_failure(ClientAddress(None), 0);
        assert!(limit.wait(from("203.0.113.9"), 0).is_some());
        assert_eq!(limit.wait(from("203.0.113.8"), 0), None);
        assert!(limit.wait(from("2001:db8:0:7:ffff::9"), 0).is_some());
        assert_eq!(limit.wait(from("2001:db8:0:8::1"), 0), None);
        assert_eq!(limit.wait(ClientAddress(None), 0), None, "what comes over no network is the operator's");
    }

    #[test]
    fn no_number_of_addresses_fills_the_memory() {
        let limit = AddressLimit::new(10);
        let many = u32::try_from(MOST_ADDRESSES).expect("it fits") + 100;
        for number in 0..many {
            limit.note_failure(ClientAddress(Some(IpAddr::V4(number.into()))), 0);
        }
        assert_eq!(limit.lock().len(), MOST_ADDRESSES);
        limit.note_failure(from("203.0.113.9"), 2 * HOUR_MS);
        assert_eq!(limit.lock().len(), 1, "what is forgiven is forgotten");
    }
}
