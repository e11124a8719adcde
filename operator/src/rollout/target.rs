use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::cluster::api::{Place, RequestError};
use crate::cluster::conditions::{holds, whole_seconds};
use crate::crd::{Channel, FleetRollout, Tenant};
use crate::tenant::Context;

/// What roll-outs alone say of a tenant.
const MANAGER: &str = "cartera-rollout";

/// Gives a tenant an image; the tenant's own reconcile does the rest.
pub(super) async fn set(
    context: &Context,
    rollout: &FleetRollout,
    tenant: &Tenant,
    image: &str,
) -> Result<(), RequestError> {
    let status = tenant.status.clone().unwrap_or_default();
    let version = status.version.unwrap_or_default();
    // An image that never worked is none to go back to.
    let previous = if holds(&status.conditions, "Ready") { version.image } else { version.previous.or(version.image) };
    let version = json!({
        "target": image,
        "targetSince": whole_seconds(context.clock.now()),
        "previous": previous,
        "rolloutRef": rollout.name_any(),
    });
    say(context, tenant, &version).await
}

/// Takes back what roll-outs said of a tenant that was pinned: it went another way, and must not be moved there when it is let go.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn forget(context: &Context, tenant: &Tenant) -> Result<(), RequestError> {
    let version = tenant.status.as_ref().and_then(|status| status.version.as_ref());
    let is_told = version.is_some_and(|version| version.target.is_some());
    if is_told && tenant.spec.version.channel == Channel::Pinned {
        say(context, tenant, &json!({})).await
    } else {
        Ok(())
    }
}

async fn say(context: &Context, tenant: &Tenant, version: &Value) -> Result<(), RequestError> {
    let object = json!({
        "apiVersion": "cartera.dev/v1alpha1",
        "kind": "Tenant",
        // The uid: not a tenant of the same name that came after it.
        "metadata": { "name": tenant.name_any(), "uid": tenant.uid() },
        "status": { "version": version },
    });
    let changed = context.cluster.apply_status(&Place::of(tenant), &object, MANAGER).await?;
    if let Ok(changed) = serde_json::from_value(changed) {
        context.index.put_tenant(changed);
    }
    Ok(())
}
