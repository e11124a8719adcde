//! The whole controller against the real API server: what people see, what at rest is sent, what is put right.

mod support;

use std::sync::Arc;
use std::time::Duration;

use cartera_operator::cluster::api::Cluster;
use cartera_operator::cluster::clock::{ManualClock, SystemClock};
use cartera_operator::cluster::entropy::SystemEntropy;
use cartera_operator::cluster::fence::NoFence;
use cartera_operator::cluster::index::Index;
use cartera_operator::cluster::shards::Shards;
use cartera_operator::cluster::{Kind, names};
use cartera_operator::controller::{self, Leading};
use cartera_operator::crd::{Plan, Tenant};
use cartera_operator::tenant::{Context, Memory};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use support::fault::Network;
use support::operator::{PerfectServers, children, holds};
use support::watch_fault::WatchFault;
use support::{Home, builder, tenant};

/// A controller that runs until it is stopped, and the network that counts what it sends.
struct Running {
    network: Network,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(home: &Home) -> Self {
        Self::start_with(home, None).await
    }

    /// Starts one that a fault disturbs the watches of.
    async fn start_with(home: &Home, fault: Option<WatchFault>) -> Self {
        let network = Network::new(None, Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)));
        let clock = Arc::new(SystemClock);
        let context = Context {
            cluster: Cluster::new(client(&network, fault).await, clock.clone(), Arc::default()),
            index: Arc::new(Index::default()),
            clock,
            entropy: Arc::new(SystemEntropy),
            health: Arc::new(PerfectServers(home.client.clone())),
            fence: Arc::new(NoFence),
            operator: None,
            memory: Memory::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let namespace = home.namespace.clone();
        let task = tokio::spawn(async move {
            let leads = watch::Sender::new(Shards::ALL);
            let leading = Leading { leads: leads.subscribe(), acts: watch::Sender::new(Shards::default()) };
            controller::run(Arc::new(context), namespace, leading, Arc::default(), async {
                let _ = stopped.await;
            })
            .await;
        });
        Self { network, stop, task }
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("the controller ends");
    }
}

async fn client(network: &Network, fault: Option<WatchFault>) -> Client {
    match fault {
        Some(fault) => builder().await.with_layer(&fault).with_layer(network).build(),
        None => builder().await.with_layer(network).build(),
    }
}

/// Waits until `what` gives something.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("in a minute there was no {what}");
}

async fn ready(home: &Home, name: &str) -> Tenant {
    until("Ready tenant", async || {
        Some(home.tenants().get(name).await.ok()?).filter(|tenant| holds(Some(tenant), "Ready"))
    })
    .await
}

async fn reason(home: &Home, name: &str, kind: &str) -> Option<(String, String)> {
    let tenant = home.tenants().get(name).await.ok()?;
    let conditions = tenant.status?.conditions;
    conditions
        .into_iter()
        .find(|condition| condition.kind == kind)
        .map(|condition| (condition.reason, condition.message))
}

async fn removed(home: &Home, name: &str) {
    let _ = home.tenants().delete(name, &DeleteParams::default()).await;
    until("end of the tenant", async || home.tenants().get_opt(name).await.ok()?.is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_tenant_is_made_rests_is_put_right_and_goes() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home).await;
    home.apply(&tenant("acme", &json!({ "spec": { "customer": { "email": "ana@acme.example" } } }))).await;
    let acme = ready(&home, "acme").await;
    let namespace = acme.status.as_ref().and_then(|status| status.namespace.clone()).expect("its namespace");

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

async fn the_pods_that_were_made_pass_the_restricted_standard(client: &Client, namespace: &str) {
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), namespace);
    assert_eq!(pods.list(&ListParams::default()).await.expect("pods").items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn bad_input_is_answered_by_a_condition_that_says_what_to_do() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home).await;
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
        let (_, message) =
            until(expected, async || reason(&home, name, "Accepted").await.filter(|(reason, _)| reason == expected))
                .await;
        assert!(message.contains(advice), "{message}");
        removed(&home, name).await;
    }
    let domain = json!({ "spec": { "routing": { "customDomains": [{ "host": "crm.acme.example" }] } } });
    home.apply(&tenant("first", &domain)).await;
    ready(&home, "first").await;
    home.apply(&tenant("second", &domain)).await;
    let (_, message) = until("HostnameTaken", async || {
        reason(&home, "second", "Accepted").await.filter(|(reason, _)| reason == "HostnameTaken")
    })
    .await;
    assert!(message.contains("the tenant first holds"), "{message}");
    removed(&home, "second").await;
    removed(&home, "first").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_plan_only_says_what_it_would_do_and_a_pause_does_nothing() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home).await;
    let mode = |mode: &str| json!({ "spec": { "reconcile": { "mode": mode } } });
    home.apply(&tenant("acme", &mode("Plan"))).await;
    until("planned changes", async || {
        reason(&home, "acme", "Drifted").await.filter(|(reason, _)| reason == "ChangesPlanned")
    })
    .await;
    let acme = home.tenants().get("acme").await.expect("the tenant");
    let uid = acme.metadata.uid.clone().expect("a uid");
    assert!(acme.status.expect("a status").planned_changes.len() > 8);
    assert_eq!(children(&client, Kind::Namespace, &uid).await, Vec::<Value>::new());
    home.apply(&tenant("acme", &mode("Paused"))).await;
    until("Paused", async || reason(&home, "acme", "Paused").await.filter(|(reason, _)| reason == "ByRequest")).await;
    home.apply(&tenant("acme", &mode("Enforce"))).await;
    ready(&home, "acme").await;
    removed(&home, "acme").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_protected_tenant_works_on_until_it_is_let_go() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let running = Running::start(&home).await;
    home.apply(&tenant("acme", &json!({ "spec": { "deletion": { "protected": true } } }))).await;
    ready(&home, "acme").await;
    home.tenants().delete("acme", &DeleteParams::default()).await.expect("a deletion");
    until("DeletionBlocked", async || {
        reason(&home, "acme", "DeletionBlocked").await.filter(|(reason, _)| reason == "Protected")
    })
    .await;
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
    for fault in WatchFault::ALL {
        let home = Home::new(&client).await;
        let running = Running::start_with(&home, Some(fault)).await;
        home.apply(&tenant("acme", &json!({}))).await;
        let acme = ready(&home, "acme").await;
        let namespace = acme.status.as_ref().and_then(|status| status.namespace.clone()).expect("its namespace");
        drift_is_put_right(&client, &namespace).await;
        removed(&home, "acme").await;
        running.stop().await;
    }
}
