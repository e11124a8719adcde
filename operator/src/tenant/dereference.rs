//! First step: everything that a tenant refers to, found in what was last seen of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
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
    /// Host names that this tenant asks for and another holds, and who does.
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
        held_hosts: held_by_others(&tenant, index),
        tenant,
    }
}

/// A host name stays with the tenant that has it; one that nobody has yet goes to the oldest that asks.
fn held_by_others(tenant: &Tenant, index: &Index) -> BTreeMap<String, String> {
    let own = asked_hosts(tenant);
    if own.is_empty() {
        return BTreeMap::new();
    }
    let mut held = BTreeMap::new();
    for other in index.tenants().iter().filter(|other| other.uid() != tenant.uid()) {
        let shared = asked_hosts(other).into_iter().filter(|host| own.contains(host));
        let lost = shared.filter(|host| claim(other, host) < claim(tenant, host));
        held.extend(lost.map(|host| (host.to_owned(), other.name_any())));
    }
    held
}

/// The lesser one counts. Tenants may be of the same second, and their uids say nothing of who was first: they only have
/// everybody decide alike.
fn claim(tenant: &Tenant, host: &str) -> (bool, Option<Timestamp>, Option<String>) {
    let has = tenant.status.as_ref().is_some_and(|status| status.hostnames.iter().any(|had| had == host));
    (!has, tenant.creation_timestamp().map(|time| time.0), tenant.uid())
}

/// The host names that a tenant asks for besides its own.
pub(super) fn asked_hosts(tenant: &Tenant) -> Vec<&str> {
    let routing = &tenant.spec.routing;
    let custom = routing.custom_domains.iter().map(|domain| domain.host.as_str());
    routing.hostnames.iter().map(String::as_str).chain(custom).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tenant::fixture;

    const HOST: &str = "crm.acme.example";

    fn asking(name: &str, uid: &str, created: &str, status: &Value) -> Tenant {
        fixture::tenant(&json!({
            "metadata": { "name": name, "uid": uid, "creationTimestamp": created },
            "spec": { "routing": { "customDomains": [{ "host": HOST }] } },
            "status": status,
        }))
    }

    /// Who, of these, may not have it; and who does.
    fn refused(tenants: &[Tenant]) -> Vec<(String, String)> {
        let index = Index::default();
        for tenant in tenants {
            index.put_tenant(tenant.clone());
        }
        let held = |tenant: &Tenant| Some((tenant.name_any(), held_by_others(tenant, &index).remove(HOST)?));
        tenants.iter().filter_map(held).collect()
    }

    #[test]
    fn a_host_name_goes_to_the_oldest_and_then_stays_where_it_is() {
        let (early, late) = ("2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z");
        let has = json!({ "hostnames": [HOST] });
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let asked = [asking("old", "b", early, &json!({})), asking("new", "a", late, &json!({}))];
        assert_eq!(refused(&asked), [pair("new", "old")]);
        let had = [asking("old", "b", early, &json!({})), asking("new", "a", late, &has)];
        assert_eq!(refused(&had), [pair("old", "new")], "who is older and asks later takes it from nobody");
        let same_second = [asking("first", "b", early, &has), asking("second", "a", early, &json!({}))];
        assert_eq!(refused(&same_second), [pair("second", "first")]);
    }
}
