use k8s_openapi::api::{apps::v1 as apps, core::v1 as core, networking::v1 as networking, rbac::v1 as rbac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::tenant::fixture::dereferenced;
use crate::tenant::validate::validate;

fn operator() -> OperatorIdentity {
    OperatorIdentity { namespace: "cartera-system".into(), service_account: "cartera-operator".into() }
}

fn built_from(tenant: &Value, platform: &Value) -> Vec<Child> {
    let validated = validate(&dereferenced(tenant, platform)).expect("a tenant that can be built");
    build(&validated, Some(&operator()))
}

/// What the tenant of the fixture gets.
pub fn built() -> Vec<Child> {
    built_from(&json!({}), &json!({}))
}

/// As much as there can be.
fn everything() -> Vec<Child> {
    let tenant = json!({ "spec": {
        "routing": { "hostnames": ["sales.acme.example"], "customDomains": [
            { "host": "crm.acme.example" },
            { "host": "own.acme.example", "tls": "Secret", "secretRef": { "name": "own" } },
        ] },
        "isolation": {
            "nodeSelector": { "pool": "crm" }, "tolerations": [{ "key": "crm", "operator": "Exists" }],
            "runtimeClassName": "sandboxed", "priorityClassName": "business",
            "egress": [{ "cidr": "192.0.2.0/24", "ports": [{ "port": 443 }] }],
        },
        "database": { "storage": { "className": "fast" } },
        "overrides": [{ "kind": "Ingress", "patch": { "metadata": { "annotations": { "example.com/timeout": "60" } } } }],
    } });
    let platform = json!({ "spec": {
        "gateway": { "trustedProxies": ["10.244.0.0/16"], "ingressClassName": "public" },
        "tls": { "issuerRef": { "name": "acme" } },
    } });
    built_from(&tenant, &platform)
}

fn snapshot(children: &[Child]) -> String {
    let documents: Vec<String> =
        children.iter().map(|child| serde_saphyr::to_string(&child.object).expect("an object is YAML")).collect();
    documents.join("---\n")
}

#[test]
fn a_plain_tenant() {
    insta::assert_snapshot!(snapshot(&built()));
}

#[test]
fn a_tenant_with_everything() {
    insta::assert_snapshot!(snapshot(&everything()));
}

#[test]
fn a_tenant_behind_a_gateway_has_a_route_there() {
    let parent = json!({ "name": "public", "namespace": "gateways" });
    let children = built_from(&json!({}), &json!({ "spec": { "gateway": { "parentRef": parent } } }));
    let route = children.iter().find(|child| child.kind == Kind::HTTPRoute).expect("a route");
    insta::assert_json_snapshot!(route.object["spec"], @r#"
    {
      "hostnames": [
        "acme.crm.example"
      ],
      "parentRefs": [
        {
          "name": "public",
          "namespace": "gateways"
        }
      ],
      "rules": [
        {
          "backendRefs": [
            {
              "name": "cartera",
              "port": 80
            }
          ]
        }
      ]
    }
    "#);
    assert!(children.iter().all(|child| child.kind != Kind::Ingress));
}

/// A field that Kubernetes does not know would be lost on the way through its types.
#[test]
fn every_field_is_one_of_kubernetes() {
    fn known<T: DeserializeOwned + Serialize>(object: &Value) {
        let typed: T = serde_json::from_value(object.clone()).expect("an object of its kind");
        assert_eq!(&serde_json::to_value(typed).expect("an object is JSON"), object);
    }
    for child in everything() {
        match child.kind {
            Kind::Namespace => known::<core::Namespace>(&child.object),
            Kind::RoleBinding => known::<rbac::RoleBinding>(&child.object),
            Kind::ResourceQuota => known::<core::ResourceQuota>(&child.object),
            Kind::LimitRange => known::<core::LimitRange>(&child.object),
            Kind::NetworkPolicy => known::<networking::NetworkPolicy>(&child.object),
            Kind::ServiceAccount => known::<core::ServiceAccount>(&child.object),
            Kind::ConfigMap => known::<core::ConfigMap>(&child.object),
            Kind::PersistentVolumeClaim => known::<core::PersistentVolumeClaim>(&child.object),
            Kind::Service => known::<core::Service>(&child.object),
            Kind::StatefulSet => known::<apps::StatefulSet>(&child.object),
            Kind::Ingress => known::<networking::Ingress>(&child.object),
            // Their schemas are not among the types: the API server's tests look at them.
            Kind::Secret
            | Kind::HTTPRoute
            | Kind::Certificate
            | Kind::ServiceMonitor
            | Kind::PrometheusRule
            | Kind::Pod => {}
        }
    }
}

#[test]
fn the_same_tenant_gives_the_same_bytes_and_a_server_restarts_only_for_what_was_asked_for() {
    assert_eq!(built(), built());
    let digest = |tenant: Value| restart_digest(&validate(&dereferenced(&tenant, &json!({}))).expect("a tenant"));
    let plain = digest(json!({}));
    for calm in [json!({ "displayName": "Other" }), json!({ "modules": ["sales"] }), json!({ "power": "ReadOnly" })] {
        assert_eq!(digest(json!({ "spec": calm })), plain);
    }
    assert_ne!(digest(json!({ "spec": { "isolation": { "nodeSelector": { "pool": "crm" } } } })), plain);
}

#[test]
fn names_of_a_long_tenant_fit() {
    let children = built_from(&json!({ "metadata": { "name": "a".repeat(40) } }), &json!({}));
    for child in children {
        assert!(child.name.len() <= 63, "{}", child.name);
        let labels = child.object["metadata"]["labels"].as_object().expect("labels");
        assert!(labels.values().all(|value| value.as_str().is_some_and(|text| text.len() <= 63)));
    }
}
