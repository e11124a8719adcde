//! Events: one for each passage of a condition that people care about, none for what stays as it is.

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use kube::core::ApiResource;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use super::api::{Cluster, Place, RequestError};
use super::digest::digest;
use super::owned::MANAGER;
use crate::crd::{Condition, Tenant, Truth};

/// Conditions whose passages are events: the summary, and those that say that somebody must do something.
const TOLD: [&str; 6] = ["Ready", "Accepted", "Degraded", "Drifted", "DeletionBlocked", "EngineMissing"];
/// Of those, the ones whose `True` is the trouble.
const NEGATIVE: [&str; 4] = ["Degraded", "Drifted", "DeletionBlocked", "EngineMissing"];

/// What passed from one state to another.
#[must_use]
pub fn passages<'a>(before: &[Condition], after: &'a [Condition]) -> Vec<&'a Condition> {
    let is_news = |condition: &&Condition| {
        let known = before.iter().find(|known| known.kind == condition.kind);
        let was = known.map_or(Truth::Unknown, |known| known.status);
        let is_calm_beginning =
            was == Truth::Unknown && NEGATIVE.contains(&&*condition.kind) && condition.status == Truth::False;
        condition.status != was && !is_calm_beginning
    };
    after.iter().filter(|condition| TOLD.contains(&&*condition.kind)).filter(is_news).collect()
}

/// The event that tells a passage. Its name follows from it, so that it is told once however often it is tried.
#[must_use]
pub fn event(tenant: &Tenant, condition: &Condition) -> Event {
    let is_trouble = (condition.status == Truth::True) == NEGATIVE.contains(&&*condition.kind);
    let passage = digest(&(tenant.uid(), condition));
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{passage}", tenant.name_any())),
            namespace: tenant.namespace(),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".to_owned()),
        event_time: Some(MicroTime(condition.last_transition_time.0)),
        note: Some(condition.message.clone()),
        reason: Some(condition.reason.clone()),
        regarding: Some(tenant.object_ref(&())),
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
pub async fn tell(cluster: &Cluster, tenant: &Tenant, condition: &Condition) -> Result<(), RequestError> {
    let event = event(tenant, condition);
    let place = Place::new(ApiResource::erase::<Event>(&()), event.metadata.namespace.as_deref(), &event.name_any());
    cluster.create(&place, &json!(event), MANAGER).await.map(|_| ())
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
}
