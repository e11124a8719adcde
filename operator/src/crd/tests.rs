//! Every rule has an object that it lets through and one that it refuses, with what the user reads.

use serde_json::{Value, json};

use super::*;

fn merged(mut base: Value, patch: &Value) -> Value {
    crate::cluster::merge_patch(&mut base, patch);
    base
}

fn tenant(patch: &Value) -> Tenant {
    let base = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Tenant", "metadata": { "name": "acme", "namespace": "cartera-tenants" },
        "spec": {
            "displayName": "Acme", "subscription": { "planRef": { "name": "team" } },
            "database": { "engine": "SQLite", "storage": { "size": "10Gi" } },
        },
    });
    serde_json::from_value(merged(base, patch)).expect("a tenant")
}

fn plan(patch: &Value) -> Plan {
    let base = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Plan", "metadata": { "name": "team" },
        "spec": {
            "displayName": "Team", "published": true, "entitlements": { "modules": ["sales"], "maxUsers": 10 },
            "resources": { "requests": { "cpu": "100m", "memory": "256Mi" }, "limits": { "memory": "512Mi" }, "storage": "50Gi" },
        },
    });
    serde_json::from_value(merged(base, patch)).expect("a plan")
}

fn platform(patch: &Value) -> PlatformConfig {
    let base = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig", "metadata": { "name": "default" },
        "spec": { "baseDomain": "crm.example", "channels": { "stable": format!("registry.example/cartera@sha256:{}", "0".repeat(64)) } },
    });
    serde_json::from_value(merged(base, patch)).expect("a platform")
}

fn rollout(patch: &Value) -> FleetRollout {
    let base = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "FleetRollout", "metadata": { "name": "spring" },
        "spec": { "to": { "channel": "stable" }, "waves": [{ "name": "all" }] },
    });
    serde_json::from_value(merged(base, patch)).expect("a roll-out")
}

