use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tenant_status::TenantStatus;
use super::{NameRef, ParentRef, Quantity};

/// One company's own Cartera: its server, its data, its keys and its namespace.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "cartera.dev",
    version = "v1alpha1",
    kind = "Tenant",
    namespaced,
    status = "TenantStatus",
    shortname = "tnt",
    category = "cartera",
    doc = "One company's own Cartera: its server, its data, its keys and its namespace.",
    derive = "PartialEq",
    selectable = ".spec.subscription.planRef.name",
    selectable = ".spec.version.channel",
    selectable = ".status.shard",
    selectable = ".status.powerState",
    printcolumn(name = "Plan", type_ = "string", json_path = ".spec.subscription.planRef.name"),
    printcolumn(name = "Engine", type_ = "string", json_path = ".spec.database.engine"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version.current"),
    printcolumn(name = "Power", type_ = "string", json_path = ".status.powerState"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Shard", type_ = "integer", json_path = ".status.shard", priority = 1),
    printcolumn(name = "Namespace", type_ = "string", json_path = ".status.namespace", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("a tenant's name begins with a letter, has up to 40 letters, digits and hyphens, and does not end with a hyphen: it becomes part of other names")
        .reason(Reason::FieldValueInvalid),
    validation = Rule::new("self.spec.database.engine == oldSelf.spec.database.engine")
        .message("the database engine of a tenant does not change")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("quantity(self.spec.database.storage.size).compareTo(quantity(oldSelf.spec.database.storage.size)) >= 0")
        .message("a volume cannot become smaller: leave database.storage.size at what it was, or raise it")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("has(self.spec.database.storage.className) == has(oldSelf.spec.database.storage.className) && (!has(self.spec.database.storage.className) || self.spec.database.storage.className == oldSelf.spec.database.storage.className)")
        .message("the storage class of a volume does not change")
        .reason(Reason::FieldValueForbidden)
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct TenantSpec {
    /// What people call it; shown in the app.
    #[schemars(length(min = 1, max = 80))]
    pub display_name: String,
    /// Who the company is in other systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
    /// What was bought.
    pub subscription: Subscription,
    /// Modules of the CRM that are switched on; the plan must include them. Without any, all that the plan includes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = r"^[a-z][a-z0-9_]*$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub modules: Vec<String>,
    /// Which version runs.
    #[serde(default)]
    pub version: Version,
    /// Where the data lies.
    pub database: Database,
    /// The addresses that people use.
    #[serde(default)]
    pub routing: Routing,
    /// What keeps it apart from others.
    #[serde(default)]
    pub isolation: Isolation,
    /// Keys that the operator makes.
    #[serde(default)]
    pub secrets: Secrets,
    /// Whether people may change anything.
    #[serde(default)]
    pub power: Power,
    /// What happens when this object is deleted.
    #[serde(default)]
    pub deletion: Deletion,
    /// Whether the operator acts, only says what it would do, or leaves everything alone.
    #[serde(default)]
    pub reconcile: Reconcile,
    /// Changes to objects that the operator makes, for what has no field of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into()]))]
    pub overrides: Vec<Override>,
}

/// Who the company is in other systems.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// The customer's id where bills are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub id: Option<String>,
    /// The subscription's id where bills are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub subscription_id: Option<String>,
    /// The first administrator's address. With it she is made with a password that is used once; it lies in the Secret
    /// `cartera-first-administrator` of the tenant's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254), regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    pub email: Option<String>,
}

/// What was bought.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The Plan, in the same namespace.
    pub plan_ref: NameRef,
}

/// Which version runs.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("(self.channel == 'pinned') == has(self.image)")
        .message("version.image goes with version.channel pinned, and with no other")
        .reason(Reason::FieldValueInvalid)
)]
pub struct Version {
    /// Whose image is run: that of a channel of the PlatformConfig, or `image` itself.
    #[serde(default)]
    pub channel: Channel,
    /// The image of a pinned version, by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^[^@\s]+@sha256:[a-f0-9]{64}$"))]
    pub image: Option<String>,
}

/// Whose image is run.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// What most tenants run.
    #[default]
    Stable,
    /// What is tried first.
    Canary,
    /// What the tenant itself names.
    Pinned,
}

/// Where the data lies.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Database {
    /// What keeps the records. It never changes.
    #[serde(default)]
    pub engine: DatabaseEngine,
    /// The volume that holds everything the server keeps.
    pub storage: Storage,
}

/// What keeps the records.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DatabaseEngine {
    /// One file in the tenant's own volume.
    #[default]
    SQLite,
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// How large it is. It may grow, never shrink.
    pub size: Quantity,
    /// Its StorageClass; without one, the cluster's default. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}

