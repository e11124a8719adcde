use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, NameRef, ParentRef};

/// What all tenants of a control namespace have in common. There is one, named `default`.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "cartera.dev",
    version = "v1alpha1",
    kind = "PlatformConfig",
    namespaced,
    status = "PlatformConfigStatus",
    category = "cartera",
    doc = "What all tenants of a control namespace have in common. There is one, named `default`.",
    derive = "PartialEq",
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.baseDomain"),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".status.gateway"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name == 'default'")
        .message("there is one PlatformConfig in a control namespace, and its name is default")
        .reason(Reason::FieldValueInvalid),
    validation = Rule::new("!has(self.spec.gateway) || self.spec.gateway.mode != 'Gateway' || has(self.spec.gateway.parentRef)")
        .message("gateway.mode Gateway needs gateway.parentRef: name the Gateway that routes are attached to")
        .reason(Reason::FieldValueRequired)
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct PlatformConfigSpec {
    /// Tenants are reached at `<tenant>.<baseDomain>`.
    #[schemars(
        length(min = 1, max = 190),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub base_domain: String,
    /// How addresses below `baseDomain` get their certificates.
    #[serde(default)]
    pub tls: PlatformTls,
    /// How requests reach tenants.
    #[serde(default)]
    pub gateway: Gateway,
    /// Other software of the cluster that tenants' objects are handed to.
    #[serde(default)]
    pub engines: Engines,
    /// The images that version channels stand for.
    pub channels: Channels,
    /// When roll-outs may restart tenants. Without any, at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub maintenance_windows: Vec<MaintenanceWindow>,
}

/// A time of each week when tenants may be restarted.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    /// The days on which it opens; without any, every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub days: Vec<Day>,
    /// When it opens, such as 22:00.
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub opens: String,
    /// How long it stays open, such as 4h; a day at the most.
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^(24h|(1?[0-9]|2[0-3])h([1-5]?[0-9]m)?|[1-5]?[0-9]m)$"))]
    pub lasts: String,
    /// In which time zone, such as Europe/Madrid.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// How addresses get their certificates.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformTls {
    /// A ClusterIssuer of cert-manager that makes a certificate for each tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<NameRef>,
}

/// How requests reach tenants.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// `Auto`: by Gateway where its kinds exist and `parentRef` is set, else by Ingress.
    #[serde(default)]
    pub mode: GatewayMode,
    /// The Gateway that routes are attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_ref: Option<ParentRef>,
    /// The class of Ingress objects; without it, the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub ingress_class_name: Option<String>,
    /// The pods that requests come from: tenants let nobody else in.
    #[serde(default)]
    pub ingress_from: IngressFrom,
    /// Networks of the gateway's pods, such as 10.244.0.0/16: what they say of who asked is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 49), regex(pattern = r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$")))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub trusted_proxies: Vec<String>,
}

/// What brings requests to tenants.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum GatewayMode {
    /// By Gateway where its kinds exist and a parent is named, else by Ingress.
    #[default]
    Auto,
    /// By HTTPRoutes.
    Gateway,
    /// By Ingress objects.
    Ingress,
    /// Nothing: tenants are reached within the cluster only.
    None,
}

/// Pods by the labels of their namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressFrom {
    /// Labels of the namespaces where the gateway's pods run.
    // Without any, the policy would let every namespace in.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 8, "additionalProperties" = super::label_value()))]
    pub namespace_labels: BTreeMap<String, String>,
}

impl Default for IngressFrom {
    fn default() -> Self {
        let labels = [("cartera.dev/gateway".to_owned(), "true".to_owned())];
        Self { namespace_labels: labels.into() }
    }
}

/// Other software of the cluster that tenants' objects are handed to.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Engines {
    /// cert-manager, for certificates.
    #[serde(default)]
    pub cert_manager: Engine,
    /// The Prometheus operator, for measurements and alerts.
    #[serde(default)]
    pub prometheus: Engine,
}

/// Whether other software is used.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Engine {
    /// Where its kinds exist.
    #[default]
    Auto,
    /// Always: tenants are not accepted where its kinds are missing.
    Required,
    /// Never.
    Disabled,
}

/// The images that version channels stand for, each by its digest.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Channels {
    /// What most tenants run.
    #[schemars(length(max = 512), regex(pattern = r"^[^@\s]+@sha256:[a-f0-9]{64}$"))]
    pub stable: String,
    /// What is tried first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^[^@\s]+@sha256:[a-f0-9]{64}$"))]
    pub canary: Option<String>,
}

/// What the cluster has.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformConfigStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What brings requests to tenants: Gateway, Ingress or None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub gateway: Option<String>,
    /// Kinds of other software that exist in the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub capabilities: Vec<String>,
    /// `Ready`: tenants can be made. `EngineMissing`: other software is required and not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
