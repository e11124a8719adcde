//! Definitions that come and go, on a cluster of this test's own: those of others, from the sources of their own projects, and
//! one of ours.

mod support;

use cartera_cluster::Cluster;
use cartera_operator::cluster::definitions;
use cartera_operator::cluster::{Kind, names};
use cartera_operator::crd::{FleetRollout, RolloutState, SCHEMA_ANNOTATION};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use support::operator::holds;
use support::running::{Running, namespace, ready, removed, said, until};
use support::{Home, image, rollout, tenant};

/// Everything that other software would do is asked for.
fn platform() -> Value {
    json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig", "metadata": { "name": "default" },
        "spec": {
            "baseDomain": "crm.example", "channels": { "stable": image("1") },
            "gateway": { "mode": "Auto", "parentRef": { "name": "web", "namespace": "gateways" } },
            "tls": { "issuerRef": { "name": "letsencrypt" } },
        },
    })
}

fn objects(home: &Home, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(home.client.clone(), namespace, &kind.resource())
}

async fn count(home: &Home, kind: Kind, namespace: &str) -> usize {
    objects(home, kind, namespace).list(&ListParams::default()).await.map_or(0, |list| list.items.len())
}

/// Says of an object what its controller would say: none of them runs here.
async fn report(home: &Home, kind: Kind, namespace: &str, name: &str, status: Value) {
    let api = objects(home, kind, namespace);
    let status = json!({ "status": status });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.expect("a status");
}

fn condition(kind: &str, status: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": "Some", "message": message,
        "lastTransitionTime": "2026-11-01T08:00:00Z", "observedGeneration": 1,
    })
}

