//! What happened how often. A run in which something of the list never happened proves nothing about it, and fails.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Everything that must happen in a run.
const MUST_HAPPEN: &[&str] = &[
    "device: calls what waits otherwise",
    "device: commit fails",
    "device: dies after a commit",
    "device: dies after a request",
    "device: dies before a commit",
    "device: dies before a request",
    "device: dies idle",
    "device: fetches a model",
    "device: keeps a file",
    "device: lost, another enrolled",
    "device: offline",
    "device: the fetch of a model goes wrong",
    "edit: add to a set",
    "edit: append",
    "edit: create",
    "edit: delete",
    "edit: group",
    "edit: increment",
    "edit: not saved",
    "edit: remove from a set",
    "edit: set",
    "first sync: a fetch goes wrong",
    "first sync: chunk",
    "first sync: chunk gone",
    "first sync: device dies at a fetch",
    "first sync: manifest",
    "live: another model is ordered",
    "live: delta",
    "live: late or twice",
    "live: poke",
    "mending: a request goes wrong",
    "mending: a week has passed",
    "mending: device dies",
    "mending: something differs",
    "mending: the device was away for long",
    "mending: the server was restored",
    "model: fields and options are called otherwise",
    "model: fields and options are no more",
    "model: more fields",
    "model: other rights of a role",
    "model: other rules",
    "model: refused",
    "network: answer cut",
    "network: answer lost",
    "network: busy",
    "network: packed answer cut",
    "network: request cut",
    "network: request late",
    "network: request late arrives",
    "network: request lost",
    "network: request twice",
    "network: two devices in one commit",
    "operation: acknowledged",
    "operation: delete",
    "operation: exit",
    "operation: put",
    "operation: put partial",
    "operation: scope_add",
    "operation: scope_drop",
    "outcome: applied",
    "outcome: merged",
    "outcome: of a change by a former name",
    "outcome: of a change of a removed field",
    "outcome: rejected, conflict",
    "outcome: rejected, dependency-rejected",
    "outcome: rejected, forbidden",
    "outcome: rejected, group-rejected",
    "outcome: rejected, invalid",
    "outcome: rejected, not-found",
    "outcome: rejected, restricted",
    "page: more follow",
    "people: a team gets a manager",
    "people: a team works elsewhere",
    "people: a territory moves",
    "people: gets a role",
    "people: joins a team",
    "people: leaves a team",
    "people: may not sign in",
    "people: may sign in again",
    "server: dies after its answer",
    "server: dies after the commit",
    "server: backed up",
    "server: children follow",
    "server: dies before the commit",
    "server: dies between requests",
    "server: forgets what left",
    "server: restarts",
    "server: restored",
    "server: settles what devices carry",
    "server: writes in bulk",
    "server: writes itself",
    "time: clock two years off",
    "time: passes",
    "checkpoints",
    "exchanges",
    "steps",
];

/// Checkpoints at which nobody knew what the device was to hold: somebody wrote between the page and the look at the tables.
pub(super) const NOT_LOOKED_AT: &str = "checkpoints not looked at";

/// Of so many checkpoints at most one is not looked at.
const LOOKED_AT: u64 = 10;

/// What happened how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    counts: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.counts {
            *self.counts.entry(what.clone()).or_default() += times;
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// What should have happened and did not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing: Vec<&str> = MUST_HAPPEN.iter().copied().filter(|what| self.of(what) == 0).collect();
        if self.of(NOT_LOOKED_AT) * LOOKED_AT > self.of("checkpoints") {
            missing.push("a look at nearly all checkpoints");
        }
        missing
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in &self.counts {
            writeln!(formatter, "{times:>10} {what}")?;
        }
        Ok(())
    }
}
