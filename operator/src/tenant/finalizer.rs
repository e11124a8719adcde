//! The finalizer: while a Tenant has it, its object stays until everything of it is settled.

use kube::ResourceExt as _;
use serde_json::json;

use super::Context;
use crate::cluster::api::{Place, RequestError};
use crate::crd::Tenant;

const FINALIZER: &str = "cartera.dev/tenant";
/// Its own field manager: what it does not say any more goes.
const MANAGER: &str = "cartera-finalizer";

pub(super) async fn hold(context: &Context, tenant: &Tenant) -> Result<(), RequestError> {
    let is_there = tenant.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    if is_there || tenant.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    set(context, tenant, &[FINALIZER]).await
}

pub(super) async fn release(context: &Context, tenant: &Tenant) -> Result<(), RequestError> {
    match set(context, tenant, &[]).await {
        // It went with its last finalizer, and the answer was lost.
        Err(error) if matches!(error.code(), Some(404 | 409 | 422)) => Ok(()),
        done => done,
    }
}

async fn set(context: &Context, tenant: &Tenant, finalizers: &[&str]) -> Result<(), RequestError> {
    let object = json!({
        "apiVersion": "cartera.dev/v1alpha1",
        "kind": "Tenant",
        // The uid: not a tenant of the same name that came after it.
        "metadata": { "name": tenant.name_any(), "uid": tenant.uid(), "finalizers": finalizers },
    });
    let changed = context.cluster.apply(&Place::of(tenant), &object, MANAGER).await?;
    if let Ok(changed) = serde_json::from_value(changed) {
        context.index.put_tenant(changed);
    }
    Ok(())
}