async fn remove_definition(home: &Home, name: &str) {
    let api: Api<CustomResourceDefinition> = Api::all(home.client.clone());
    api.delete(name, &DeleteParams::default()).await.expect("a deletion");
    until("end of the definition", async || api.get_opt(name).await.ok()?.is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a cluster: make cluster-test"]
async fn routes_certificates_and_measurements_are_what_their_own_projects_define() {
    let cluster = Cluster::start().expect("a cluster");
    cluster.install_foreign_crds().expect("definitions of others");
    let home = Home::reach(cluster.kubeconfig()).await;
    home.apply(&platform()).await;
    let running = Running::start(&home);
    let domains = json!([
        { "host": "crm.acme.example" },
        { "host": "ventas.acme.example", "tls": "Secret", "secretRef": { "name": "ventas-tls" } },
    ]);
    home.apply(&tenant("acme", &json!({ "spec": { "routing": { "customDomains": domains } } }))).await;
    said(&home, "acme", "RouteReady", "Waiting").await;
    let acme = home.tenants().get("acme").await.expect("the tenant");
    let namespace = namespace(&acme);
    for (kind, number) in [
        (Kind::HTTPRoute, 1),
        (Kind::Certificate, 2),
        (Kind::ServiceMonitor, 1),
        (Kind::PrometheusRule, 1),
        (Kind::Ingress, 0),
    ] {
        until(kind.name(), async || (count(&home, kind, &namespace).await == number).then_some(())).await;
    }
    others_report(&home, &namespace).await;
    a_kind_that_goes_is_done_without(&cluster, &home, &namespace).await;
    removed(&home, "acme").await;
    running.stop().await;
}

/// What controllers of others say is what the tenant says.
async fn others_report(home: &Home, namespace: &str) {
    let parents = |status: &str, message: &str| {
        json!({ "parents": [{
            "parentRef": { "name": "web", "namespace": "gateways" }, "controllerName": "gateways.example/controller",
            "conditions": [condition("Accepted", status, message)],
        }] })
    };
    report(home, Kind::HTTPRoute, namespace, names::SERVER, parents("False", "no listener takes the host")).await;
    let message = said(home, "acme", "RouteReady", "Refused").await;
    assert!(message.contains("no listener takes the host"), "{message}");
    report(home, Kind::HTTPRoute, namespace, names::SERVER, parents("True", "")).await;
    said(home, "acme", "RouteReady", "Accepted").await;
    ready(home, "acme").await;
    for name in ["cartera-tls", "cartera-tls-1"] {
        let message = said(home, "acme", "CertificateReady", "Waiting").await;
        assert!(message.contains(name), "{message}");
        let status = json!({ "conditions": [condition("Ready", "True", "")] });
        report(home, Kind::Certificate, namespace, name, status).await;
        until("next certificate", async || {
            let said = support::running::reason(home, "acme", "CertificateReady").await?.1;
            (!said.contains(&format!("{name} "))).then_some(())
        })
        .await;
    }
    until("certificates", async || {
        let tenant = home.tenants().get("acme").await.ok();
        holds(tenant.as_ref(), "CertificateReady").then_some(())
    })
    .await;
}

async fn a_kind_that_goes_is_done_without(cluster: &Cluster, home: &Home, namespace: &str) {
    remove_definition(home, "httproutes.gateway.networking.k8s.io").await;
    let message = said(home, "acme", "EngineMissing", "KindMissing").await;
    assert!(message.contains("httproutes.gateway.networking.k8s.io"), "{message}");
    let ingresses: Api<Ingress> = Api::namespaced(home.client.clone(), namespace);
    until("Ingress", async || ingresses.get_opt(names::SERVER).await.ok()?).await;
    cluster.install_foreign_crds().expect("definitions of others");
    said(home, "acme", "EngineMissing", "Complete").await;
    until("route", async || (count(home, Kind::HTTPRoute, namespace).await == 1).then_some(())).await;
    until("end of the Ingress", async || ingresses.get_opt(names::SERVER).await.ok()?.is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a cluster: make cluster-test"]
async fn a_definition_of_ours_that_goes_stops_only_what_it_defines() {
    let cluster = Cluster::start().expect("a cluster");
    let home = Home::reach(cluster.kubeconfig()).await;
    let running = Running::start(&home);
    home.apply(&tenant("acme", &json!({}))).await;
    let acme = ready(&home, "acme").await;
    remove_definition(&home, "fleetrollouts.cartera.dev").await;
    an_operator_does_not_begin_without(&home, "the cluster has no definition of fleetrollouts.cartera.dev").await;
    let services: Api<Service> = Api::namespaced(home.client.clone(), &namespace(&acme));
    services.delete(names::SERVER, &DeleteParams::default()).await.expect("a deletion");
    until("Service made anew", async || services.get_opt(names::SERVER).await.ok()?).await;
    ready(&home, "acme").await;

    support::install_definitions(&home.client).await;
    definitions::expect(home.client.clone()).await.expect("everything is there");
    home.apply(&rollout("spring", &image("2"))).await;
    let rollouts: Api<FleetRollout> = Api::namespaced(home.client.clone(), &home.namespace);
    until("roll-out that succeeds", async || {
        let state = rollouts.get("spring").await.ok()?.status?.state?;
        (state == RolloutState::Succeeded).then_some(())
    })
    .await;
    removed(&home, "acme").await;
    running.stop().await;

    let earlier = json!({ "metadata": { "annotations": { SCHEMA_ANNOTATION: "0" } } });
    let api: Api<CustomResourceDefinition> = Api::all(home.client.clone());
    api.patch("plans.cartera.dev", &PatchParams::default(), &Patch::Merge(&earlier)).await.expect("an edit");
    an_operator_does_not_begin_without(&home, "definition of plans.cartera.dev is of schema 0").await;
}

async fn an_operator_does_not_begin_without(home: &Home, why: &str) {
    let refused = definitions::expect(home.client.clone()).await.expect_err("it is not as it should be").to_string();
    assert!(refused.contains(why) && refused.contains("cartera-operator crds --apply"), "{refused}");
}
