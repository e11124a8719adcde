//! Fifth step, pure: what is said of a tenant, from what was found. The same findings give the same bytes.

mod findings;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::build::{Child, entitlements};
use super::dereference::asked_hosts;
use super::keys::Keys;
use super::server::{Health, ServerPower, sha256};
use super::validate::{Refusal, Route, Validated};
use crate::cluster::conditions::{settle, whole_seconds};
use crate::cluster::index::Children;
use crate::cluster::seen::Facts;
use crate::cluster::shards::shard_of;
use crate::cluster::{Kind, digest, names};
use crate::crd::{
    DatabaseStatus, DeletionStatus, DeletionStep, EntitlementsStatus, Inventory, PlanStatusRef, PlannedChange,
    PowerState, Quantity, SecretsStatus, Tenant, TenantStatus, VersionStatus,
};

/// Sizes are told in steps of this: a status that follows each record would never rest.
const SIZE_STEP_BYTES: i64 = 16 << 20;
/// As many planned changes are told as the schema allows.
const MOST_PLANNED: usize = 50;

/// What one reconcile found.
pub struct Found<'a> {
    /// What was validated, or why nothing was.
    pub validated: Result<&'a Validated, &'a Refusal>,
    /// The plan's name and generation.
    pub plan: Option<PlanStatusRef>,
    /// What was built.
    pub wanted: &'a [Child],
    /// What there is now.
    pub children: &'a Children,
    /// The keys, where they are known.
    pub keys: Option<&'a Keys>,
    /// How often keys are made anew.
    pub rotate_every: Duration,
    /// How the server says it is, where its pod is ready.
    pub health: Option<Result<Health, String>>,
    /// Why applying stopped: a reason and a message.
    pub failure: Option<(&'static str, String)>,
    /// What would be done, in the mode `Plan`.
    pub planned: Option<Vec<PlannedChange>>,
    /// Nothing is done, by request.
    pub is_paused: bool,
}

/// The status that follows.
#[must_use]
pub fn status(tenant: &Tenant, found: &Found, now: Timestamp) -> TenantStatus {
    let before = tenant.status.clone().unwrap_or_default();
    let generation = tenant.metadata.generation;
    let findings = findings::findings(tenant, found);
    let health = found.health.as_ref().and_then(|health| health.as_ref().ok());
    let validated = found.validated.ok();
    let planned = found.planned.clone().unwrap_or_default();
    let version = before.version.unwrap_or_default();
    TenantStatus {
        observed_generation: generation,
        namespace: Some(names::namespace(tenant)),
        url: validated.map(url).or(before.url),
        hostnames: hostnames(tenant, validated, before.hostnames),
        shard: tenant.uid().map(|uid| i32::try_from(shard_of(&uid)).unwrap_or_default()),
        plan: found.plan.clone().or(before.plan),
        entitlements: validated.map(|validated| entitled(validated, health)).or(before.entitlements),
        version: Some(VersionStatus {
            current: health.map(|health| health.version.clone()).or(version.current),
            image: validated
                .filter(|_| found.planned.is_none() && found.failure.is_none() && !found.is_paused)
                .map(|validated| validated.image.clone())
                .or(version.image),
            schema_version: health.map(|health| health.schema_version).or(version.schema_version),
            target: version.target,
            target_since: version.target_since,
            previous: version.previous,
            rollout_ref: version.rollout_ref,
        }),
        power_state: Some(power(health)),
        database: database(found, health).or(before.database),
        secrets: found
            .keys
            .map(|keys| secrets(keys, found.rotate_every, is_claimed(before.secrets.as_ref(), health)))
            .or(before.secrets),
        planned_changes: planned.into_iter().take(MOST_PLANNED).collect(),
        inventory: validated.map(|_| inventory(found.wanted)).or(before.inventory),
        deletion: is_held(tenant).then_some(DeletionStatus { step: DeletionStep::Protected, blocked_reason: None }),
        conditions: settle(&before.conditions, &findings, generation, now),
    }
}

fn url(tenant: &Validated) -> String {
    let is_secure = tenant.route != Route::None;
    if is_secure {
        format!("https://{}", tenant.host)
    } else {
        format!("http://{}.{}.svc", names::SERVER, tenant.namespace)
    }
}

/// One whose request is refused keeps what it has and still asks for.
fn hostnames(tenant: &Tenant, validated: Option<&Validated>, before: Vec<String>) -> Vec<String> {
    let asked = asked_hosts(tenant);
    let mut has = validated.map_or(before, |validated| validated.hosts.clone());
    has.retain(|host| asked.contains(&host.as_str()));
    has
}

fn entitled(tenant: &Validated, health: Option<&Health>) -> EntitlementsStatus {
    let wanted = sha256(&entitlements(tenant));
    let acked_by_server = health.and_then(|health| health.entitlements_sha256.as_ref()) == Some(&wanted);
    EntitlementsStatus { digest: wanted, acked_by_server }
}

fn power(health: Option<&Health>) -> PowerState {
    match health.map(|health| health.power) {
        Some(ServerPower::Running) => PowerState::Awake,
        Some(ServerPower::ReadOnly) => PowerState::ReadOnly,
        None => PowerState::Down,
    }
}

fn database(found: &Found, health: Option<&Health>) -> Option<DatabaseStatus> {
    let health = health?;
    let steps = health.database_bytes.max(1).div_euclid(SIZE_STEP_BYTES) + 1;
    let capacity = found.children.get(&(Kind::PersistentVolumeClaim, names::CLAIM.to_owned())).and_then(|seen| {
        match &seen.facts {
            Facts::Claim { capacity, .. } => Quantity(capacity.as_deref()?.to_owned()).thousandths().ok(),
            _ => None,
        }
    });
    Some(DatabaseStatus {
        size_bytes: steps * SIZE_STEP_BYTES,
        storage_bytes: capacity.and_then(|thousandths| i64::try_from(thousandths / 1_000).ok()),
    })
}

/// Once it was used it is never made again, whatever a server says later.
fn is_claimed(before: Option<&SecretsStatus>, health: Option<&Health>) -> bool {
    before.is_some_and(|secrets| secrets.first_administrator_claimed)
        || health.is_some_and(|health| health.has_administrator)
}

fn secrets(keys: &Keys, every: Duration, first_administrator_claimed: bool) -> SecretsStatus {
    let whole = |time| Some(whole_seconds(time));
    SecretsStatus {
        generation: keys.generation,
        rotated_at: whole(keys.rotated_at),
        next_at: whole(keys.rotated_at + every),
        first_administrator_claimed,
    }
}

fn inventory(wanted: &[Child]) -> Inventory {
    let hashes: Vec<String> = wanted.iter().map(Child::hash).collect();
    Inventory { count: i64::try_from(wanted.len()).unwrap_or_default(), digest: digest(&hashes) }
}

/// Somebody deleted it, and it is protected.
#[must_use]
pub fn is_held(tenant: &Tenant) -> bool {
    tenant.metadata.deletion_timestamp.is_some() && tenant.spec.deletion.protected
}

#[cfg(test)]
mod tests;
