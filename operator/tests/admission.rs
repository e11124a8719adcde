//! What the API server itself refuses, and what people read then.

mod support;

use cartera_cluster::Cluster;
use cartera_operator::crd::{PlatformConfig, Tenant};
use kube::CustomResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::{Home, image, tenant};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn every_rule_refuses_with_a_sentence_and_lets_the_rest_through() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let spec = |name: &str, spec: Value| tenant(name, &json!({ "spec": spec }));
    let storage = |size: &str| json!({ "database": { "storage": { "size": size } } });
    let domain = |domain: Value| json!({ "routing": { "customDomains": [domain] } });
    let plan = |patch: Value| {
        let mut plan = support::plan("sold");
        cartera_operator::cluster::merge_patch(&mut plan, &json!({ "spec": { "published": true } }));
        cartera_operator::cluster::merge_patch(&mut plan, &patch);
        plan
    };
    let platform = |name: &str, more: Value| {
        let mut platform = json!({
            "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig", "metadata": { "name": name },
            "spec": { "baseDomain": "crm.example", "channels": { "stable": image("1") } },
        });
        cartera_operator::cluster::merge_patch(&mut platform, &json!({ "spec": more }));
        platform
    };
    // In this order: some are changes of those before.
    let cases: Vec<(Value, Option<&str>)> = vec![
        (tenant("acme", &json!({})), None),
        (tenant("4ever", &json!({})), Some("a tenant's name begins with a letter")),
        (tenant(&"a".repeat(41), &json!({})), Some("has up to 40 letters")),
        (spec("acme", storage("2Gi")), None),
        (spec("acme", storage("1Gi")), Some("a volume cannot become smaller")),
        (
            spec("acme", json!({ "database": { "storage": { "size": "2Gi", "className": "other" } } })),
            Some("the storage class of a volume does not change"),
        ),
        (
            spec("acme", json!({ "database": { "engine": "PostgreSQL", "storage": { "size": "2Gi" } } })),
            Some("Unsupported value"),
        ),
        (spec("pinned", json!({ "version": { "channel": "pinned", "image": image("2") } })), None),
        (
            spec("pinned", json!({ "version": { "channel": "pinned" } })),
            Some("version.image goes with version.channel pinned"),
        ),
        (
            spec("tagged", json!({ "version": { "channel": "pinned", "image": "registry.example/cartera:1" } })),
            Some("should match"),
        ),
        (spec("purged", json!({ "deletion": { "protected": false, "policy": "Purge" } })), None),
        (
            spec("guarded", json!({ "deletion": { "protected": true, "policy": "Purge" } })),
            Some("set deletion.protected to false as well"),
        ),
        (spec("domains", domain(json!({ "host": "crm.acme.example" }))), None),
        (
            spec("domains", domain(json!({ "host": "crm.acme.example", "tls": "Secret" }))),
            Some("secretRef goes with tls Secret"),
        ),
        (spec("pooled", json!({ "isolation": { "mode": "Pooled" } })), Some("Unsupported value")),
        (plan(json!({})), None),
        (plan(json!({ "spec": { "displayName": "Sold" } })), None),
        (plan(json!({ "spec": { "published": false } })), Some("a published plan cannot be taken back")),
        (
            plan(json!({ "spec": { "entitlements": { "maxUsers": 99 } } })),
            Some("the entitlements of a published plan do not change"),
        ),
        (
            plan(json!({ "spec": { "resources": { "storage": "1Gi" } } })),
            Some("the resources of a published plan do not change"),
        ),
        (plan(json!({ "spec": { "supersedes": "sold" } })), Some("a plan cannot supersede itself")),
        (platform("default", json!({})), None),
        (platform("second", json!({})), Some("its name is default")),
        (platform("default", json!({ "gateway": { "mode": "Gateway" } })), Some("needs gateway.parentRef")),
        (platform("default", json!({ "maintenanceWindows": [{ "opens": "22:00", "lasts": "4h" }] })), None),
        (
            platform("default", json!({ "maintenanceWindows": [{ "opens": "24:00", "lasts": "4h" }] })),
            Some("should match"),
        ),
    ];
    check(&home, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn the_rules_of_a_roll_out_refuse_with_a_sentence_and_let_the_rest_through() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let rolled = |name: &str, spec: Value| {
        let mut rollout = support::rollout(name, &image("2"));
        cartera_operator::cluster::merge_patch(&mut rollout, &json!({ "spec": spec }));
        rollout
    };
    let cases = vec![
        (rolled("spring", json!({})), None),
        (rolled("spring", json!({ "maxInFlight": 3, "paused": true })), None),
        (rolled("spring", json!({ "to": { "image": image("3") } })), Some("a roll-out keeps its aim")),
        (rolled("spring", json!({ "waves": [{ "name": "other" }] })), Some("waves are neither added")),
        (rolled("both", json!({ "to": { "channel": "stable" } })), Some("name either to.channel or to.image")),
        (
            rolled("torn", json!({ "waves": [{ "name": "all", "count": 1, "percent": 10 }] })),
            Some("a wave has a selector, a percent or a count"),
        ),
    ];
    check(&home, cases).await;
}

