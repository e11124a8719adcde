//! The whole controller against the real API server: what people see, what at rest is sent, what is put right.

mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use cartera_operator::cluster::{Kind, names};
use cartera_operator::crd::{Plan, Tenant};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, PodSpec, Service};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use support::fault::Network;
use support::operator::{children, footprint, holds};
use support::running::{Running, namespace, ready, removed, said, until};
use support::volume::{reclaim_policy, volume_of};
use support::watch_fault::{BadWatches, WatchFault};
use support::{Home, tenant};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_tenant_is_made_rests_is_put_right_and_goes() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home);
    home.apply(&tenant("acme", &json!({ "spec": { "customer": { "email": "ana@acme.example" } } }))).await;
    let acme = ready(&home, "acme").await;
    let namespace = namespace(&acme);

    at_rest_nothing_is_sent(&running.network).await;
    drift_is_put_right(&client, &namespace).await;
    events_tell_of_passages(&client, &home).await;
    the_plan_counts_its_tenants(&client, &home).await;
    the_pods_that_were_made_pass_the_restricted_standard(&client, &namespace).await;

    removed(&home, "acme").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    assert!(namespaces.get_opt(&namespace).await.expect("an answer").is_none());
    running.stop().await;
}

async fn at_rest_nothing_is_sent(network: &Network) {
    // Plans count their tenants five seconds later; then nothing more comes.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let (writes, reads) = (network.writes().len(), network.reads());
    // Longer than the minute after which a server is asked how it is.
    tokio::time::sleep(Duration::from_secs(75)).await;
    assert_eq!(network.writes()[writes..], Vec::<String>::new());
    assert_eq!(network.reads() - reads, 0);
}

async fn drift_is_put_right(client: &Client, namespace: &str) {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let edit = json!({ "spec": { "selector": { "app.kubernetes.io/name": "other" } } });
    services.patch(names::SERVER, &PatchParams::default(), &Patch::Merge(&edit)).await.expect("an edit");
    until("repaired selector", async || {
        let selector = services.get(names::SERVER).await.ok()?.spec?.selector?;
        (selector.get("app.kubernetes.io/name")? == names::SERVER).then_some(())
    })
    .await;
    let configurations: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    configurations.delete(names::CONFIGURATION, &DeleteParams::default()).await.expect("a deletion");
    until("configuration made anew", async || configurations.get_opt(names::CONFIGURATION).await.ok()?.map(|_| ()))
        .await;
}

async fn events_tell_of_passages(client: &Client, home: &Home) {
    let events: Api<Event> = Api::namespaced(client.clone(), &home.namespace);
    let told = events.list(&ListParams::default()).await.expect("events").items;
    let ready = told.iter().filter(|event| event.reason.as_deref() == Some("Ready")).count();
    assert_eq!(ready, 1, "{told:#?}");
}

async fn the_plan_counts_its_tenants(client: &Client, home: &Home) {
    let plans: Api<Plan> = Api::namespaced(client.clone(), &home.namespace);
    until("counted tenant", async || (plans.get("team").await.ok()?.status?.tenants == 1).then_some(())).await;
}

