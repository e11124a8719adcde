//! A volume that outlives its namespace.

use kube::ResourceExt as _;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::super::Context;
use crate::cluster::api::{Place, RequestError};
use crate::cluster::index::Children;
use crate::cluster::owned::MANAGER;
use crate::cluster::seen::Facts;
use crate::cluster::{Kind, labels, names};
use crate::crd::Tenant;

/// Makes the tenant's volume stay when its claim goes. Nothing: it stays, or there is none; else what holds that up.
///
/// # Errors
/// When the API server refused something or did not answer.
pub async fn retain(context: &Context, tenant: &Tenant, children: &Children) -> Result<Option<String>, RequestError> {
    let claim = children.get(&(Kind::PersistentVolumeClaim, names::CLAIM.to_owned()));
    let Some(Facts::Claim { is_bound: true, volume: Some(volume), .. }) = claim.map(|seen| &seen.facts) else {
        // A claim that never got a volume has no data.
        return Ok(None);
    };
    let place = Place::new(ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "PersistentVolume")), None, volume);
    let Some(found) = context.cluster.get(&place).await? else {
        return Ok(Some(format!(
            "the volume {volume} of the claim is not there: find out where the data is, and set deletion.policy to Purge if it is lost"
        )));
    };
    if found["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        && found["metadata"]["labels"][labels::TENANT_UID] == *tenant.uid().unwrap_or_default()
    {
        return Ok(None);
    }
    let patch = json!({
        "metadata": {
            "labels": { labels::TENANT: tenant.name_any(), labels::TENANT_UID: tenant.uid() },
            "annotations": { labels::RETAINED_FROM: super::super::full_name(tenant) },
        },
        "spec": { "persistentVolumeReclaimPolicy": "Retain" },
    });
    context.cluster.merge(&place, &patch, MANAGER).await?;
    Ok(None)
}
