//! The server, its volume and its address in the cluster.

use serde_json::{Value, json};

use super::{Child, child, own_labels, selector};
use crate::cluster::{Kind, digest, labels, merge_patch, names};
use crate::tenant::server::{
    CONFIGURATION_FILE, CONFIGURATION_FOLDER, CONFIGURATION_VARIABLE, DATA, ENTITLEMENTS_FOLDER,
    FIRST_ADMINISTRATOR_FOLDER, INTERNAL_FOLDER, INTERNAL_PORT, PORT, USER,
};
use crate::tenant::validate::Validated;

/// How long the server may take to end: its own limit for running requests (20 s), and the database's closing.
const GRACE_SECS: u32 = 40;
/// How soon a pod leaves a node that has gone: five minutes, as is usual, are a long time without a CRM.
const NODE_GONE_SECS: u32 = 30;

/// A digest of everything that somebody can ask for and that a running server does not notice by itself. What is asked for, and
/// not what is made of it: an operator that renders it otherwise restarts nobody.
#[must_use]
pub fn restart_digest(tenant: &Validated) -> String {
    let isolation = &tenant.isolation;
    let place = (
        &isolation.node_selector,
        &isolation.tolerations,
        &isolation.runtime_class_name,
        &isolation.priority_class_name,
    );
    let configured = (tenant.storage_bytes, &tenant.trusted_proxies);
    digest(&json!([tenant.image, tenant.requests, tenant.limits, configured, place]))
}

/// Not part of the StatefulSet: it can grow, and it outlives it.
pub(super) fn claim(tenant: &Validated) -> Child {
    let mut rest = json!({
        "metadata": { "labels": { labels::PROTECTED: "true" } },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": tenant.storage.size } } },
    });
    if let Some(class) = &tenant.storage.class_name {
        rest["spec"]["storageClassName"] = class.as_str().into();
    }
    child(tenant, Kind::PersistentVolumeClaim, names::CLAIM, &rest)
}

pub(super) fn service(tenant: &Validated) -> Child {
    let rest = json!({ "spec": {
        "selector": selector(),
        "ports": [
            { "name": "http", "port": 80, "protocol": "TCP", "targetPort": PORT },
            { "name": "internal", "port": INTERNAL_PORT, "protocol": "TCP", "targetPort": INTERNAL_PORT },
        ],
    } });
    child(tenant, Kind::Service, names::SERVER, &rest)
}

pub(super) fn stateful_set(tenant: &Validated) -> Child {
    let mut pod_labels = own_labels(tenant);
    merge_patch(&mut pod_labels, &selector());
    let rest = json!({ "spec": {
        "replicas": 1,
        "serviceName": names::SERVER,
        "selector": { "matchLabels": selector() },
        // The operator decides when a server is restarted.
        "updateStrategy": { "type": "OnDelete" },
        "template": {
            "metadata": { "labels": pod_labels, "annotations": { labels::RESTART: restart_digest(tenant) } },
            "spec": pod(tenant),
        },
    } });
    child(tenant, Kind::StatefulSet, names::SERVER, &rest)
}

fn pod(tenant: &Validated) -> Value {
    let isolation = &tenant.isolation;
    let mut tolerations = vec![gone("node.kubernetes.io/not-ready"), gone("node.kubernetes.io/unreachable")];
    tolerations.extend(isolation.tolerations.iter().map(|toleration| json!(toleration)));
    let mut pod = json!({
        "serviceAccountName": names::SERVER,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_SECS,
        "tolerations": tolerations,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [server(tenant)],
        "volumes": [
            { "name": "data", "persistentVolumeClaim": { "claimName": names::CLAIM } },
            { "name": "configuration", "configMap": { "name": names::CONFIGURATION } },
            { "name": "entitlements", "configMap": { "name": names::ENTITLEMENTS } },
            { "name": "internal", "secret": { "secretName": names::INTERNAL } },
            { "name": "first-administrator", "secret": { "secretName": names::FIRST_ADMINISTRATOR, "optional": true } },
            { "name": "tmp", "emptyDir": { "sizeLimit": "256Mi" } },
        ],
    });
    if !isolation.node_selector.is_empty() {
        pod["nodeSelector"] = json!(isolation.node_selector);
    }
    if let Some(class) = &isolation.runtime_class_name {
        pod["runtimeClassName"] = class.as_str().into();
    }
    if let Some(class) = &isolation.priority_class_name {
        pod["priorityClassName"] = class.as_str().into();
    }
    pod
}

fn gone(taint: &str) -> Value {
    json!({ "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": NODE_GONE_SECS })
}

fn server(tenant: &Validated) -> Value {
    let mut limits = json!({ "memory": tenant.limits.memory });
    if let Some(cpu) = &tenant.limits.cpu {
        limits["cpu"] = json!(cpu);
    }
    json!({
        "name": "server",
        "image": tenant.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["serve", "--data", DATA],
        "env": [{ "name": CONFIGURATION_VARIABLE, "value": format!("{CONFIGURATION_FOLDER}/{CONFIGURATION_FILE}") }],
        "ports": [
            { "name": "http", "containerPort": PORT, "protocol": "TCP" },
            { "name": "internal", "containerPort": INTERNAL_PORT, "protocol": "TCP" },
        ],
        "resources": { "requests": tenant.requests, "limits": limits },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        // Migrations of a large database may take minutes; until then nothing else is asked.
        "startupProbe": probe("/livez", 2, 300),
        "livenessProbe": probe("/livez", 10, 6),
        "readinessProbe": probe("/readyz", 5, 3),
        "volumeMounts": [
            { "name": "data", "mountPath": DATA },
            { "name": "configuration", "mountPath": CONFIGURATION_FOLDER, "readOnly": true },
            { "name": "entitlements", "mountPath": ENTITLEMENTS_FOLDER, "readOnly": true },
            { "name": "internal", "mountPath": INTERNAL_FOLDER, "readOnly": true },
            { "name": "first-administrator", "mountPath": FIRST_ADMINISTRATOR_FOLDER, "readOnly": true },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
    })
}

fn probe(path: &str, period_secs: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "internal" },
        "periodSeconds": period_secs,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    })
}
