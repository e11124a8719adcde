//! The end of a tenant, in order. Each step finds out in the cluster how far the one before it is, so an operator that was
//! killed goes on where it was.
//!
//! A final backup comes in between when there are backups; until then the policy `Retain` is what is offered, and it keeps
//! the volume.

mod volume;

use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::json;

use super::{Context, Next, finalizer, report};
use crate::cluster::api::{Place, RequestError};
use crate::cluster::conditions::{Finding, settle};
use crate::cluster::index::Children;
use crate::cluster::owned::MANAGER;
use crate::cluster::seen::Facts;
use crate::cluster::shards::shard_of;
use crate::cluster::{Kind, labels, names};
use crate::crd::{DeletionPolicy, DeletionStatus, DeletionStep, PowerState, Tenant};

/// How soon it is looked again whether something is gone.
const SOON: Duration = Duration::from_secs(5);

/// Takes the next step that is left.
///
/// # Errors
/// When the API server refused something or did not answer.
pub async fn proceed(context: &Context, tenant: &Tenant) -> Result<Next, RequestError> {
    let uid = tenant.uid().unwrap_or_default();
    let namespace = names::namespace(tenant);
    let children = context.index.children(&uid);
    let is_known = children.contains_key(&(Kind::Namespace, namespace.clone()));
    if !is_known && is_gone(context, &uid, &namespace).await? {
        finalizer::release(context, tenant).await?;
        context.forget_secrets(&uid);
        return Ok(Next::WhenChanged);
    }
    if gone(context, &namespace, &children, &[Kind::HTTPRoute, Kind::Ingress, Kind::Certificate]).await? > 0 {
        return wait(context, tenant, DeletionStep::StopRouting, None).await;
    }
    let servers = gone(context, &namespace, &children, &[Kind::StatefulSet]).await?;
    if servers > 0 || children.keys().any(|(kind, _)| *kind == Kind::Pod) {
        return wait(context, tenant, DeletionStep::StopServer, None).await;
    }
    if !context.fence.still_leads(shard_of(&uid)).await.map_err(|source| unfenced(tenant, source))? {
        return Ok(Next::WhenChanged);
    }
    if tenant.spec.deletion.policy == DeletionPolicy::Retain
        && let Some(held) = volume::retain(context, tenant, &children).await?
    {
        return wait(context, tenant, DeletionStep::RetainVolume, Some(held)).await;
    }
    delete_namespace(context, &namespace, &children).await?;
    let held = children.get(&(Kind::Namespace, namespace)).and_then(|seen| match &seen.facts {
        Facts::Namespace { held_by } => held_by.as_deref().map(str::to_owned),
        _ => None,
    });
    wait(context, tenant, DeletionStep::DeleteNamespace, held).await
}

fn unfenced(tenant: &Tenant, source: kube::Error) -> RequestError {
    RequestError {
        action: "find out whether this replica still leads",
        what: tenant.name_any(),
        source: Box::new(source),
    }
}

/// Not seen is not gone: it is asked for once, before the object that remembers it goes. One that is somebody else's by that
/// name is left alone.
async fn is_gone(context: &Context, uid: &str, namespace: &str) -> Result<bool, RequestError> {
    let place = Place::new(Kind::Namespace.resource(), None, namespace);
    let Some(there) = context.cluster.get(&place).await? else { return Ok(true) };
    Ok(context.index.put_child(Kind::Namespace, &there).as_deref() != Some(uid))
}

/// Deletes what there is of these kinds; how many are still there.
async fn gone(context: &Context, namespace: &str, children: &Children, kinds: &[Kind]) -> Result<usize, RequestError> {
    let mut left = 0;
    for ((kind, name), seen) in children.iter().filter(|((kind, _), _)| kinds.contains(kind)) {
        left += 1;
        if !seen.is_going {
            let place = Place::new(kind.resource(), Some(namespace), name);
            context.cluster.delete(&place, &seen.uid).await?;
        }
    }
    Ok(left)
}

/// The claim first: it is what is protected, and what the namespace would take along. Nothing is left to do once the
/// namespace goes, and the operator has no rights in it any more.
async fn delete_namespace(context: &Context, namespace: &str, children: &Children) -> Result<(), RequestError> {
    let of = |kind, name: &str| children.get(&(kind, name.to_owned())).filter(|seen| !seen.is_going);
    if of(Kind::Namespace, namespace).is_none() {
        return Ok(());
    }
    let allowed = json!({ "metadata": { "labels": { labels::ALLOW_DELETION: "true" } } });
    if of(Kind::PersistentVolumeClaim, names::CLAIM).is_some() {
        let claim = Place::new(Kind::PersistentVolumeClaim.resource(), Some(namespace), names::CLAIM);
        context.cluster.merge(&claim, &allowed, MANAGER).await?;
    }
    if let Some(seen) = of(Kind::Namespace, namespace) {
        let place = Place::new(Kind::Namespace.resource(), None, namespace);
        context.cluster.merge(&place, &allowed, MANAGER).await?;
        context.cluster.delete(&place, &seen.uid).await?;
    }
    Ok(())
}

async fn wait(
    context: &Context,
    tenant: &Tenant,
    step: DeletionStep,
    held: Option<String>,
) -> Result<Next, RequestError> {
    let mut status = tenant.status.clone().unwrap_or_default();
    let ready = Finding::no("Ready", "Deleting", format!("it is being deleted: {}", said(step)));
    let blocked = match &held {
        Some(held) => Finding::yes("DeletionBlocked", "Held", format!("{}, and is held up: {held}", said(step))),
        None => Finding::no("DeletionBlocked", "No", "nothing holds up the deletion"),
    };
    let settled = settle(&status.conditions, &[ready, blocked], tenant.metadata.generation, context.clock.now());
    status.conditions.retain(|condition| settled.iter().all(|new| new.kind != condition.kind));
    status.conditions.extend(settled);
    status.conditions.sort_by(|one, other| one.kind.cmp(&other.kind));
    status.power_state = Some(PowerState::Down);
    status.deletion = Some(DeletionStatus { step, blocked_reason: held });
    report::write(context, tenant, &status).await?;
    Ok(Next::After(SOON))
}

const fn said(step: DeletionStep) -> &'static str {
    match step {
        DeletionStep::Protected => "it is protected",
        DeletionStep::StopRouting => "requests reach it no longer",
        DeletionStep::StopServer => "the server ends",
        DeletionStep::RetainVolume => "the volume is made to stay",
        DeletionStep::DeleteNamespace => "the namespace goes",
    }
}
