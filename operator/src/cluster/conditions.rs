//! Conditions: what is so, why, and what to do next.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::crd::{Condition, Truth};

/// What was found out about one condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Which condition.
    pub kind: &'static str,
    /// Whether it holds.
    pub status: Truth,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why and what to do next, in a sentence.
    pub message: String,
}

impl Finding {
    /// It holds.
    pub fn yes(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: Truth::True, reason, message: message.into() }
    }

    /// It does not.
    pub fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: Truth::False, reason, message: message.into() }
    }

    /// It cannot be said yet.
    pub fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: Truth::Unknown, reason, message: message.into() }
    }
}

/// The condition of that kind.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Whether the condition of that kind is there and true.
#[must_use]
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == Truth::True)
}

/// Conditions that follow from `findings`. The time of one changes when its status does, and only then: a status that is
/// computed again is the same.
#[must_use]
pub fn settle(before: &[Condition], findings: &[Finding], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    findings
        .iter()
        .map(|finding| {
            let known = find(before, finding.kind);
            let since =
                known.filter(|known| known.status == finding.status).map(|known| known.last_transition_time.clone());
            Condition {
                kind: finding.kind.to_owned(),
                status: finding.status,
                reason: finding.reason.to_owned(),
                message: shortened(&finding.message),
                last_transition_time: since.unwrap_or_else(|| whole_seconds(now)),
                observed_generation: generation,
            }
        })
        .collect()
}

/// The API server keeps no fraction of a second: what it would drop must not look like a change.
#[must_use]
pub fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// The schema allows 1,024 characters.
fn shortened(message: &str) -> String {
    if message.chars().count() <= 1_000 {
        message.to_owned()
    } else {
        message.chars().take(1_000).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_condition_changes_with_its_status_alone() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let first = settle(&[], &[Finding::no("Ready", "Starting", "a")], Some(1), at(10));
        let second = settle(&first, &[Finding::no("Ready", "Waiting", "b")], Some(2), at(20));
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        let third = settle(&second, &[Finding::yes("Ready", "Ready", "c")], Some(2), at(30));
        assert_eq!(third[0].last_transition_time, Time(at(30)));
    }
}
