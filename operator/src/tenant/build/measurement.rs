//! Where Prometheus measures, and what it warns of.

use serde_json::json;

use super::{Child, child};
use crate::cluster::{Kind, names};
use crate::tenant::validate::Validated;

pub(super) fn monitor(tenant: &Validated) -> Child {
    let rest = json!({ "spec": {
        "selector": { "matchLabels": { "app.kubernetes.io/name": names::SERVER } },
        "endpoints": [{ "port": "internal", "path": "/metrics", "interval": "30s" }],
        "targetLabels": [crate::cluster::labels::TENANT],
    } });
    child(tenant, Kind::ServiceMonitor, names::SERVER, &rest)
}

pub(super) fn rules(tenant: &Validated) -> Child {
    let (namespace, claim) = (&tenant.namespace, names::CLAIM);
    let free = format!(
        "kubelet_volume_stats_available_bytes{{namespace=\"{namespace}\",persistentvolumeclaim=\"{claim}\"}} / \
         kubelet_volume_stats_capacity_bytes{{namespace=\"{namespace}\",persistentvolumeclaim=\"{claim}\"}} < 0.1"
    );
    let down = format!("up{{namespace=\"{namespace}\",job=\"{}\"}} == 0", names::SERVER);
    let rest = json!({ "spec": { "groups": [{ "name": "cartera-tenant", "rules": [
        {
            "alert": "CarteraTenantDown", "expr": down, "for": "5m", "labels": { "severity": "critical", "tenant": tenant.name },
            "annotations": { "summary": format!("The server of tenant {} does not answer", tenant.name) },
        },
        {
            "alert": "CarteraTenantVolumeFull", "expr": free, "for": "15m", "labels": { "severity": "warning", "tenant": tenant.name },
            "annotations": { "summary": format!("Less than a tenth of the volume of tenant {} is free: raise database.storage.size", tenant.name) },
        },
    ] }] } });
    child(tenant, Kind::PrometheusRule, names::SERVER, &rest)
}
