//! The end of a reconcile: what came of it goes into the status and, where something passed, into events.

use kube::ResourceExt as _;
use serde_json::json;

use super::apply::{self, ApplyError};
use super::build::Child;
use super::dereference::Dereferenced;
use super::health::{self, HealthError};
use super::keys::{self, Keys, rotation};
use super::server::Health;
use super::status::{self, Found};
use super::validate::{Refusal, Validated};
use super::{Context, Next, full_name, next};
use crate::cluster::api::{Place, RequestError};
use crate::cluster::conditions::holds;
use crate::cluster::owned::STATUS_MANAGER;
use crate::cluster::seen::Facts;
use crate::cluster::{Kind, events, names};
use crate::crd::{PlanStatusRef, PlannedChange, ReconcileMode, Tenant, TenantStatus};

/// What came of a reconcile.
#[derive(Default)]
pub(super) struct Outcome {
    wanted: Vec<Child>,
    keys: Option<Keys>,
    health: Option<Result<Health, String>>,
    error: Option<ApplyError>,
    planned: Option<Vec<PlannedChange>>,
    is_paused: bool,
}

impl Outcome {
    /// Nothing was done.
    pub(super) fn untouched(found: &Dereferenced) -> Self {
        Self { is_paused: found.tenant.spec.reconcile.mode == ReconcileMode::Paused, ..Self::default() }
    }

    /// It was found out what would be done.
    pub(super) async fn planned(context: &Context, tenant: &Validated, wanted: Vec<Child>) -> Self {
        let children = context.index.children(&tenant.uid);
        let keys = context.known_keys(&tenant.uid);
        let health = ask(context, tenant, keys.as_ref()).await;
        Self { planned: Some(apply::plan(&wanted, &children)), wanted, keys, health, ..Self::default() }
    }

    /// It was done, or it was tried.
    pub(super) async fn applied(context: &Context, tenant: &Tenant, validated: &Validated, wanted: Vec<Child>) -> Self {
        let every = rotation(&tenant.spec.secrets.rotate_every);
        let applied = match apply::apply(context, validated, &wanted, every).await {
            Ok(applied) => applied,
            Err(error) => return Self { wanted, error: Some(error), ..Self::default() },
        };
        if applied.changes > 0 {
            tracing::info!(tenant.name = full_name(tenant), object.changes = applied.changes, "applied");
        }
        let health = ask(context, validated, Some(&applied.keys)).await;
        let error = welcome(context, tenant, validated, health.as_ref()).await.err().map(ApplyError::from);
        Self { wanted, keys: Some(applied.keys), health, error, ..Self::default() }
    }
}

/// How the server is, where its pod takes requests.
async fn ask(context: &Context, tenant: &Validated, keys: Option<&Keys>) -> Option<Result<Health, String>> {
    let children = context.index.children(&tenant.uid);
    let pod = children.get(&(Kind::Pod, names::POD.to_owned()))?;
    if !matches!(pod.facts, Facts::Pod { is_ready: true, .. }) || pod.is_going {
        return None;
    }
    let answer = health::ask(context, &tenant.namespace, keys?).await;
    if matches!(answer, Err(HealthError::Unknown)) {
        // Somebody may have changed the Secret: read it again.
        context.forget_secrets(&tenant.uid);
    }
    Some(answer.map_err(|error| error.to_string()))
}

/// The first administrator's password is there until it was used.
async fn welcome(
    context: &Context,
    tenant: &Tenant,
    validated: &Validated,
    health: Option<&Result<Health, String>>,
) -> Result<(), RequestError> {
    let email = tenant.spec.customer.as_ref().and_then(|customer| customer.email.as_deref());
    let is_claimed = tenant
        .status
        .as_ref()
        .and_then(|status| status.secrets.as_ref())
        .is_some_and(|secrets| secrets.first_administrator_claimed);
    match (email, health) {
        (Some(_), Some(Ok(health))) if health.has_administrator && !is_claimed => {
            keys::withdraw_first_administrator(context, &validated.namespace).await
        }
        (Some(email), _) if !is_claimed => keys::offer_first_administrator(context, validated, email).await,
        _ => Ok(()),
    }
}

/// Writes what changed, and nothing if nothing did.
pub(super) async fn report(
    context: &Context,
    found: &Dereferenced,
    validated: Result<&Validated, &Refusal>,
    outcome: Outcome,
) -> Result<Next, RequestError> {
    let tenant = &found.tenant;
    let children = context.index.children(&tenant.uid().unwrap_or_default());
    let plan = found
        .plan
        .as_ref()
        .map(|plan| PlanStatusRef { name: plan.name_any(), revision: plan.metadata.generation.unwrap_or_default() });
    let findings = Found {
        validated,
        plan,
        wanted: &outcome.wanted,
        children: &children,
        keys: outcome.keys.as_ref(),
        rotate_every: rotation(&tenant.spec.secrets.rotate_every),
        health: outcome.health,
        failure: outcome.error.as_ref().map(failure),
        planned: outcome.planned,
        is_paused: outcome.is_paused,
    };
    let status = status::status(tenant, &findings, context.clock.now());
    write(context, tenant, &status).await?;
    match outcome.error {
        Some(ApplyError::Request(error)) => Err(error),
        _ => Ok(next(tenant, is_ready(&status))),
    }
}

fn is_ready(status: &TenantStatus) -> bool {
    holds(&status.conditions, "Ready")
}

fn failure(error: &ApplyError) -> (&'static str, String) {
    match error {
        ApplyError::NamespaceTaken(_) => ("NamespaceTaken", error.to_string()),
        ApplyError::NamespaceGoing(_) => ("NamespaceTerminating", error.to_string()),
        ApplyError::Request(request) => {
            let reason = match request.code() {
                Some(403) => "Forbidden",
                Some(422 | 400) => "Refused",
                Some(_) => "ApiServerError",
                None => "ApiServerUnreachable",
            };
            (reason, format!("{request}: {}; it is tried again", request.said()))
        }
    }
}

/// Writes a status that differs from what is there, and tells what passed.
pub(super) async fn write(context: &Context, tenant: &Tenant, status: &TenantStatus) -> Result<(), RequestError> {
    let before = tenant.status.clone().unwrap_or_default();
    if before == *status {
        return Ok(());
    }
    let mut own = status.clone();
    if let Some(version) = &mut own.version {
        // What roll-outs say is theirs: what was read a moment ago must not be put over it.
        (version.target, version.target_since, version.previous, version.rollout_ref) = (None, None, None, None);
    }
    let object = json!({
        "apiVersion": "cartera.dev/v1alpha1",
        "kind": "Tenant",
        "metadata": { "name": tenant.name_any(), "uid": tenant.uid() },
        "status": own,
    });
    // Told first: if the status were there first, an event that failed would never be told.
    for passage in events::passages(&before.conditions, &status.conditions) {
        if let Err(error) = events::tell(&context.cluster, tenant, passage, &status.conditions).await {
            tracing::warn!(tenant.name = full_name(tenant), error = %error, "could not tell an event");
        }
    }
    let written = context.cluster.apply_status(&Place::of(tenant), &object, STATUS_MANAGER).await?;
    if let Ok(written) = serde_json::from_value(written) {
        context.index.put_tenant(written);
    }
    Ok(())
}
