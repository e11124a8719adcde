//! The volume of a tenant, which may outlive it.

use cartera_operator::cluster::names;
use cartera_operator::crd::Tenant;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Client;
use kube::api::Api;

use super::running::namespace;

/// The claims of a tenant.
pub fn claims(client: &Client, tenant: &Tenant) -> Api<PersistentVolumeClaim> {
    Api::namespaced(client.clone(), &namespace(tenant))
}

/// The volume that a tenant's claim is bound to.
pub async fn volume_of(client: &Client, tenant: &Tenant) -> String {
    let claim = claims(client, tenant).get(names::CLAIM).await.expect("a claim");
    claim.spec.and_then(|spec| spec.volume_name).expect("a bound claim")
}

/// What becomes of a volume when its claim goes; nothing where it has gone.
pub async fn reclaim_policy(client: &Client, volume: &str) -> Option<String> {
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    volumes.get_opt(volume).await.expect("an answer")?.spec?.persistent_volume_reclaim_policy
}