/// A namespace that enforces the standard is asked about each pod and each template for pods: a pod that is there may have been
/// let in by a namespace that enforces less.
async fn the_pods_that_were_made_pass_the_restricted_standard(client: &Client, namespace: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made = namespaces.get(namespace).await.expect("the tenant's namespace");
    assert_eq!(made.labels().get(ENFORCED).map(String::as_str), Some("restricted"));

    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods.list(&ListParams::default()).await.expect("pods").items;
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let sets = sets.list(&ListParams::default()).await.expect("StatefulSets").items;
    assert_eq!((pods.len(), sets.len()), (1, 1));
    let of_pods = pods.into_iter().filter_map(|pod| Some((pod.metadata.annotations, pod.spec?)));
    let of_templates = sets.into_iter().filter_map(|set| {
        let template = set.spec?.template;
        Some((template.metadata.and_then(|metadata| metadata.annotations), template.spec?))
    });
    let all: Vec<(Option<BTreeMap<String, String>>, PodSpec)> = of_pods.chain(of_templates).collect();
    assert_eq!(all.len(), 2);

    let strict = format!("strict-{namespace}");
    let labels = json!({ (ENFORCED): "restricted" });
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": strict, "labels": labels } });
    namespaces.patch(&strict, &PatchParams::apply("person"), &Patch::Apply(&object)).await.expect("a namespace");
    for (annotations, mut spec) in all {
        // Neither a node nor an account of this namespace is meant.
        (spec.node_name, spec.service_account_name, spec.service_account) = (None, None, None);
        let mut weak = spec.clone();
        weak.host_network = Some(true);
        let refused = is_let_in(client, &strict, annotations.clone(), weak).await.expect_err("it weakens the standard");
        assert!(refused.contains("violates PodSecurity"), "{refused}");
        is_let_in(client, &strict, annotations, spec).await.expect("it passes the standard");
    }
    namespaces.delete(&strict, &DeleteParams::default()).await.expect("it may go");
}

/// How strict a namespace is.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce";

/// Whether a namespace lets a pod in, which is not made; a refusal is its message.
async fn is_let_in(
    client: &Client,
    namespace: &str,
    annotations: Option<BTreeMap<String, String>>,
    spec: PodSpec,
) -> Result<(), String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let metadata = ObjectMeta { name: Some("asked".to_owned()), annotations, ..ObjectMeta::default() };
    let pod = Pod { metadata, spec: Some(spec), ..Pod::default() };
    let only_asked = PostParams { dry_run: true, ..PostParams::default() };
    // The namespace's default account is there a moment after the namespace.
    until("answer about a pod", async || match pods.create(&only_asked, &pod).await {
        Ok(_) => Some(Ok(())),
        Err(error) if error.to_string().contains("serviceaccount \"default\" not found") => None,
        Err(error) => Some(Err(error.to_string())),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn bad_input_is_answered_by_a_condition_that_says_what_to_do() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home);
    let cases = [
        (
            "lost",
            json!({ "subscription": { "planRef": { "name": "none" } } }),
            "PlanNotFound",
            "make it, or name another",
        ),
        ("small", json!({ "isolation": { "quota": { "memory": "1Mi" } } }), "QuotaTooSmall", "raise it"),
        ("greedy", json!({ "modules": ["everything"] }), "ModuleNotInPlan", "take it out of modules"),
    ];
    for (name, spec, expected, advice) in cases {
        home.apply(&tenant(name, &json!({ "spec": spec }))).await;
        let message = said(&home, name, "Accepted", expected).await;
        assert!(message.contains(advice), "{message}");
        removed(&home, name).await;
    }
    let domain = json!({ "spec": { "routing": { "customDomains": [{ "host": "crm.acme.example" }] } } });
    home.apply(&tenant("first", &domain)).await;
    ready(&home, "first").await;
    home.apply(&tenant("second", &domain)).await;
    let message = said(&home, "second", "Accepted", "HostnameTaken").await;
    assert!(message.contains("the tenant first holds"), "{message}");
    removed(&home, "second").await;
    removed(&home, "first").await;
    running.stop().await;
}

/// The name of a tenant's namespace can be known before it is made.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_namespace_of_somebody_else_is_left_alone() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home);
    home.apply(&tenant("acme", &json!({ "spec": { "reconcile": { "mode": "Paused" } } }))).await;
    said(&home, "acme", "Paused", "ByRequest").await;
    let acme = home.tenants().get("acme").await.expect("the tenant");
    let name = names::namespace(&acme);
    let theirs = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "team": "somebody-else" } },
    });
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made =
        namespaces.patch(&name, &PatchParams::apply("person"), &Patch::Apply(&theirs)).await.expect("a namespace");
    home.apply(&tenant("acme", &json!({}))).await;
    let message = said(&home, "acme", "NamespaceReady", "NamespaceTaken").await;
    assert!(message.contains(&name) && message.contains("delete it or rename it if nobody needs it"), "{message}");
    removed(&home, "acme").await;
    let left = namespaces.get(&name).await.expect("it is there");
    assert_eq!((left.labels(), left.uid()), (made.labels(), made.uid()));
    assert_eq!(everything_made_in(&client, &name).await, Vec::<String>::new());
    namespaces.delete(&name, &DeleteParams::default()).await.expect("it may go");
    running.stop().await;
}

