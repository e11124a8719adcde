//! What a server says of itself after it was brought to the image.

use futures_util::StreamExt as _;
use kube::ResourceExt as _;

use super::progress::{Progress, Standing};
use crate::cluster::names;
use crate::crd::{FleetRollout, Gates, Tenant};
use crate::tenant::server::Health;
use crate::tenant::{Context, health, keys};

/// Servers that are asked at a time.
const TOGETHER: usize = 16;
/// A share of fewer requests than these says nothing.
const LEAST_REQUESTS: u64 = 20;

/// Asks the servers that are done, where the roll-out has gates that only they can answer. One that does not answer is
/// judged by its readiness alone.
pub(super) async fn pass(context: &Context, rollout: &FleetRollout, standings: Vec<Standing>) -> Vec<Standing> {
    let gates = &rollout.spec.gates;
    if gates.max_error_rate_percent.is_none() && gates.max_p95_ms.is_none() {
        return standings;
    }
    futures_util::stream::iter(standings)
        .map(|standing| async move {
            if standing.progress != Progress::Updated {
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
    let keys = keys::read(context, &tenant.uid()?, &namespace).await.ok()??;
    health::ask(context, &namespace, &keys).await.ok()
}

/// What does not pass.
pub(super) fn trouble(gates: &Gates, health: &Health) -> Option<String> {
    let most_errors = gates.max_error_rate_percent.and_then(|most| u64::try_from(most).ok());
    if let Some(most) = most_errors
        && health.requests >= LEAST_REQUESTS
        && health.errors * 100 > most * health.requests
    {
        let (errors, requests) = (health.errors, health.requests);
        return Some(format!("{errors} of {requests} requests failed, more than {most} %"));
    }
    let most_ms = gates.max_p95_ms.and_then(|most| u64::try_from(most).ok());
    match (most_ms, health.p95_ms) {
        (Some(most), Some(p95)) if p95 > most => {
            Some(format!("95 of a hundred requests take up to {p95} ms, more than {most} ms"))
        }
        _ => None,
    }
}
