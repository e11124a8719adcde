//! Events: one for each passage of a condition that people care about, none for what stays as it is.

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt as _};
use serde_json::json;

use super::api::{Cluster, Place, RequestError};
use super::conditions::{find, holds};
use super::digest::digest;
use super::owned::MANAGER;
use crate::crd::{Condition, Truth};

/// Conditions whose passages are events: the summary, and those that say that somebody must do something.
const TOLD: [&str; 8] =
    ["Ready", "Accepted", "Degraded", "Drifted", "DeletionBlocked", "EngineMissing", "Paused", "Succeeded"];
/// Of those, the ones whose `True` is the trouble.
const NEGATIVE: [&str; 5] = ["Degraded", "Drifted", "DeletionBlocked", "EngineMissing", "Paused"];
/// Conditions that begin as `False` without anything to tell.
const LATER: [&str; 1] = ["Succeeded"];

/// What passed from one state to another.
#[must_use]
pub fn passages<'a>(before: &[Condition], after: &'a [Condition]) -> Vec<&'a Condition> {
    let is_news = |condition: &&Condition| {
        let known = find(before, &condition.kind);
        let was = known.map_or(Truth::Unknown, |known| known.status);
        let kind = &&*condition.kind;
        let begins_calmly = NEGATIVE.contains(kind) || LATER.contains(kind);
        let is_calm_beginning = was == Truth::Unknown && begins_calmly && condition.status == Truth::False;
        condition.status != was && !is_calm_beginning
    };
    after.iter().filter(|condition| TOLD.contains(&&*condition.kind)).filter(is_news).collect()
}

/// Whether something that does not hold yet is on its way: then nobody has to do anything.
fn is_under_way(conditions: &[Condition]) -> bool {
    holds(conditions, "Progressing")
}

/// The event that tells a passage. Its name follows from it, so that it is told once however often it is tried.
#[must_use]
pub fn event<K: Resource<DynamicType = ()>>(of: &K, condition: &Condition, all: &[Condition]) -> Event {
    let is_negative = NEGATIVE.contains(&&*condition.kind);
    let is_trouble = (condition.status == Truth::True) == is_negative && (is_negative || !is_under_way(all));
    let passage = digest(&(of.uid(), condition));
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{passage}", of.name_any())),
            namespace: of.namespace(),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".to_owned()),
        event_time: Some(MicroTime(condition.last_transition_time.0)),
        note: Some(condition.message.clone()),
        reason: Some(condition.reason.clone()),
        regarding: Some(of.object_ref(&())),
        reporting_controller: Some("cartera.dev/operator".to_owned()),
        reporting_instance: Some("cartera-operator".to_owned()),
        type_: Some(if is_trouble { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// Tells a passage.
///
/// # Errors
/// When it was refused or nobody answered.
pub async fn tell<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    of: &K,
    condition: &Condition,
    all: &[Condition],
) -> Result<(), RequestError> {
    let event = event(of, condition, all);
    cluster.create(&Place::of(&event), &json!(event), MANAGER).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::cluster::conditions::{Finding, settle};

    #[test]
    fn a_passage_is_told_and_a_calm_beginning_is_not() {
        let at = Timestamp::UNIX_EPOCH;
        let calm = settle(&[], &[Finding::no("Ready", "Starting", ""), Finding::no("Degraded", "Fine", "")], None, at);
        let told = |before: &[Condition], after: &[Condition]| {
            passages(before, after).iter().map(|condition| condition.reason.clone()).collect::<Vec<_>>()
        };
        assert_eq!(told(&[], &calm), ["Starting"]);
        assert!(told(&calm, &calm).is_empty());
        let worse =
            settle(&calm, &[Finding::no("Ready", "Broken", ""), Finding::yes("Degraded", "ApplyFailed", "")], None, at);
        assert_eq!(told(&calm, &worse), ["ApplyFailed"]);
    }

    #[test]
    fn what_is_on_its_way_is_no_trouble() {
        let tenant = crate::tenant::fixture::tenant(&serde_json::json!({}));
        let kind = |findings: &[Finding]| {
            let all = settle(&[], findings, None, Timestamp::UNIX_EPOCH);
            event(&tenant, &all[0], &all).type_
        };
        let starting = Finding::no("Ready", "Starting", "");
        assert_eq!(kind(&[starting.clone(), Finding::yes("Progressing", "Starting", "")]).as_deref(), Some("Normal"));
        assert_eq!(kind(&[starting, Finding::no("Progressing", "Stopped", "")]).as_deref(), Some("Warning"));
        let degraded = Finding::yes("Degraded", "ApplyFailed", "");
        assert_eq!(kind(&[degraded, Finding::yes("Progressing", "Starting", "")]).as_deref(), Some("Warning"));
    }
}
