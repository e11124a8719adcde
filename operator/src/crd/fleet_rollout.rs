use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;

/// Brings tenants to another image, in waves.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "cartera.dev",
    version = "v1alpha1",
    kind = "FleetRollout",
    namespaced,
    status = "FleetRolloutStatus",
    shortname = "fr",
    category = "cartera",
    doc = "Brings tenants to another image, in waves. It touches no Tenant's spec: it says in their status which image is theirs.",
    derive = "PartialEq",
    printcolumn(name = "To", type_ = "string", json_path = ".spec.to.channel"),
    printcolumn(name = "Wave", type_ = "string", json_path = ".status.wave"),
    printcolumn(name = "Total", type_ = "integer", json_path = ".status.counts.total"),
    printcolumn(name = "Updated", type_ = "integer", json_path = ".status.counts.updated"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.counts.failed"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image", priority = 1),
    validation = Rule::new("self.spec.to == oldSelf.spec.to && (has(self.spec.selector) == has(oldSelf.spec.selector)) && (!has(self.spec.selector) || self.spec.selector == oldSelf.spec.selector)")
        .message("a roll-out keeps its aim and its tenants: make another one, which takes over from this")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.spec.waves.map(wave, wave.name) == oldSelf.spec.waves.map(wave, wave.name)")
        .message("waves are neither added, taken away nor called otherwise while a roll-out runs: make another one")
        .reason(Reason::FieldValueForbidden)
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct FleetRolloutSpec {
    /// What tenants are brought to.
    pub to: RolloutAim,
    /// Which tenants take part. Without it, all that follow the channel; with `to.image`, all that follow any channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<TenantSelector>,
    /// One after the other; each takes of what those before it left.
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub waves: Vec<Wave>,
    /// How many tenants are under way at a time.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 1_000))]
    pub max_in_flight: i32,
    /// Whether tenants are restarted only within the maintenance windows of the PlatformConfig.
    #[serde(default = "yes")]
    pub respect_windows: bool,
    /// What a tenant must be like afterwards.
    #[serde(default)]
    pub gates: Gates,
    /// What is done when too many have failed.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// How many may fail before it stops.
    #[serde(default)]
    pub failure_budget: FailureBudget,
    /// Whether it stands still: nothing new is begun.
    #[serde(default)]
    pub paused: bool,
}

fn twenty() -> i32 {
    20
}

fn yes() -> bool {
    true
}

/// What tenants are brought to.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.channel) != has(self.image)")
        .message("name either to.channel or to.image")
        .reason(Reason::FieldValueInvalid)
)]
pub struct RolloutAim {
    /// The image that this channel stands for when the roll-out begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<RolloutChannel>,
    /// An image by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^[^@\s]+@sha256:[a-f0-9]{64}$"))]
    pub image: Option<String>,
    /// The version that a database's schema must have afterwards, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub schema_version: Option<i64>,
}

/// A channel that tenants follow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RolloutChannel {
    /// What most tenants run.
    Stable,
    /// What is tried first.
    Canary,
}

/// Tenants by their labels; all of what it says must hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantSelector {
    /// Labels with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = super::label_value()))]
    pub match_labels: BTreeMap<String, String>,
    /// Labels with one of several values, or with none of them, or there at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub match_expressions: Vec<LabelRequirement>,
}

/// What a label must be like.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct LabelRequirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it is compared.
    pub operator: LabelOperator,
    /// With what, for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum LabelOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// A part of the tenants.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("[has(self.selector), has(self.percent), has(self.count)].filter(said, said).size() <= 1")
        .message("a wave has a selector, a percent or a count, or none of them and takes all that are left")
        .reason(Reason::FieldValueInvalid)
)]
pub struct Wave {
    /// What it is called.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Tenants of these labels. Without it, `percent` and `count`, all that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<TenantSelector>,
    /// This share of all tenants of the roll-out, rounded up, by their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub percent: Option<i32>,
    /// So many tenants, by their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub count: Option<i32>,
    /// How long its tenants are watched before the next wave begins, such as 30m.
    #[serde(default = "half_an_hour")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"))]
    pub soak: String,
    /// Whether somebody has to let it begin.
    #[serde(default)]
    pub approval: Approval,
}

fn half_an_hour() -> String {
    "30m".to_owned()
}

/// Whether somebody has to let a wave begin.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Approval {
    /// It begins by itself.
    #[default]
    Auto,
    /// It begins once the annotation `cartera.dev/approved-wave` of the roll-out has its name.
    Manual,
}

/// What a tenant must be like after it was brought to the image. One that is not has failed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gates {
    /// How soon it must be ready again.
    #[serde(default = "five_minutes")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"))]
    pub ready_within: String,
    /// The most of a hundred requests that its server may have failed to answer since it started (5xx).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_error_rate_percent: Option<i32>,
    /// The most milliseconds that 95 of a hundred requests may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60_000))]
    pub max_p95_ms: Option<i32>,
}

fn five_minutes() -> String {
    "5m".to_owned()
}

impl Default for Gates {
    fn default() -> Self {
        Self { ready_within: five_minutes(), max_error_rate_percent: None, max_p95_ms: None }
    }
}

/// What is done when too many tenants have failed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OnFailure {
    /// Nothing new is begun.
    #[default]
    Pause,
    /// The same, and the tenants of the wave get the image back that they had. A server refuses to start on a database that a
    /// later one has changed.
    RollbackWave,
}

/// How many tenants may fail before the roll-out stops.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct FailureBudget {
    /// At so many failed tenants it stops.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    pub count: i32,
    /// At this share of all its tenants, where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub percent: Option<i32>,
}

fn one() -> i32 {
    1
}

impl Default for FailureBudget {
    fn default() -> Self {
        Self { count: one(), percent: None }
    }
}

/// How far a roll-out is.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetRolloutStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The image that tenants are brought to. It stays, whatever the channel stands for later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub image: Option<String>,
    /// The wave that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub wave: Option<String>,
    /// Since when all of that wave are done and watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soaking_since: Option<Time>,
    /// What it is doing, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RolloutState>,
    /// How many tenants are how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<RolloutCounts>,
    /// Tenants that failed, and why; the first twenty by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub failures: Vec<RolloutFailure>,
    /// `Progressing`, `Paused`, `Succeeded` and `Degraded`: why, and what to do next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What a roll-out is doing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RolloutState {
    /// Tenants are brought to the image.
    Updating,
    /// All of the wave are done, and watched for a while.
    Soaking,
    /// A wave waits to be approved, a maintenance window to open, or there is no tenant.
    Waiting,
    /// It stands still.
    Paused,
    /// All that take part are done.
    Succeeded,
}

/// How many tenants are how far.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCounts {
    /// Those that take part.
    pub total: i64,
    /// Those that run the image and are ready.
    pub updated: i64,
    /// Those that are on their way.
    pub in_flight: i64,
    /// Those that failed.
    pub failed: i64,
    /// Those that cannot be touched now: paused, only planned, not accepted, or being deleted.
    pub deferred: i64,
}

/// A tenant that failed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct RolloutFailure {
    /// Which.
    #[schemars(length(max = 63))]
    pub tenant: String,
    /// Why.
    #[schemars(length(max = 512))]
    pub reason: String,
}
