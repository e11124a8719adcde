//! Third step, pure: the objects that a validated tenant gets. No client, no clock, no randomness: equal input, equal bytes.
//!
//! An operator of another version may build other pods. No server is restarted for that: only for what [`restart_digest`]
//! covers, which the tenant or its plan asked for.

mod access;
mod boundary;
mod configuration;
mod measurement;
mod network;
mod overrides;
mod route;
mod workload;

use serde_json::{Value, json};

use super::validate::Validated;
use crate::cluster::shards::shard_of;
use crate::cluster::{Kind, digest, labels, merge_patch, names};

pub use self::configuration::entitlements;
pub(super) use self::overrides::check as check_overrides;
pub use self::workload::restart_digest;

/// An object that a tenant gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; a namespace itself has none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What is applied, without [`labels::APPLIED_HASH`].
    pub object: Value,
}

impl Child {
    /// A digest of what is applied.
    #[must_use]
    pub fn hash(&self) -> String {
        digest(&self.object)
    }

    /// What is sent: the object and the digest of it.
    #[must_use]
    pub fn sealed(&self) -> Value {
        let mut object = self.object.clone();
        object["metadata"]["annotations"][labels::APPLIED_HASH] = self.hash().into();
        object
    }
}

/// Who the operator itself is, for the rights that it needs in each namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatorIdentity {
    /// The namespace of its ServiceAccount.
    pub namespace: String,
    /// The ServiceAccount.
    pub service_account: String,
}

/// Everything that a tenant gets, in the order in which it is made. `operator` is missing where it does not run as a pod.
#[must_use]
pub fn build(tenant: &Validated, operator: Option<&OperatorIdentity>) -> Vec<Child> {
    let mut children = vec![boundary::namespace(tenant)];
    children.extend(operator.map(|operator| access::role_binding(tenant, operator)));
    children.extend([boundary::quota(tenant), boundary::limits(tenant)]);
    children.extend(network::policies(tenant, operator));
    children.extend([
        access::service_account(tenant),
        configuration::configuration(tenant),
        configuration::entitlements_object(tenant),
        workload::claim(tenant),
        workload::service(tenant),
        workload::stateful_set(tenant),
    ]);
    children.extend(route::route(tenant));
    children.extend(route::certificates(tenant));
    if tenant.is_measured {
        children.extend([measurement::monitor(tenant), measurement::rules(tenant)]);
    }
    for child in &mut children {
        overrides::apply(&tenant.overrides, child);
    }
    children.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    children
}

/// An object of the tenant's namespace, with the labels that everything of it has.
fn child(tenant: &Validated, kind: Kind, name: &str, rest: &Value) -> Child {
    let namespace = (kind != Kind::Namespace).then(|| tenant.namespace.clone());
    let resource = kind.resource();
    let mut object = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": { "name": name, "labels": own_labels(tenant) },
    });
    if let Some(namespace) = &namespace {
        object["metadata"]["namespace"] = namespace.as_str().into();
    }
    merge_patch(&mut object, rest);
    Child { kind, namespace, name: name.to_owned(), object }
}

/// Labels of everything that belongs to a tenant.
#[must_use]
pub fn own_labels(tenant: &Validated) -> Value {
    json!({
        "app.kubernetes.io/name": names::SERVER,
        "app.kubernetes.io/instance": tenant.name,
        labels::MANAGED_BY: labels::OPERATOR,
        labels::TENANT: tenant.name,
        labels::TENANT_UID: tenant.uid,
        labels::SHARD: shard_of(&tenant.uid).to_string(),
    })
}

/// Selects the server's pod: within the namespace there is no other tenant's.
fn selector() -> Value {
    json!({ "app.kubernetes.io/name": names::SERVER, "app.kubernetes.io/component": "server" })
}

#[cfg(test)]
pub(super) mod tests;
