//! A roll-out on a real API server, in the test's time: it waits while somebody paused it and until its maintenance window opens,
//! and asks servers whether they pass its gates.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cartera_operator::cluster::clock::ManualClock;
use cartera_operator::cluster::names;
use cartera_operator::crd::{FleetRollout, FleetRolloutStatus, RolloutState, Tenant};
use cartera_operator::tenant::health::{AskHealth, HealthError};
use cartera_operator::tenant::server::Health;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::Api;
use serde_json::{Value, json};

use support::operator::{Operator, PerfectServers, holds};
use support::running::namespace;
use support::{Home, image, platform, rollout, tenant};

/// Servers that are ready whatever they answer, and may answer every second request with an error.
struct Servers {
    perfect: PerfectServers,
    are_failing: Arc<AtomicBool>,
}

#[async_trait]
impl AskHealth for Servers {
    async fn ask(&self, namespace: &str, token: &str) -> Result<Health, HealthError> {
        let health = self.perfect.ask(namespace, token).await?;
        let errors = if self.are_failing.load(Ordering::Relaxed) { 50 } else { 0 };
        Ok(Health { requests: 100, errors, ..health })
    }
}

/// In the morning, later than any time at which the API server notes that something was made.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2050-11-01T08:00:00Z".parse::<Timestamp>().expect("a time")))
}

async fn status(home: &Home) -> FleetRolloutStatus {
    let rollouts: Api<FleetRollout> = Api::namespaced(home.client.clone(), &home.namespace);
    rollouts.get("spring").await.expect("the roll-out").status.unwrap_or_default()
}

/// What it is doing, and why.
async fn doing(home: &Home) -> (Option<RolloutState>, String) {
    let status = status(home).await;
    let why = status.conditions.into_iter().find(|condition| condition.kind == "Progressing");
    (status.state, why.map(|condition| condition.reason).unwrap_or_default())
}

async fn drive(operator: Operator, home: &Home, state: RolloutState, why: &str) -> Operator {
    let operator = operator.drive_until(home, "acme", async || rests(&doing(home).await, state)).await;
    assert_eq!(doing(home).await, (Some(state), why.to_owned()), "{:?}", status(home).await);
    operator
}

/// Whether it is in that state, or in one that it does not leave by itself.
fn rests((now, _): &(Option<RolloutState>, String), state: RolloutState) -> bool {
    *now == Some(state) || matches!(now, Some(RolloutState::Paused | RolloutState::Succeeded))
}

/// The image of the tenant's server, and the pod that it runs in; nothing while that is on its way.
async fn runs(home: &Home, acme: &Tenant) -> Option<(String, String)> {
    let pods: Api<Pod> = Api::namespaced(home.client.clone(), &namespace(acme));
    let pod = pods.get_opt(names::POD).await.expect("an answer")?;
    let uid = pod.uid()?;
    Some((pod.spec?.containers.into_iter().next()?.image?, uid))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_roll_out_waits_for_who_paused_it_for_its_window_and_for_its_gates() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    home.apply(&platform(&json!({ "spec": { "maintenanceWindows": [{ "opens": "22:00", "lasts": "4h" }] } }))).await;
    home.apply(&tenant("acme", &json!({}))).await;
    let mut operator = Operator::start(&home, None, clock(), 7);
    let are_failing = Arc::new(AtomicBool::new(true));
    operator.context.health =
        Arc::new(Servers { perfect: PerfectServers(client.clone()), are_failing: are_failing.clone() });
    let operator = operator.drive(&home, "acme", |tenant| holds(tenant, "Ready")).await;
    let acme = home.tenants().get("acme").await.expect("the tenant");
    let before = runs(&home, &acme).await;
    assert_eq!(before.as_ref().map(|(held, _)| held.clone()), Some(image("1")));

    let spring = |more: Value| {
        let mut spring = rollout("spring", &image("2"));
        cartera_operator::cluster::merge_patch(&mut spring, &json!({ "spec": more }));
        spring
    };
    let gates = json!({ "maxErrorRatePercent": 5 });
    home.apply(&spring(json!({ "paused": true, "gates": gates }))).await;
    let operator = drive(operator, &home, RolloutState::Paused, "ByRequest").await;
    assert_eq!(runs(&home, &acme).await, before, "somebody paused it");

    home.apply(&spring(json!({ "paused": false, "gates": gates }))).await;
    let is_let_go = async || doing(&home).await.0 != Some(RolloutState::Paused);
    let operator = operator.drive_until(&home, "acme", is_let_go).await;
    let operator = drive(operator, &home, RolloutState::Waiting, "Window").await;
    assert_eq!(runs(&home, &acme).await, before, "its window is closed");

    operator.clock.advance(Duration::from_hours(14));
    let is_begun = async || runs(&home, &acme).await.is_some_and(|(held, _)| held == image("2"));
    let operator = operator.drive_until(&home, "acme", is_begun).await;
    let operator = drive(operator, &home, RolloutState::Paused, "FailureBudget").await;
    let failures = status(&home).await.failures;
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!((&*failures[0].tenant, &*failures[0].reason), ("acme", "more than 5 % of its requests failed"));
    let acme = home.tenants().get("acme").await.expect("the tenant");
    assert!(holds(Some(&acme), "Ready"), "only the gate is what it does not pass");

    are_failing.store(false, Ordering::Relaxed);
    let passes = async || doing(&home).await.0 == Some(RolloutState::Succeeded);
    operator.drive_until(&home, "acme", passes).await;
}
