//! How far each tenant is.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::aim::Aim;
use super::fleet::Member;
use crate::cluster::conditions::{find, holds};
use crate::crd::{FleetRollout, ReconcileMode, Tenant};

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
    /// It was given its former image back: it has failed as well.
    GivenBack {
        /// Whether it is ready again.
        is_ready: bool,
    },
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
    let current = current_wave(rollout);
    members
        .into_iter()
        .map(|Member { tenant, wave }| {
            let progress = match progress(&tenant, rollout, aim, wave >= current, now) {
                Progress::Updated => remembered(&tenant, rollout, now).unwrap_or(Progress::Updated),
                other => other,
            };
            Standing { tenant, wave, progress }
        })
        .collect()
}

/// The number of the wave that is under way.
pub(super) fn current_wave(rollout: &FleetRollout) -> usize {
    let name = rollout.status.as_ref().and_then(|status| status.wave.as_ref());
    rollout.spec.waves.iter().position(|wave| Some(&wave.name) == name).unwrap_or_default()
}

/// Whether this roll-out gave a tenant its image: another one may have had its name before.
pub(super) fn is_given(tenant: &Tenant, rollout: &FleetRollout) -> bool {
    let version = tenant.status.as_ref().and_then(|status| status.version.as_ref());
    let since = version.and_then(|version| version.target_since.as_ref()).map(|time| time.0);
    let made = rollout.creation_timestamp().map(|time| time.0);
    version.is_some_and(|version| version.rollout_ref.as_deref() == Some(&rollout.name_any())) && since >= made
}

/// One that failed and is ready again is watched as long as its wave is, before it counts as updated: a server that comes and
/// goes lets no roll-out go on.
fn remembered(tenant: &Tenant, rollout: &FleetRollout, now: Timestamp) -> Option<Progress> {
    let status = rollout.status.as_ref()?;
    let failure = status.failures.iter().find(|failure| failure.tenant == tenant.name_any())?;
    let soak = duration(&rollout.spec.waves.get(current_wave(rollout))?.soak);
    let ready_since = find(&tenant.status.as_ref()?.conditions, "Ready")?.last_transition_time.0;
    (now.duration_since(ready_since) < soak).then(|| Progress::Failed(failure.reason.clone()))
}

/// `is_watched`: its wave has not been watched to its end.
fn progress(tenant: &Tenant, rollout: &FleetRollout, aim: &Aim, is_watched: bool, now: Timestamp) -> Progress {
    let status = tenant.status.clone().unwrap_or_default();
    let version = status.version.unwrap_or_default();
    let ready = find(&status.conditions, "Ready");
    let is_ready = holds(&status.conditions, "Ready");
    let is_given = is_given(tenant, rollout);
    if is_given && version.target.as_ref() != Some(&aim.image) {
        return Progress::GivenBack { is_ready: is_ready && version.image == version.target };
    }
    if is_ready && version.image.as_ref() == Some(&aim.image) {
        let schema = version.schema_version.unwrap_or_default();
        return match aim.schema_version {
            Some(least) if schema < least => {
                Progress::Failed(format!("the schema of its database is {schema}, and should be {least} at least"))
            }
            _ => Progress::Updated,
        };
    }
    let is_left_alone = tenant.spec.reconcile.mode != ReconcileMode::Enforce;
    if !holds(&status.conditions, "Accepted") || is_left_alone || tenant.metadata.deletion_timestamp.is_some() {
        return Progress::Deferred;
    }
    if !is_given {
        // It was made with the image, and needs neither approval nor a window.
        return if version.image.as_ref() == Some(&aim.image) { Progress::InFlight } else { Progress::Waiting };
    }
    let ready_within = duration(&rollout.spec.gates.ready_within);
    // A server that ends hours later and comes again has its time as well; one that is watched has none to spare.
    let unready_since = ready.map(|ready| ready.last_transition_time.0).filter(|_| !is_watched);
    let since = version.target_since.map(|time| time.0).max(unready_since).unwrap_or(now);
    if now.duration_since(since) <= ready_within {
        return Progress::InFlight;
    }
    let said = ready.map(|ready| ready.message.as_str()).unwrap_or_default();
    Progress::Failed(format!("it was not ready within {ready_within:#}: {said}"))
}

/// A duration as a roll-out writes it, such as `1h30m`; the schema allows nothing else.
pub(super) fn duration(text: &str) -> SignedDuration {
    text.parse().unwrap_or_default()
}
