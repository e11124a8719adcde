//! First step: everything that a tenant refers to, found in what was last seen of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;

use crate::cluster::capabilities::Capabilities;
use crate::cluster::index::{Children, Index};
use crate::crd::{Plan, PlatformConfig, Tenant};

/// A tenant and everything that it refers to.
#[derive(Clone, Debug)]
pub struct Dereferenced {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// Its plan, where there is one by that name.
    pub plan: Option<Arc<Plan>>,
    /// What all tenants have in common, where somebody has said it.
    pub platform: Option<Arc<PlatformConfig>>,
    /// What the cluster can do.
    pub capabilities: Capabilities,
    /// What was made for it so far.
    pub children: Children,
    /// Host names that older tenants hold, and who does.
    pub held_hosts: BTreeMap<String, String>,
}

/// Gathers it. Nothing is asked of the API server.
#[must_use]
pub fn dereference(tenant: Arc<Tenant>, index: &Index, capabilities: Capabilities) -> Dereferenced {
    let uid = tenant.uid().unwrap_or_default();
    Dereferenced {
        plan: index.plan(&tenant.spec.subscription.plan_ref.name),
        platform: index.platform(),
        capabilities,
        children: index.children(&uid),
        held_hosts: held_by_older(&tenant, index),
        tenant,
    }
}

/// A host name belongs to the oldest tenant that asks for it: nobody loses one to a newcomer.
fn held_by_older(tenant: &Tenant, index: &Index) -> BTreeMap<String, String> {
    let own = asked_hosts(tenant);
    if own.is_empty() {
        return BTreeMap::new();
    }
    let age = |tenant: &Tenant| (tenant.creation_timestamp().map(|time| time.0), tenant.uid());
    let mut held = BTreeMap::new();
    for other in index.tenants() {
        if other.uid() != tenant.uid() && age(&other) < age(tenant) {
            let shared = asked_hosts(&other).into_iter().filter(|host| own.contains(host));
            held.extend(shared.map(|host| (host.to_owned(), other.name_any())));
        }
    }
    held
}

fn asked_hosts(tenant: &Tenant) -> Vec<&str> {
    let routing = &tenant.spec.routing;
    let custom = routing.custom_domains.iter().map(|domain| domain.host.as_str());
    routing.hostnames.iter().map(String::as_str).chain(custom).collect()
}
