use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Quantity};

/// What a subscription includes: modules, limits, and the machine that it runs on.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "cartera.dev",
    version = "v1alpha1",
    kind = "Plan",
    namespaced,
    status = "PlanStatus",
    category = "cartera",
    doc = "What a subscription includes: modules, limits, and the machine that it runs on.",
    derive = "PartialEq",
    printcolumn(name = "Published", type_ = "boolean", json_path = ".spec.published"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".spec.entitlements.maxUsers"),
    printcolumn(name = "Storage", type_ = "string", json_path = ".spec.resources.storage"),
    printcolumn(name = "Tenants", type_ = "integer", json_path = ".status.tenants"),
    printcolumn(name = "Valid", type_ = "string", json_path = ".status.conditions[?(@.type=='Valid')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!oldSelf.spec.published || self.spec.published")
        .message("a published plan cannot be taken back: customers were sold it; make a new one that supersedes it")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!oldSelf.spec.published || self.spec.entitlements == oldSelf.spec.entitlements")
        .message("the entitlements of a published plan do not change: make a new plan that supersedes it")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!oldSelf.spec.published || self.spec.resources == oldSelf.spec.resources")
        .message("the resources of a published plan do not change: make a new plan that supersedes it")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(self.spec.supersedes) || self.spec.supersedes != self.metadata.name")
        .message("a plan cannot supersede itself")
        .reason(Reason::FieldValueInvalid)
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct PlanSpec {
    /// What people call it.
    #[schemars(length(min = 1, max = 80))]
    pub display_name: String,
    /// Whether it is sold. From then on entitlements and resources stay as they are; a change is a new plan.
    #[serde(default)]
    pub published: bool,
    /// The plan that this one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub supersedes: Option<String>,
    /// What tenants may use.
    pub entitlements: Entitlements,
    /// The machine that a tenant runs on.
    pub resources: PlanResources,
}

/// What tenants of a plan may use.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entitlements {
    /// Modules of the CRM that tenants may switch on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = r"^[a-z][a-z0-9_]*$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub modules: Vec<String>,
    /// People who may sign in; without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_users: Option<i64>,
    /// Devices that may be enrolled; without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_devices: Option<i64>,
}

/// The machine that tenants of a plan run on.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanResources {
    /// What a tenant's server is promised.
    pub requests: Resources,
    /// What a tenant's server may use at the most.
    pub limits: Limits,
    /// The largest volume that a tenant may ask for.
    pub storage: Quantity,
}

/// Processor and memory.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Resources {
    /// Processor time: 1 is one core, 100m a tenth of it.
    pub cpu: Quantity,
    /// Memory, such as 256Mi.
    pub memory: Quantity,
}

/// The most of processor and memory.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Limits {
    /// Processor time; without it a server may use what the machine has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory; a server that needs more is ended and started again.
    pub memory: Quantity,
}

/// How a plan stands.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many tenants name it.
    #[serde(default)]
    pub tenants: i64,
    /// `Valid`: it makes sense. `InUse`: tenants name it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
