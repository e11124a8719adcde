//! The namespace and what it may use.

use serde_json::json;

use super::{Child, child};
use crate::cluster::{Kind, labels};
use crate::tenant::validate::Validated;

pub(super) fn namespace(tenant: &Validated) -> Child {
    let rest = json!({ "metadata": { "labels": {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
        labels::PROTECTED: "true",
    } } });
    child(tenant, Kind::Namespace, &tenant.namespace, &rest)
}

pub(super) fn quota(tenant: &Validated) -> Child {
    let rest = json!({ "spec": { "hard": {
        "requests.cpu": tenant.quota.cpu,
        "limits.memory": tenant.quota.memory,
        "requests.storage": tenant.quota.storage,
        "pods": "4",
        "persistentvolumeclaims": "2",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    } } });
    child(tenant, Kind::ResourceQuota, "cartera", &rest)
}

/// For pods that say nothing of themselves: without this the quota would refuse them.
pub(super) fn limits(tenant: &Validated) -> Child {
    let rest = json!({ "spec": { "limits": [{
        "type": "Container",
        "defaultRequest": { "cpu": "50m", "memory": "64Mi" },
        "default": { "memory": "128Mi" },
    }] } });
    child(tenant, Kind::LimitRange, "cartera", &rest)
}
