//! What a server says of itself after it was brought to the image.

use std::time::Duration;

use futures_util::StreamExt as _;
use kube::ResourceExt as _;

use super::progress::{Progress, Standing, current_wave};
use crate::cluster::names;
use crate::crd::{FleetRollout, Gates, Tenant};
use crate::tenant::health::HealthError;
use crate::tenant::server::Health;
use crate::tenant::{Context, health, keys};

/// Servers that are asked at a time.
const TOGETHER: usize = 16;
/// A share of fewer requests than these says nothing.
const LEAST_REQUESTS: u64 = 20;

/// All of them have this time; a wave of servers that hang must not keep a roll-out from stopping.
const LIMIT: Duration = Duration::from_mins(1);

/// Asks the servers of the wave under way that are done, where the roll-out has gates that only they can answer. One that does
/// not answer is judged by its readiness alone.
pub(super) async fn pass(context: &Context, rollout: &FleetRollout, standings: Vec<Standing>) -> Vec<Standing> {
    let gates = &rollout.spec.gates;
    if gates.max_error_rate_percent.is_none() && gates.max_p95_ms.is_none() {
        return standings;
    }
    tokio::select! {
        asked = ask_all(context, rollout, standings.clone()) => asked,
        () = context.clock.limit(LIMIT) => standings,
    }
}

async fn ask_all(context: &Context, rollout: &FleetRollout, standings: Vec<Standing>) -> Vec<Standing> {
    let (gates, current) = (&rollout.spec.gates, current_wave(rollout));
    futures_util::stream::iter(standings)
        .map(|standing| async move {
            if standing.progress != Progress::Updated || standing.wave != current {
                return standing;
            }
            match ask(context, &standing.tenant).await.and_then(|health| trouble(gates, &health)) {
                Some(reason) => Standing { progress: Progress::Failed(reason), ..standing },
                None => standing,
            }
        })
        .buffered(TOGETHER)
        .collect()
        .await
}

async fn ask(context: &Context, tenant: &Tenant) -> Option<Health> {
    let namespace = names::namespace(tenant);
    let uid = tenant.uid()?;
    let keys = keys::read(context, &uid, &namespace).await.ok()??;
    let told = health::ask(context, &namespace, &keys).await;
    if matches!(told, Err(HealthError::Unknown)) {
        context.forget_secrets(&uid);
    }
    told.ok()
}

/// What does not pass, without what was measured: a status that follows each request would never rest.
pub(super) fn trouble(gates: &Gates, health: &Health) -> Option<String> {
    let most_errors = gates.max_error_rate_percent.and_then(|most| u64::try_from(most).ok());
    if let Some(most) = most_errors
        && health.requests >= LEAST_REQUESTS
        && health.errors * 100 > most * health.requests
    {
        return Some(format!("more than {most} % of its requests failed"));
    }
    let most_ms = gates.max_p95_ms.and_then(|most| u64::try_from(most).ok());
    match (most_ms, health.p95_ms) {
        (Some(most), Some(p95)) if p95 > most && health.requests >= LEAST_REQUESTS => {
            Some(format!("more than 5 of a hundred requests take longer than {most} ms"))
        }
        _ => None,
    }
}