/// The addresses that people use, besides `<name>.<baseDomain>`.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// More host names that the platform's own certificate covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<String>,
    /// Host names of the customer's, each with a certificate of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["host".into()]))]
    pub custom_domains: Vec<CustomDomain>,
    /// Another Gateway than the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_ref: Option<ParentRef>,
}

/// A host name of the customer's.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.tls == 'Secret') == has(self.secretRef)")
        .message("secretRef goes with tls Secret, and with no other")
        .reason(Reason::FieldValueInvalid)
)]
pub struct CustomDomain {
    /// The host name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$")
    )]
    pub host: String,
    /// Where its certificate comes from.
    #[serde(default)]
    pub tls: DomainTls,
    /// The Secret of the tenant's namespace with the certificate (`tls.crt`, `tls.key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NameRef>,
}

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DomainTls {
    /// cert-manager makes and renews it.
    #[default]
    Managed,
    /// Somebody puts it into a Secret.
    Secret,
}

/// What keeps a tenant apart from others.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Isolation {
    /// How: every tenant has its own process, database and namespace.
    #[serde(default)]
    pub mode: IsolationMode,
    /// Labels of the nodes that it may run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = super::label_value()))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that it tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tolerations: Vec<Toleration>,
    /// The RuntimeClass of its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
    /// The PriorityClass of its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Where its server may connect to, besides the cluster's name service. Nowhere, unless it is said here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub egress: Vec<Egress>,
    /// Another ResourceQuota than the one that follows from the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// How tenants are kept apart.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum IsolationMode {
    /// Its own process, database and namespace.
    #[default]
    Dedicated,
}

/// A taint that is tolerated.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// The taint's key.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// Whether the value counts.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// The taint's value, where it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// The taint's effect; without it, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub effect: Option<String>,
}

/// Whether a taint's value counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TolerationOperator {
    /// It must be this one.
    #[default]
    Equal,
    /// Any will do.
    Exists,
}

/// Somewhere that a server may connect to.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Addresses, such as `192.0.2.0/24` or `2001:db8::/32`.
    #[schemars(length(min = 1, max = 49), regex(pattern = r"^[0-9a-fA-F:.]+/[0-9]{1,3}$"))]
    pub cidr: String,
    /// Ports; without any, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ports: Vec<EgressPort>,
}

/// A port that a server may connect to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct EgressPort {
    /// Its number.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: Protocol,
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    TCP,
    /// UDP.
    UDP,
}

/// What all pods of a tenant's namespace may have together.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Quota {
    /// Processor time that they may be promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory that they may use at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// Storage that they may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Quantity>,
}

/// Keys that the operator makes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// How often they are made anew, in days, such as 90d.
    #[schemars(length(max = 5), regex(pattern = r"^[1-9][0-9]{0,3}d$"))]
    pub rotate_every: String,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { rotate_every: "90d".to_owned() }
    }
}

/// Whether people may change anything.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Power {
    /// They may.
    #[default]
    Running,
    /// They see everything and change nothing; what devices hand in waits on them.
    ReadOnly,
}

/// What happens when a Tenant is deleted.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("!(self.protected && self.policy == 'Purge')")
        .message("a protected tenant cannot have the policy Purge: set deletion.protected to false as well")
        .reason(Reason::FieldValueForbidden)
)]
pub struct Deletion {
    /// Whether deleting is refused until this is set to false.
    #[serde(default = "yes")]
    pub protected: bool,
    /// What becomes of the data.
    #[serde(default)]
    pub policy: DeletionPolicy,
}

fn yes() -> bool {
    true
}

impl Default for Deletion {
    fn default() -> Self {
        Self { protected: true, policy: DeletionPolicy::Retain }
    }
}

/// What becomes of the data of a deleted tenant.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// The volume stays, released from the namespace.
    #[default]
    Retain,
    /// The volume goes with the namespace.
    Purge,
}

/// How the operator treats a tenant.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Reconcile {
    /// Whether it acts.
    #[serde(default)]
    pub mode: ReconcileMode,
}

/// Whether the operator acts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ReconcileMode {
    /// It does.
    #[default]
    Enforce,
    /// It says in `status.plannedChanges` what it would do.
    Plan,
    /// It leaves everything alone.
    Paused,
}

/// A change to an object that the operator makes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Override {
    /// Which object.
    pub kind: OverrideKind,
    /// What is merged into it (JSON merge patch). Allowed are annotations of any of them and, for the StatefulSet, of its
    /// pod too, with `affinity`, `topologySpreadConstraints`, `schedulerName` and `terminationGracePeriodSeconds`.
    #[schemars(schema_with = "any_object")]
    pub patch: Map<String, Value>,
}

/// An object that can be changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OverrideKind {
    /// The server's StatefulSet.
    StatefulSet,
    /// The server's Service.
    Service,
    /// Its Ingress.
    Ingress,
    /// Its HTTPRoute.
    HTTPRoute,
}

fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
