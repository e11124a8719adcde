//! A tenant, its plan and its platform, as tests begin with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::dereference::Dereferenced;
use crate::cluster::capabilities::Capabilities;
use crate::cluster::{Kind, merge_patch};
use crate::crd::{Plan, PlatformConfig, Tenant};

/// An image by its digest; the digit tells it from others.
pub fn image(digit: &str) -> String {
    format!("registry.example/cartera@sha256:{}", digit.repeat(64))
}

/// The tenant, with `patch` merged into it.
pub fn tenant(patch: &Value) -> Tenant {
    let mut tenant = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Tenant",
        "metadata": {
            "name": "acme", "namespace": "cartera-tenants", "uid": "6f1c2a30-0000-4000-8000-000000000001",
            "generation": 3, "creationTimestamp": "2026-11-01T08:00:00Z",
        },
        "spec": {
            "displayName": "Acme", "subscription": { "planRef": { "name": "team" } },
            "database": { "storage": { "size": "10Gi" } },
        },
    });
    merge_patch(&mut tenant, patch);
    serde_json::from_value(tenant).expect("a tenant")
}

/// The plan, with `patch` merged into it.
pub fn plan(patch: &Value) -> Plan {
    let mut plan = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Plan", "metadata": { "name": "team", "generation": 2 },
        "spec": {
            "displayName": "Team", "entitlements": { "modules": ["sales", "visits"], "maxUsers": 10 },
            "resources": {
                "requests": { "cpu": "100m", "memory": "256Mi" }, "limits": { "memory": "512Mi" }, "storage": "50Gi",
            },
        },
    });
    merge_patch(&mut plan, patch);
    serde_json::from_value(plan).expect("a plan")
}

/// The platform, with `patch` merged into it.
pub fn platform(patch: &Value) -> PlatformConfig {
    let mut platform = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig", "metadata": { "name": "default" },
        "spec": { "baseDomain": "crm.example", "channels": { "stable": image("1") } },
    });
    merge_patch(&mut platform, patch);
    serde_json::from_value(platform).expect("a platform")
}

/// All of them, in a cluster that has every foreign kind.
pub fn dereferenced(tenant_patch: &Value, platform_patch: &Value) -> Dereferenced {
    Dereferenced {
        tenant: Arc::new(tenant(tenant_patch)),
        plan: Some(Arc::new(plan(&json!({})))),
        platform: Some(Arc::new(platform(platform_patch))),
        capabilities: Capabilities::of(Kind::ALL),
        children: BTreeMap::default(),
        held_hosts: BTreeMap::default(),
    }
}
