//! How far each tenant is.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::aim::Aim;
use super::fleet::Member;
use crate::crd::{Condition, FleetRollout, ReconcileMode, Tenant, Truth};

/// How far a tenant is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// It is its turn later, or now.
    Waiting,
    /// It was given the image, and is not ready with it yet.
    InFlight,
    /// It runs the image and is ready.
    Updated,
    /// It did not become what it must be; with the reason.
    Failed(String),
    /// It cannot be touched now.
    Deferred,
}

/// A tenant, and how far it is.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// The number of its wave.
    pub wave: usize,
    /// How far it is.
    pub progress: Progress,
}

/// How far all of them are.
pub(super) fn standings(members: Vec<Member>, rollout: &FleetRollout, aim: &Aim, now: Timestamp) -> Vec<Standing> {
    let ready_within = duration(&rollout.spec.gates.ready_within);
    let name = rollout.name_any();
    let of = |tenant: &Tenant| progress(tenant, &name, aim, ready_within, now);
    members.into_iter().map(|Member { tenant, wave }| Standing { progress: of(&tenant), tenant, wave }).collect()
}

fn progress(tenant: &Tenant, rollout: &str, aim: &Aim, ready_within: SignedDuration, now: Timestamp) -> Progress {
    let status = tenant.status.clone().unwrap_or_default();
    let version = status.version.unwrap_or_default();
    let is_given = version.rollout_ref.as_deref() == Some(rollout);
    if is_given && version.target.as_ref() != Some(&aim.image) {
        return Progress::Failed("it has its former image again".to_owned());
    }
    let ready = condition(&status.conditions, "Ready");
    let is_ready = ready.is_some_and(|ready| ready.status == Truth::True);
    if is_ready && version.image.as_ref() == Some(&aim.image) {
        let schema = version.schema_version.unwrap_or_default();
        return match aim.schema_version {
            Some(least) if schema < least => {
                Progress::Failed(format!("the schema of its database is {schema}, and should be {least} at least"))
            }
            _ => Progress::Updated,
        };
    }
    let is_accepted = condition(&status.conditions, "Accepted").is_some_and(|found| found.status == Truth::True);
    let is_left_alone = tenant.spec.reconcile.mode != ReconcileMode::Enforce;
    if !is_accepted || is_left_alone || tenant.metadata.deletion_timestamp.is_some() {
        return Progress::Deferred;
    }
    if !is_given {
        return Progress::Waiting;
    }
    // A server that ends hours later and comes again has its time as well.
    let unready_since = ready.map(|ready| ready.last_transition_time.0);
    let since = version.target_since.map(|time| time.0).max(unready_since).unwrap_or(now);
    if now.duration_since(since) <= ready_within {
        return Progress::InFlight;
    }
    let said = ready.map(|ready| ready.message.as_str()).unwrap_or_default();
    Progress::Failed(format!("it was not ready within {ready_within:#}: {said}"))
}

fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// A duration as a roll-out writes it, such as `1h30m`; the schema allows nothing else.
pub(super) fn duration(text: &str) -> SignedDuration {
    text.parse().unwrap_or_default()
}
