use serde_json::{Value, json};

use super::*;
use crate::cluster::capabilities::Capabilities;
use crate::tenant::fixture::{dereferenced, image};

fn refusal(tenant: &Value, platform: &Value) -> (&'static str, String) {
    let refusal = validate(&dereferenced(tenant, platform)).expect_err("a refusal");
    (refusal.reason, refusal.message)
}

#[test]
fn refusals_say_what_to_do() {
    let spec = |spec: Value| json!({ "spec": spec });
    let cases = [
        (
            spec(json!({ "database": { "storage": { "size": "60Gi" } } })),
            json!({}),
            "StorageTooLarge",
            "take a larger plan",
        ),
        (spec(json!({ "modules": ["service"] })), json!({}), "ModuleNotInPlan", "take a plan that has it"),
        (spec(json!({ "version": { "channel": "canary" } })), json!({}), "ChannelUnknown", "set channels.canary"),
        (spec(json!({ "isolation": { "quota": { "memory": "256Mi" } } })), json!({}), "QuotaTooSmall", "needs 512Mi"),
        (
            spec(json!({ "routing": { "hostnames": ["other.crm.example"] } })),
            json!({}),
            "HostnameReserved",
            "not directly below",
        ),
        (
            spec(json!({ "overrides": [{ "kind": "Service", "patch": { "spec": { "type": "NodePort" } } }] })),
            json!({}),
            "OverrideNotAllowed",
            "/spec/type",
        ),
    ];
    for (tenant, platform, reason, advice) in cases {
        let (found, message) = refusal(&tenant, &platform);
        assert_eq!(found, reason);
        assert!(message.contains(advice), "{message}");
    }
}

#[test]
fn what_is_referred_to_must_be_there() {
    let mut found = dereferenced(&json!({}), &json!({}));
    found.plan = None;
    assert_eq!(validate(&found).expect_err("no plan").reason, "PlanNotFound");
    found.platform = None;
    assert_eq!(validate(&found).expect_err("no platform").reason, "NoPlatformConfig");
    let mut found = dereferenced(&json!({}), &json!({}));
    found.held_hosts.insert("crm.acme.example".into(), "older".into());
    assert_eq!(validate(&found).expect_err("a host of somebody else's").reason, "HostnameTaken");
}

#[test]
fn a_missing_engine_refuses_where_it_is_required_and_else_is_done_without() {
    let parent = json!({ "name": "public", "namespace": "gateways" });
    let without = |platform: Value| {
        let mut found = dereferenced(&json!({}), &platform);
        found.capabilities = Capabilities::default();
        validate(&found)
    };
    for required in [
        json!({ "spec": { "gateway": { "mode": "Gateway", "parentRef": parent } } }),
        json!({ "spec": { "engines": { "certManager": "Required" } } }),
        json!({ "spec": { "engines": { "prometheus": "Required" } } }),
    ] {
        assert_eq!(without(required).expect_err("a refusal").reason, "EngineMissing");
    }
    let auto =
        without(json!({ "spec": { "gateway": { "parentRef": parent }, "tls": { "issuerRef": { "name": "acme" } } } }));
    let auto = auto.expect("it is done without");
    assert_eq!((auto.route, auto.certificates.len(), auto.is_measured), (Route::Ingress(None), 0, false));
    assert!(auto.missing.is_some_and(|missing| missing.message.contains("certificates.cert-manager.io")));
}

#[test]
fn a_tenant_keeps_its_image_when_its_channel_moves_on() {
    let status = json!({ "status": { "version": { "image": image("0") } } });
    let kept = validate(&dereferenced(&status, &json!({}))).expect("a tenant");
    assert_eq!((kept.image, kept.newer_image), (image("0"), Some(image("1"))));
    let pinned = json!({ "spec": { "version": { "channel": "pinned", "image": image("2") } } });
    let pinned = validate(&dereferenced(&pinned, &json!({}))).expect("a tenant");
    assert_eq!((pinned.image, pinned.newer_image), (image("2"), None));
}

#[test]
fn modules_and_limits_come_from_the_plan() {
    let all = validate(&dereferenced(&json!({}), &json!({}))).expect("a tenant").entitlements;
    assert_eq!((all.modules, all.limits.users), (vec!["sales".to_owned(), "visits".to_owned()], Some(10)));
    let some = json!({ "spec": { "modules": ["visits"], "power": "ReadOnly" } });
    let some = validate(&dereferenced(&some, &json!({}))).expect("a tenant").entitlements;
    assert_eq!((some.modules, some.power), (vec!["visits".to_owned()], ServerPower::ReadOnly));
}
