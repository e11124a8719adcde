use kube::ResourceExt as _;
use serde_json::json;

use super::aim::Aim;
use super::decide::{Decision, counts};
use super::progress::{Progress, Standing};
use crate::cluster::api::{Place, RequestError};
use crate::cluster::conditions::{Finding, settle, whole_seconds};
use crate::cluster::events;
use crate::cluster::owned::STATUS_MANAGER;
use crate::crd::{FleetRollout, FleetRolloutStatus, RolloutFailure, RolloutState};
use crate::tenant::validate::Refusal;
use crate::tenant::{Context, Next};

/// As many failures are told as the schema allows.
const MOST_FAILURES: usize = 20;
/// As much of a reason is told as the schema allows.
const MOST_CHARACTERS: usize = 500;

/// Says how far a roll-out is.
pub(super) async fn report(
    context: &Context,
    rollout: &FleetRollout,
    aim: &Aim,
    standings: &[Standing],
    decision: &Decision,
) -> Result<(), RequestError> {
    let before = rollout.status.clone().unwrap_or_default();
    let mut counts = counts(standings);
    // Who was begun with just now is on its way.
    counts.in_flight += i64::try_from(decision.start.len()).unwrap_or_default();
    let status = FleetRolloutStatus {
        observed_generation: rollout.metadata.generation,
        image: Some(aim.image.clone()),
        wave: rollout.spec.waves.get(decision.wave).map(|wave| wave.name.clone()),
        soaking_since: decision.soaking_since.map(whole_seconds),
        state: Some(decision.state),
        counts: Some(counts),
        failures: failures(standings),
        conditions: settle(
            &before.conditions,
            &decision.findings(&counts),
            rollout.metadata.generation,
            context.clock.now(),
        ),
    };
    write(context, rollout, &before, status).await
}

/// Says why nothing can be begun.
pub(super) async fn refused(
    context: &Context,
    rollout: &FleetRollout,
    refusal: &Refusal,
) -> Result<Next, RequestError> {
    let before = rollout.status.clone().unwrap_or_default();
    let [progressing, succeeded] =
        ["Progressing", "Succeeded"].map(|kind| Finding::no(kind, refusal.reason, &*refusal.message));
    let paused = Finding::no("Paused", "No", "nobody paused it");
    let findings = [progressing, paused, succeeded, Finding::no("Degraded", "Fine", "no tenant has failed")];
    let status = FleetRolloutStatus {
        observed_generation: rollout.metadata.generation,
        state: Some(RolloutState::Waiting),
        conditions: settle(&before.conditions, &findings, rollout.metadata.generation, context.clock.now()),
        ..before.clone()
    };
    write(context, rollout, &before, status).await?;
    Ok(Next::WhenChanged)
}

pub(super) fn failures(standings: &[Standing]) -> Vec<RolloutFailure> {
    let failed = standings.iter().filter_map(|standing| match &standing.progress {
        Progress::Failed(reason) => Some((standing, reason.as_str())),
        Progress::GivenBack { .. } => Some((standing, "it was given its former image back")),
        _ => None,
    });
    failed
        .map(|(standing, reason)| RolloutFailure {
            tenant: standing.tenant.name_any(),
            reason: reason.chars().take(MOST_CHARACTERS).collect(),
        })
        .take(MOST_FAILURES)
        .collect()
}

async fn write(
    context: &Context,
    rollout: &FleetRollout,
    before: &FleetRolloutStatus,
    status: FleetRolloutStatus,
) -> Result<(), RequestError> {
    if status == *before {
        return Ok(());
    }
    let name = rollout.name_any();
    for passage in events::passages(&before.conditions, &status.conditions) {
        if let Err(error) = events::tell(&context.cluster, rollout, passage, &status.conditions).await {
            tracing::warn!(rollout.name = name, error = %error, "could not tell an event");
        }
    }
    let object = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "FleetRollout",
        "metadata": { "name": name, "uid": rollout.uid() }, "status": status,
    });
    let written = context.cluster.apply_status(&Place::of(rollout), &object, STATUS_MANAGER).await?;
    if let Ok(written) = serde_json::from_value(written) {
        let _ = context.index.put_rollout(written);
    }
    Ok(())
}