/// No label at all would select every namespace. Whoever applies none leaves those that are there, so this is put.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn the_gateway_is_never_everybody() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let platforms: Api<PlatformConfig> = Api::namespaced(client.clone(), &home.namespace);
    let mut platform = platforms.get("default").await.expect("the platform of every home");
    platform.spec.gateway.ingress_from.namespace_labels.clear();
    let refused = platforms.replace("default", &PostParams::default(), &platform).await;
    let refused = refused.expect_err("it selects everybody").to_string();
    assert!(refused.contains("namespaceLabels") && refused.contains("at least 1 properties"), "{refused}");
}

/// As people look for them, by kubectl: what the definitions promise is what the API server does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn tenants_are_found_by_short_name_category_and_each_selectable_field() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    home.apply(&support::plan("other")).await;
    home.apply(&tenant("one", &json!({}))).await;
    let pinned = json!({ "subscription": { "planRef": { "name": "other" } }, "version": { "channel": "pinned", "image": image("2") } });
    home.apply(&tenant("two", &json!({ "spec": pinned }))).await;
    home.apply(&support::rollout("spring", &image("2"))).await;
    for (name, status) in
        [("one", json!({ "shard": 7, "powerState": "Awake" })), ("two", json!({ "shard": 8, "powerState": "Down" }))]
    {
        let status = json!({ "status": status });
        home.tenants().patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.expect("a status");
    }
    let cluster = Cluster::from_env_or_start().expect("the cluster that KUBECONFIG names");
    let got = |arguments: &[&str]| {
        let own = ["--output=name", "--namespace", &home.namespace];
        let said = cluster.kubectl(["get"].iter().chain(arguments).chain(&own)).expect("kubectl gets them");
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let tenants = ["tenant.cartera.dev/one", "tenant.cartera.dev/two"];
    assert_eq!(got(&["tnt"]), tenants);
    assert_eq!(got(&["fr"]), ["fleetrollout.cartera.dev/spring"]);

    let fields = [
        ("spec.subscription.planRef.name", "other"),
        ("spec.version.channel", "pinned"),
        ("status.shard", "8"),
        ("status.powerState", "Down"),
    ];
    let version = Tenant::crd().spec.versions.remove(0);
    let selectable = version.selectable_fields.unwrap_or_default();
    let selectable: Vec<&str> = selectable.iter().map(|field| field.json_path.trim_start_matches('.')).collect();
    assert_eq!(selectable, fields.map(|(field, _)| field), "each selectable field is tried");
    for (field, value) in fields {
        assert_eq!(got(&["tnt", "--field-selector", &format!("{field}={value}")]), tenants[1..], "{field}");
        assert_eq!(got(&["tnt", "--field-selector", &format!("{field}!={value}")]), tenants[..1], "{field}");
    }

    let mut category = got(&["cartera"]);
    category.sort_unstable();
    let all = [
        "fleetrollout.cartera.dev/spring",
        "plan.cartera.dev/other",
        "plan.cartera.dev/team",
        "platformconfig.cartera.dev/default",
        "tenant.cartera.dev/one",
        "tenant.cartera.dev/two",
    ];
    assert_eq!(category, all);
}

/// Applies objects in this order; each is accepted, or refused with these words.
async fn check(home: &Home, cases: Vec<(Value, Option<&str>)>) {
    for (object, refusal) in cases {
        match (home.try_apply(&object).await, refusal) {
            (Ok(_), None) => {}
            (Err(said), Some(expected)) => assert!(said.contains(expected), "{object}: {said}"),
            (found, _) => panic!("{object}: {found:?}, expected {refusal:?}"),
        }
    }
}
