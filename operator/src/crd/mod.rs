//! The custom resources: types alone. What is said here is what `kubectl explain` says.
//!
//! A field stands here when it works, not before.

mod condition;
mod plan;
mod platform_config;
mod quantity;
mod reference;
mod tenant;
mod tenant_status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

pub use self::condition::{Condition, Truth};
pub use self::plan::{Entitlements, Limits, Plan, PlanResources, PlanSpec, PlanStatus, Resources};
pub use self::platform_config::{
    Channels, Engine, Engines, Gateway, GatewayMode, IngressFrom, PlatformConfig, PlatformConfigSpec,
    PlatformConfigStatus, PlatformTls,
};
pub use self::quantity::{NoQuantity, Quantity};
pub use self::reference::{NameRef, ParentRef};
pub use self::tenant::{
    Channel, CustomDomain, Customer, Database, DatabaseEngine, Deletion, DeletionPolicy, DomainTls, Egress, EgressPort,
    Isolation, IsolationMode, Override, OverrideKind, Power, Protocol, Quota, Reconcile, ReconcileMode, Routing,
    Secrets, Storage, Subscription, Tenant, TenantSpec, Toleration, TolerationOperator, Version,
};
pub use self::tenant_status::{
    DatabaseStatus, DeletionStatus, DeletionStep, EntitlementsStatus, Inventory, Operation, PlanStatusRef,
    PlannedChange, PowerState, SecretsStatus, TenantStatus, VersionStatus,
};

/// The group of all of them.
pub const GROUP: &str = "cartera.dev";

/// All of them, as the API server wants to know them.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![Tenant::crd(), Plan::crd(), PlatformConfig::crd()]
}

#[cfg(test)]
mod tests;
