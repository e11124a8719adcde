//! Which replica looks after which tenants, decided without a central place.
//!
//! Tenants fall into 64 shards by their uid. Every replica has a leader lease of its own, on which it says which shards it
//! leads. It takes a shard that falls to it and that no living replica says it leads; it says so first and looks again
//! before it acts. Two that say so at once both see it, and the one to whom the shard falls less goes back. One that is to
//! give a shard up stops acting on it first and takes it off its lease then.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// How many shards there are.
pub const SHARDS: u32 = 64;
/// How often a replica renews its leader lease.
pub const RENEW: Duration = Duration::from_secs(5);
/// After how long without renewal a replica counts as dead.
pub const LEASE: Duration = Duration::from_secs(30);
/// After how long without renewal a replica stops acting: so much earlier that it notices in time, even if the last of its
/// attempts takes as long as it may.
pub const ACTING: Duration = Duration::from_secs(15);

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Shards(u64);

impl Shards {
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether a shard is among them.
    #[must_use]
    pub fn has(self, shard: u32) -> bool {
        (self.0 >> shard) & 1 == 1
    }

    /// Adds one.
    pub fn add(&mut self, shard: u32) {
        self.0 |= 1 << shard;
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::fmt::Display for Shards {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Shards {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// The shard of a tenant.
#[must_use]
pub fn shard_of(uid: &str) -> u32 {
    u32::try_from(weight("", uid) % u64::from(SHARDS)).unwrap_or_default()
}

/// A replica that lives, as its leader lease says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// What it says it leads.
    pub leads: Shards,
}

/// What a replica may say it leads, as it sees those that live; itself among them.
#[must_use]
pub fn claim(own: &str, living: &[Replica]) -> Shards {
    let mut claimed = Shards::default();
    for shard in 0..SHARDS {
        let falls_to = living.iter().max_by_key(|replica| (weight(&replica.name, &shard.to_string()), &replica.name));
        let is_free = living.iter().all(|replica| replica.name == own || !replica.leads.has(shard));
        if falls_to.is_some_and(|replica| replica.name == own) && is_free {
            claimed.add(shard);
        }
    }
    claimed
}

/// For every pair as if by a throw of dice that everybody sees: when a replica comes or goes, no other shards move than
/// those it takes or leaves.
fn weight(replica: &str, of: &str) -> u64 {
    let hash = Sha256::digest(format!("{replica}\n{of}").as_bytes());
    hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn living(names: &[&str]) -> Vec<Replica> {
        names.iter().map(|name| Replica { name: (*name).to_owned(), leads: Shards::default() }).collect()
    }

    #[test]
    fn one_replica_leads_everything_and_several_share_it() {
        assert_eq!(claim("a", &living(&["a"])), Shards::ALL);
        let three = living(&["a", "b", "c"]);
        let counts: Vec<u32> = ["a", "b", "c"].iter().map(|name| claim(name, &three).count()).collect();
        assert_eq!(counts.iter().sum::<u32>(), SHARDS);
        assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
    }

    #[test]
    fn a_shard_that_somebody_still_leads_waits_for_it() {
        let mut two = living(&["a", "b"]);
        two[0].leads = Shards::ALL;
        assert_eq!(claim("b", &two), Shards::default());
        // The first goes back to what falls to it; the rest is free then.
        two[0].leads = claim("a", &two);
        let second = claim("b", &two);
        assert_eq!(second.and(two[0].leads), Shards::default());
        assert_eq!(second.count() + two[0].leads.count(), SHARDS);
    }

    #[test]
    fn nothing_moves_but_what_a_replica_takes_along() {
        let before = claim("a", &living(&["a", "b"]));
        let after = claim("a", &living(&["a", "b", "c"]));
        assert_eq!(after.and(before), after);
    }

    #[test]
    fn shards_travel_as_text() {
        let shards = claim("a", &living(&["a", "b"]));
        assert_eq!(shards.to_string().parse(), Ok(shards));
    }
}
