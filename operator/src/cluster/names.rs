//! Names of what a tenant gets. They follow from the tenant alone: a request that is repeated meets what it made before.

use kube::ResourceExt as _;

use crate::crd::Tenant;

/// The server's StatefulSet, Service and route.
pub const SERVER: &str = "cartera";
/// The server's only pod.
pub const POD: &str = "cartera-0";
/// The volume's claim.
pub const CLAIM: &str = "cartera-data";
/// The rendered configuration.
pub const CONFIGURATION: &str = "cartera-configuration";
/// Modules and limits.
pub const ENTITLEMENTS: &str = "cartera-entitlements";
/// What operator and server know each other by.
pub const INTERNAL: &str = "cartera-internal";
/// The first administrator's address and password.
pub const FIRST_ADMINISTRATOR: &str = "cartera-first-administrator";
/// What gives the operator its rights in the tenant's namespace, and the ClusterRole that says which.
pub const TENANT_ACCESS: &str = "cartera-tenant-access";

/// The namespace of a tenant: its name, and enough of its uid that a tenant of the same name never meets another's data.
#[must_use]
pub fn namespace(tenant: &Tenant) -> String {
    let uid = tenant.uid().unwrap_or_default();
    format!("t-{}-{}", tenant.name_any(), uid.get(..6).unwrap_or_default())
}