/// Each line: what was before, where that counts; what comes; what the refusal says, or nothing where it is accepted.
type Case = (Option<Value>, Value, Option<&'static str>);

fn check<K>(
    cases: &[Case],
    object: fn(&Value) -> K,
    create: fn(&K) -> Result<(), kube::core::cel::ValidationErrors>,
    update: fn(&K, &K) -> Result<(), kube::core::cel::ValidationErrors>,
) {
    for (old, new, refusal) in cases {
        let found = match old {
            Some(old) => update(&object(new), &object(old)),
            None => create(&object(new)),
        };
        match (found, refusal) {
            (Ok(()), None) => {}
            (Err(errors), Some(said)) => assert!(errors.to_string().contains(said), "{new}: {errors}"),
            (found, _) => panic!("{new}: {found:?}, expected {refusal:?}"),
        }
    }
}

#[test]
fn rules_of_a_tenant() {
    let image = format!("registry.example/cartera@sha256:{}", "1".repeat(64));
    let storage = |storage: Value| json!({ "spec": { "database": { "storage": storage } } });
    let cases: Vec<Case> = vec![
        (None, json!({}), None),
        (None, json!({ "metadata": { "name": "a".repeat(40) } }), None),
        (None, json!({ "metadata": { "name": "a".repeat(41) } }), Some("becomes part of other names")),
        (None, json!({ "metadata": { "name": "4ever" } }), Some("begins with a letter")),
        (None, json!({ "metadata": { "name": "acme.example" } }), Some("begins with a letter")),
        (None, json!({ "spec": { "version": { "channel": "pinned", "image": image } } }), None),
        (None, json!({ "spec": { "version": { "channel": "pinned" } } }), Some("goes with version.channel pinned")),
        (None, json!({ "spec": { "version": { "image": image } } }), Some("goes with version.channel pinned")),
        (None, json!({ "spec": { "deletion": { "protected": false, "policy": "Purge" } } }), None),
        (None, json!({ "spec": { "deletion": { "policy": "Purge" } } }), Some("set deletion.protected to false")),
        (
            None,
            json!({ "spec": { "routing": { "customDomains": [{ "host": "crm.acme.example", "tls": "Secret", "secretRef": { "name": "own" } }] } } }),
            None,
        ),
        (
            None,
            json!({ "spec": { "routing": { "customDomains": [{ "host": "crm.acme.example", "tls": "Secret" }] } } }),
            Some("secretRef goes with tls Secret"),
        ),
        (Some(json!({})), storage(json!({ "size": "20Gi" })), None),
        (Some(json!({})), storage(json!({ "size": "10240Mi" })), None),
        (Some(json!({})), storage(json!({ "size": "9Gi" })), Some("a volume cannot become smaller")),
        (Some(storage(json!({ "className": "fast" }))), storage(json!({ "className": "fast" })), None),
        (Some(json!({})), storage(json!({ "className": "fast" })), Some("storage class of a volume does not change")),
        (
            Some(storage(json!({ "className": "fast" }))),
            storage(json!({ "className": "slow" })),
            Some("storage class of a volume does not change"),
        ),
    ];
    check(&cases, tenant, Tenant::validate_cel, Tenant::validate_cel_update);
}

#[test]
fn the_engine_of_a_tenant_stays_once_there_are_two() {
    // Only one engine can be written yet; the rule is in the schema so that the second cannot be switched to.
    let rules = serde_json::to_value(Tenant::crd()).expect("a definition is JSON").to_string();
    assert!(rules.contains("self.spec.database.engine == oldSelf.spec.database.engine"));
}

#[test]
fn rules_of_a_plan() {
    let cases: Vec<Case> = vec![
        (None, json!({ "spec": { "supersedes": "team-2025" } }), None),
        (None, json!({ "spec": { "supersedes": "team" } }), Some("cannot supersede itself")),
        (Some(json!({})), json!({ "spec": { "displayName": "Teams" } }), None),
        (Some(json!({})), json!({ "spec": { "published": false } }), Some("cannot be taken back")),
        (
            Some(json!({})),
            json!({ "spec": { "entitlements": { "maxUsers": 5 } } }),
            Some("entitlements of a published plan"),
        ),
        (
            Some(json!({})),
            json!({ "spec": { "resources": { "storage": "1Gi" } } }),
            Some("resources of a published plan"),
        ),
        (
            Some(json!({ "spec": { "published": false } })),
            json!({ "spec": { "entitlements": { "maxUsers": 5 }, "resources": { "storage": "1Gi" } } }),
            None,
        ),
    ];
    check(&cases, plan, Plan::validate_cel, Plan::validate_cel_update);
}

#[test]
fn rules_of_a_platform() {
    let parent = json!({ "name": "public", "namespace": "gateways" });
    let cases: Vec<Case> = vec![
        (None, json!({}), None),
        (None, json!({ "metadata": { "name": "other" } }), Some("its name is default")),
        (None, json!({ "spec": { "gateway": { "mode": "Gateway", "parentRef": parent } } }), None),
        (None, json!({ "spec": { "gateway": { "mode": "Gateway" } } }), Some("needs gateway.parentRef")),
        (None, json!({ "spec": { "tls": { "issuerRef": { "name": "acme" } } } }), None),
    ];
    check(&cases, platform, PlatformConfig::validate_cel, PlatformConfig::validate_cel_update);
}

#[test]
fn rules_of_a_roll_out() {
    let image = format!("registry.example/cartera@sha256:{}", "1".repeat(64));
    let waves = |waves: Value| json!({ "spec": { "waves": waves } });
    let selector = json!({ "spec": { "selector": { "matchLabels": { "tier": "gold" } } } });
    let cases: Vec<Case> = vec![
        (None, json!({}), None),
        (None, json!({ "spec": { "to": { "channel": null, "image": image } } }), None),
        (None, json!({ "spec": { "to": { "image": image } } }), Some("either to.channel or to.image")),
        (None, json!({ "spec": { "to": { "channel": null } } }), Some("either to.channel or to.image")),
        (
            None,
            waves(json!([{ "name": "first", "count": 1 }, { "name": "tenth", "percent": 10 }, { "name": "rest" }])),
            None,
        ),
        (
            None,
            waves(json!([{ "name": "first", "count": 1, "percent": 10 }])),
            Some("a selector, a percent or a count"),
        ),
        (Some(json!({})), json!({ "spec": { "paused": true, "maxInFlight": 3 } }), None),
        (Some(json!({})), waves(json!([{ "name": "all", "soak": "1h" }])), None),
        (Some(json!({})), json!({ "spec": { "to": { "channel": "canary" } } }), Some("keeps its aim and its tenants")),
        (Some(json!({})), selector.clone(), Some("keeps its aim and its tenants")),
        (Some(selector.clone()), selector, None),
        (Some(json!({})), waves(json!([{ "name": "all" }, { "name": "more" }])), Some("waves are neither added")),
    ];
    check(&cases, rollout, FleetRollout::validate_cel, FleetRollout::validate_cel_update);
}

#[test]
fn every_field_is_explained_and_every_text_and_list_has_an_end() {
    for definition in all() {
        let definition = serde_json::to_value(definition).expect("a definition is JSON");
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for root in ["spec", "status"] {
            explained(&schema["properties"][root], root);
        }
    }
}

fn explained(schema: &Value, path: &str) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            let path = format!("{path}.{name}");
            assert!(property["description"].as_str().is_some_and(|text| text.len() > 3), "{path} is not explained");
            explained(property, &path);
        }
    }
    let is_bounded = match schema["type"].as_str() {
        Some("string") => ["maxLength", "enum", "format"].iter().any(|bound| !schema[bound].is_null()),
        Some("array") => {
            assert!(!schema["x-kubernetes-list-type"].is_null(), "{path} does not say how it is merged");
            explained(&schema["items"], &format!("{path}[]"));
            !schema["maxItems"].is_null()
        }
        Some("object") if schema["properties"].is_null() => {
            explained(&schema["additionalProperties"], &format!("{path}{{}}"));
            !schema["maxProperties"].is_null() || schema["x-kubernetes-preserve-unknown-fields"] == true
        }
        _ => true,
    };
    assert!(is_bounded, "{path} has no end: {schema}");
}
