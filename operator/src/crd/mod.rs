//! The custom resources: types alone. What is said here is what `kubectl explain` says.
//!
//! A field stands here when it works, not before.

mod condition;
mod fleet_rollout;
mod plan;
mod platform_config;
mod quantity;
mod reference;
mod tenant;
mod tenant_status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt as _, ResourceExt as _};

pub use self::condition::{Condition, Truth};
pub use self::fleet_rollout::{
    Approval, FailureBudget, FleetRollout, FleetRolloutSpec, FleetRolloutStatus, Gates, LabelOperator,
    LabelRequirement, OnFailure, RolloutAim, RolloutChannel, RolloutCounts, RolloutFailure, RolloutState,
    TenantSelector, Wave,
};
pub use self::plan::{Entitlements, Limits, Plan, PlanResources, PlanSpec, PlanStatus, Resources};
pub use self::platform_config::{
    Channels, Day, Engine, Engines, Gateway, GatewayMode, IngressFrom, MaintenanceWindow, PlatformConfig,
    PlatformConfigSpec, PlatformConfigStatus, PlatformTls,
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

/// Counts up with every change of what the kinds hold: an operator does not work with definitions of a lower number.
pub const SCHEMA: u32 = 1;
/// Has that number, on each definition.
pub const SCHEMA_ANNOTATION: &str = "cartera.dev/schema";

/// What the value of a label may be. A map's bounds are said in words of JSON schema: a length is one of texts and lists.
fn label_value() -> serde_json::Value {
    serde_json::json!({ "type": "string", "maxLength": 63 })
}

/// All of them, as the API server wants to know them.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut all = vec![Tenant::crd(), Plan::crd(), PlatformConfig::crd(), FleetRollout::crd()];
    for definition in &mut all {
        definition.annotations_mut().insert(SCHEMA_ANNOTATION.to_owned(), SCHEMA.to_string());
    }
    all
}

#[cfg(test)]
mod tests;
