use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde_json::json;

use crate::cluster::api::{Place, RequestError};
use crate::crd::{FleetRollout, Tenant};
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
    let version = tenant.status.as_ref().and_then(|status| status.version.clone()).unwrap_or_default();
    let now = Timestamp::from_second(context.clock.now().as_second()).unwrap_or_default();
    let object = json!({
        "apiVersion": "cartera.dev/v1alpha1",
        "kind": "Tenant",
        // The uid: not a tenant of the same name that came after it.
        "metadata": { "name": tenant.name_any(), "uid": tenant.uid() },
        "status": { "version": {
            "target": image,
            "targetSince": Time(now),
            "previous": version.image,
            "rolloutRef": rollout.name_any(),
        } },
    });
    let changed = context.cluster.apply_status(&Place::of_tenant(tenant), &object, MANAGER).await?;
    if let Ok(changed) = serde_json::from_value(changed) {
        context.index.put_tenant(changed);
    }
    Ok(())
}