/// What the operator made in a namespace.
async fn everything_made_in(client: &Client, namespace: &str) -> Vec<String> {
    let claims = names_of::<PersistentVolumeClaim>(client, namespace).await;
    let services = names_of::<Service>(client, namespace).await;
    let configurations = names_of::<ConfigMap>(client, namespace).await;
    // Kubernetes puts this one into every namespace.
    [claims, services, configurations].concat().into_iter().filter(|name| name != "kube-root-ca.crt").collect()
}

async fn names_of<K>(client: &Client, namespace: &str) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let objects: Api<K> = Api::namespaced(client.clone(), namespace);
    objects.list(&ListParams::default()).await.expect("a list").iter().map(ResourceExt::name_any).collect()
}

/// Simulated nodes pull nothing, so the test says what a node says.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn an_image_that_nobody_has_is_named_in_the_condition() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home);
    let image = support::image("9");
    let pinned = json!({ "spec": {
        "version": { "channel": "pinned", "image": image },
        // No simulated node may take the pod and have it run.
        "isolation": { "nodeSelector": { "such": "as-no-node-has" } },
    } });
    home.apply(&tenant("acme", &pinned)).await;
    said(&home, "acme", "WorkloadReady", "Unschedulable").await;
    let acme = home.tenants().get("acme").await.expect("the tenant");
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace(&acme));
    let waiting = json!({ "reason": "ImagePullBackOff", "message": "not found" });
    let status = json!({ "status": { "containerStatuses": [{
        "name": "cartera", "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": { "waiting": waiting },
    }] } });
    pods.patch_status(names::POD, &PatchParams::default(), &Patch::Merge(&status)).await.expect("a status");
    let message = said(&home, "acme", "WorkloadReady", "ImageNotPulled").await;
    assert!(message.contains(&image) && message.contains("correct version.image or the channel"), "{message}");
    removed(&home, "acme").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn the_policy_says_whether_the_volume_outlives_its_tenant() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home);
    for (policy, reclaim) in [("Retain", "Retain"), ("Purge", "Delete")] {
        let name = policy.to_lowercase();
        home.apply(&tenant(&name, &json!({ "spec": { "deletion": { "policy": policy } } }))).await;
        let made = ready(&home, &name).await;
        let volume = volume_of(&client, &made).await;
        removed(&home, &name).await;
        let found = reclaim_policy(&client, &volume).await;
        assert!(found.as_deref() == Some(reclaim) || policy == "Purge" && found.is_none(), "{policy}: {found:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_plan_only_says_what_it_would_do_and_a_pause_does_nothing() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home);
    let mode = |mode: &str| json!({ "spec": { "reconcile": { "mode": mode } } });
    home.apply(&tenant("acme", &mode("Plan"))).await;
    said(&home, "acme", "Drifted", "ChangesPlanned").await;
    let acme = home.tenants().get("acme").await.expect("the tenant");
    let uid = acme.metadata.uid.clone().expect("a uid");
    assert!(acme.status.expect("a status").planned_changes.len() > 8);
    assert_eq!(children(&client, Kind::Namespace, &uid).await, Vec::<Value>::new());
    home.apply(&tenant("acme", &mode("Paused"))).await;
    said(&home, "acme", "Paused", "ByRequest").await;
    after_everything_heard_so_far(&home, "second").await;
    assert_eq!(children(&client, Kind::Namespace, &uid).await, Vec::<Value>::new(), "a pause makes nothing");

    home.apply(&tenant("acme", &mode("Enforce"))).await;
    let namespace = namespace(&ready(&home, "acme").await);
    home.apply(&tenant("acme", &mode("Paused"))).await;
    said(&home, "acme", "Paused", "ByRequest").await;
    let before = running.network.writes().len();
    let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
    services.delete(names::SERVER, &DeleteParams::default()).await.expect("a deletion");
    after_everything_heard_so_far(&home, "third").await;
    assert!(services.get_opt(names::SERVER).await.expect("an answer").is_none(), "a pause repairs nothing");
    let of_acme = format!("/namespaces/{namespace}");
    let written: Vec<String> =
        running.network.writes().split_off(before).into_iter().filter(|write| write.contains(&of_acme)).collect();
    assert_eq!(written, Vec::<String>::new());

    home.apply(&tenant("acme", &mode("Enforce"))).await;
    until("Service made anew", async || services.get_opt(names::SERVER).await.ok()?).await;
    ready(&home, "acme").await;
    for name in ["acme", "second", "third"] {
        removed(&home, name).await;
    }
    running.stop().await;
}

/// Makes another tenant: it takes several reconciles, and what was there to be heard before has long been acted on by then.
async fn after_everything_heard_so_far(home: &Home, other: &str) {
    home.apply(&tenant(other, &json!({}))).await;
    ready(home, other).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_protected_tenant_works_on_until_it_is_let_go() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home);
    home.apply(&tenant("acme", &json!({ "spec": { "deletion": { "protected": true } } }))).await;
    ready(&home, "acme").await;
    home.tenants().delete("acme", &DeleteParams::default()).await.expect("a deletion");
    said(&home, "acme", "DeletionBlocked", "Protected").await;
    let acme = home.tenants().get("acme").await.expect("it is there");
    assert!(holds(Some(&acme), "Ready"));
    home.apply(&tenant("acme", &json!({}))).await;
    until("end of the tenant", async || home.tenants().get_opt("acme").await.ok()?.is_none().then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn watches_that_break_repeat_or_forget_change_nothing() {
    let client = support::cluster().await;
    let expected = lived(&client, None, None).await;
    let expected = Some(expected.as_slice());
    let all = WatchFault::ALL.map(|fault| {
        let client = &client;
        async move {
            let watches = BadWatches::new(fault);
            lived(client, Some(&watches), expected).await;
            (fault, watches.count())
        }
    });
    let counts = futures_util::future::join_all(all).await;
    print_counts(&counts);
    for (fault, count) in counts {
        assert!(count > 0, "{fault:?} was never injected");
    }
}

fn print_counts(counts: &[(WatchFault, usize)]) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "watches: {counts:?}");
}

/// The life of a tenant up to its end: what it was like when it was ready, and again after somebody changed it. That has to
/// become what is `expected`, where something is.
async fn lived(client: &Client, watched: Option<&BadWatches>, expected: Option<&[String]>) -> Vec<String> {
    let home = Home::new(client).await;
    let running = Running::start_with(&home, None, watched);
    home.apply(&tenant("acme", &json!({}))).await;
    let acme = ready(&home, "acme").await;
    let found = footprint(client, &acme).await;
    let expected = expected.unwrap_or(&found);
    it_becomes(client, &acme, expected, watched).await;
    drift_is_put_right(client, &namespace(&acme)).await;
    it_becomes(client, &acme, expected, watched).await;
    removed(&home, "acme").await;
    assert_eq!(footprint(client, &acme).await, Vec::<String>::new(), "nothing of it is left");
    running.stop().await;
    found
}

/// Waits until everything of a tenant is as it was expected.
async fn it_becomes(client: &Client, tenant: &Tenant, expected: &[String], watched: Option<&BadWatches>) {
    for _ in 0..600 {
        if footprint(client, tenant).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(footprint(client, tenant).await, expected, "{watched:?}");
}
