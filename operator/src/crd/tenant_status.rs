use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;

/// How a tenant stands. Nothing here changes while nothing changes.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The namespace that holds everything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// Where people reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub url: Option<String>,
    /// Host names besides its own below the platform's domain that it has: none of them goes to another tenant while this one
    /// asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<String>,
    /// Which of the 64 shards it belongs to; one replica of the operator looks after each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 63))]
    pub shard: Option<i32>,
    /// The plan that its entitlements come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatusRef>,
    /// Modules and limits as the server was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlements: Option<EntitlementsStatus>,
    /// What runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionStatus>,
    /// Whether the server takes changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_state: Option<PowerState>,
    /// The database, as the server last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,
    /// Keys that the operator makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretsStatus>,
    /// What the operator would do, in the mode `Plan`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub planned_changes: Vec<PlannedChange>,
    /// The objects that were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// How far the deletion is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionStatus>,
    /// What is so and what is not, why, and what to do next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The plan that entitlements come from.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct PlanStatusRef {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its generation.
    pub revision: i64,
}

/// Modules and limits as the server was last told.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementsStatus {
    /// A digest of them.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Whether the server said that it obeys these.
    pub acked_by_server: bool,
}

/// What runs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// The version that the server says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub current: Option<String>,
    /// The image that it was last given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub image: Option<String>,
    /// The version of its database's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<i64>,
    /// The image that a roll-out gave it; not heeded where the version is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub target: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_since: Option<Time>,
    /// The image that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub previous: Option<String>,
    /// The roll-out that gave it the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rollout_ref: Option<String>,
}

/// Whether the server takes changes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PowerState {
    /// It takes changes.
    Awake,
    /// It shows everything and takes no changes.
    ReadOnly,
    /// It does not answer.
    Down,
}

/// The database, as the server last told.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// Its size, rounded up to 16 MiB so that it does not change with each record.
    pub size_bytes: i64,
    /// The size of the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<i64>,
}

/// Keys that the operator makes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretsStatus {
    /// How often they were made; the first time is 1.
    pub generation: i64,
    /// When they were last made.
    pub rotated_at: Option<Time>,
    /// When they will be made anew.
    pub next_at: Option<Time>,
    /// Whether the first administrator has chosen a password of her own; the one that was made for her is gone then.
    #[serde(default)]
    pub first_administrator_claimed: bool,
}

/// Something that the operator would do.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct PlannedChange {
    /// Make it, change it or take it away.
    pub op: Operation,
    /// The object's kind.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// The object's name.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// What would be done with an object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Operation {
    /// Made.
    Create,
    /// Changed.
    Update,
    /// Taken away.
    Delete,
}

/// The objects that were made.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Inventory {
    /// How many.
    pub count: i64,
    /// A digest of what they should be.
    #[schemars(length(max = 64))]
    pub digest: String,
}

/// How far a deletion is.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionStatus {
    /// What is being done.
    pub step: DeletionStep,
    /// What holds it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub blocked_reason: Option<String>,
}

/// A step of a deletion, in their order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum DeletionStep {
    /// It is protected: nothing is done.
    Protected,
    /// Requests reach it no longer.
    StopRouting,
    /// The server ends.
    StopServer,
    /// By policy, the volume is made to outlive its namespace.
    RetainVolume,
    /// The namespace goes, with all that is in it.
    DeleteNamespace,
}
