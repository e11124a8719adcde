//! A fault at each write of each scenario: the end is that of a run where nothing went wrong.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cartera_operator::cluster::clock::ManualClock;
use cartera_operator::cluster::names;
use cartera_operator::crd::{FleetRollout, RolloutState, Tenant};
use cartera_operator::tenant::server::{PREVIOUS_TOKEN, TOKEN};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use support::fault::{Fault, Network, Write};
use support::operator::{Operator, events, footprint, holds};
use support::running::namespace;
use support::volume::{claims, reclaim_policy, volume_of};
use support::{Home, image, platform, rollout, tenant};

const SEED: u64 = 7;
/// Cases at a time.
const TOGETHER: usize = 8;
/// With so many writes, each fault at each of them costs little.
const FEW_WRITES: usize = 8;
/// How often a case is run until its fault comes: what the cluster does meanwhile is seen in fewer steps where it is quick, and a
/// run may need a write less.
const ATTEMPTS: usize = 3;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-11-01T08:00:00Z".parse::<Timestamp>().expect("a time")))
}

fn operator(home: &Home, at: Option<(usize, Fault)>) -> Operator {
    Operator::start(home, at, clock(), SEED)
}

fn is_ready(tenant: Option<&Tenant>) -> bool {
    holds(tenant, "Ready")
}

/// What a scenario came to.
struct End {
    /// Everything of the tenant.
    found: Vec<String>,
    /// How often each passage was told in an Event.
    told: BTreeMap<String, usize>,
    /// What the operator sent that the fault was meant for.
    network: Network,
}

impl End {
    async fn of(home: &Home, tenant: &Tenant, operator: Operator) -> Self {
        let told = told(&events(&home.client, tenant).await);
        Self { found: footprint(&home.client, tenant).await, told, network: operator.network }
    }
}

/// How often each passage was told that every run of a scenario has. Others, such as that a server starts or that people can work
/// again, are told where the operator looked in that moment.
fn told(events: &[Event]) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for event in events {
        let reason = event.reason.as_deref().unwrap_or_default();
        if ["Valid", "Deleting"].contains(&reason) {
            *told.entry(reason.to_owned()).or_default() += 1;
        }
    }
    told
}

/// An Event is written before the status that it tells of, so that none is left out. Who is killed in between, or cannot write
/// the status, tells the passage again at the time when it succeeds; and an Event that is refused is not tried again.
fn is_told_as_expected(fault: Fault, expected: &BTreeMap<String, usize>, found: &BTreeMap<String, usize>) -> bool {
    let number = |of: &BTreeMap<String, usize>, reason: &str| of.get(reason).copied().unwrap_or_default();
    expected.keys().chain(found.keys()).all(|reason| {
        let (expected, found) = (number(expected, reason), number(found, reason));
        match fault {
            Fault::KilledBefore | Fault::KilledAfter => (expected..=2 * expected).contains(&found),
            Fault::Conflict => found <= 2 * expected,
            Fault::TooMany | Fault::Internal | Fault::TimeoutAfterCommit | Fault::Hang => found == expected,
        }
    })
}

/// Runs `scenario` once without a fault, then with a fault at each of its writes: the faults take turns. Where there are few
/// writes, or with `ALL_FAULTS` set, each of them comes at each write.
async fn with_faults<S, F>(client: &Client, what: &str, scenario: S)
where
    S: Fn(Home, String, Option<(usize, Fault)>) -> F,
    F: Future<Output = End>,
{
    use std::io::Write as _;
    let clean = scenario(Home::new(client).await, "clean".into(), None).await;
    let writes = clean.network.writes().len();
    assert!(writes > 0, "{what}: nothing was written");
    let is_every = writes <= FEW_WRITES || std::env::var_os("ALL_FAULTS").is_some();
    let all = (0..writes).flat_map(|at| Fault::ALL.into_iter().enumerate().map(move |(turn, fault)| (at, turn, fault)));
    let cases: Vec<_> = all
        .filter(|(at, turn, _)| is_every || at % Fault::ALL.len() == *turn)
        .map(|(at, _, fault)| (at, fault))
        .collect();
    let mut fired = [0_usize; Fault::ALL.len()];
    let (number, mut spared) = (cases.len(), 0);
    // They wait for the cluster more than for anything else.
    let mut ends = stream::iter(cases)
        .map(async |(at, fault)| {
            for _ in 0..ATTEMPTS {
                let end = scenario(Home::new(client).await, format!("t{at}"), Some((at, fault))).await;
                if end.network.has_fired() {
                    return (at, fault, Some(end));
                }
                let writes = end.network.writes().len();
                assert!(writes <= at, "{what}: {fault:?} was not injected at write {at} of {writes}");
            }
            (at, fault, None)
        })
        .buffer_unordered(TOGETHER);
    while let Some((at, fault, end)) = ends.next().await {
        let Some(End { found, told, .. }) = end else {
            spared += 1;
            continue;
        };
        let only = |some: &[String], others: &[String]| -> Vec<String> {
            some.iter().filter(|line| !others.contains(line)).cloned().collect()
        };
        let difference = (only(&clean.found, &found), only(&found, &clean.found));
        assert!(found == clean.found, "{what}: {fault:?} at write {at}: missing and unexpected {difference:#?}");
        let (expected, kind) = (&clean.told, Fault::ALL.iter().position(|kind| *kind == fault).expect("a kind"));
        assert!(
            is_told_as_expected(fault, expected, &told),
            "{what}: {fault:?} at write {at}: {told:?} instead of {expected:?} was told"
        );
        fired[kind] += 1;
    }
    assert_eq!(fired.iter().sum::<usize>() + spared, number, "{what}: each case has had its fault");
    assert!(spared <= number / 4, "{what}: {spared} of {number} cases had no write for their fault");
    let kinds: Vec<String> = Fault::ALL.iter().zip(fired).map(|(fault, count)| format!("{fault:?} {count}")).collect();
    let _ = writeln!(
        std::io::stderr(),
        "{what}: {writes} writes, {number} cases ({}, without such a write {spared}), seed {SEED}, told {:?}",
        kinds.join(", "),
        clean.told
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn creating_a_tenant_survives_a_fault_at_each_write() {
    let client = support::cluster().await;
    with_faults(&client, "create", async |home: Home, name: String, at| {
        home.apply(&tenant(&name, &json!({ "spec": { "customer": { "email": "ana@acme.example" } } }))).await;
        let operator = operator(&home, at).drive(&home, &name, is_ready).await;
        let tenant = home.tenants().get(&name).await.expect("the tenant");
        End::of(&home, &tenant, operator).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn changing_a_tenants_plan_survives_a_fault_at_each_write() {
    let client = support::cluster().await;
    with_faults(&client, "plan change", async |home: Home, name: String, at| {
        let mut larger = support::plan("larger");
        larger["spec"]["resources"]["limits"]["memory"] = json!("128Mi");
        larger["spec"]["entitlements"]["maxUsers"] = json!(20);
        home.apply(&larger).await;
        home.apply(&tenant(&name, &json!({}))).await;
        operator(&home, None).drive(&home, &name, is_ready).await;
        let change = json!({ "spec": { "subscription": { "planRef": { "name": "larger" } } } });
        home.apply(&tenant(&name, &change)).await;
        let operator =
            operator(&home, at).drive(&home, &name, |tenant| is_ready(tenant) && runs_on(tenant, "larger")).await;
        let tenant = home.tenants().get(&name).await.expect("the tenant");
        End::of(&home, &tenant, operator).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn deleting_a_tenant_survives_a_fault_at_each_write() {
    let client = support::cluster().await;
    with_faults(&client, "delete", async |home: Home, name: String, at| {
        // With an address outside, so that there is something to be taken away first.
        home.apply(&platform(&json!({ "spec": { "gateway": { "mode": "Ingress" } } }))).await;
        home.apply(&tenant(&name, &json!({}))).await;
        let first = operator(&home, None).drive(&home, &name, |tenant| holds(tenant, "WorkloadReady")).await;
        let before = home.tenants().get(&name).await.expect("the tenant");
        take_ingress(&home, &before).await;
        first.drive(&home, &name, is_ready).await;
        let volume = volume_of(&home.client, &before).await;
        home.tenants().delete(&name, &DeleteParams::default()).await.expect("it may be deleted");
        let is_over = async || {
            // Whatever takes the claim along comes after the volume was made to stay.
            let is_kept = reclaim_policy(&home.client, &volume).await.as_deref() == Some("Retain");
            let is_left = home.tenants().get_opt(&name).await.expect("a tenant or none").is_some();
            assert!(is_kept || !is_going(&home.client, &before).await, "the data goes");
            !is_left
        };
        let operator = operator(&home, at).drive_until(&home, &name, is_over).await;
        assert_eq!(reclaim_policy(&home.client, &volume).await.as_deref(), Some("Retain"), "the data is gone");
        it_ended_in_order(&operator.network.sent(), &namespace(&before), &volume);
        End::of(&home, &before, operator).await
    })
    .await;
}

/// What comes later was not even sent before the API server had done what comes first.
fn it_ended_in_order(writes: &[Write], namespace: &str, volume: &str) {
    let steps = [
        format!("DELETE /apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{}", names::SERVER),
        format!("DELETE /apis/apps/v1/namespaces/{namespace}/statefulsets/{}", names::SERVER),
        format!("PATCH /api/v1/persistentvolumes/{volume}"),
        format!("PATCH /api/v1/namespaces/{namespace}/persistentvolumeclaims/{}", names::CLAIM),
        format!("DELETE /api/v1/namespaces/{namespace}"),
    ];
    for step in steps.windows(2) {
        let done = writes.iter().position(|write| write.request == step[0] && write.is_done);
        let sent = writes.iter().position(|write| write.request == step[1]);
        let (Some(done), Some(sent)) = (done, sent) else {
            panic!("{} was not done, or {} not sent: {writes:#?}", step[0], step[1]);
        };
        assert!(done < sent, "{} came before {}: {writes:#?}", step[1], step[0]);
    }
}

/// Says of a tenant's Ingress what its controller would say: none runs here.
async fn take_ingress(home: &Home, tenant: &Tenant) {
    let ingresses: Api<Ingress> = Api::namespaced(home.client.clone(), &namespace(tenant));
    let taken = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } });
    ingresses.patch_status(names::SERVER, &PatchParams::default(), &Patch::Merge(&taken)).await.expect("a status");
}

/// Whether a tenant's claim, or the namespace that takes it along, is being deleted or gone.
async fn is_going(client: &Client, tenant: &Tenant) -> bool {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let space = namespaces.get_opt(&namespace(tenant)).await.expect("an answer");
    let claim = claims(client, tenant).get_opt(names::CLAIM).await.expect("an answer");
    space.is_none_or(|space| space.metadata.deletion_timestamp.is_some())
        || claim.is_none_or(|claim| claim.metadata.deletion_timestamp.is_some())
}

/// What both sides know each other by changes, and the one before it counts until the server has read the new one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn making_keys_anew_survives_a_fault_at_each_write() {
    let client = support::cluster().await;
    with_faults(&client, "rotation", async |home: Home, name: String, at| {
        home.apply(&tenant(&name, &json!({}))).await;
        operator(&home, None).drive(&home, &name, is_ready).await;
        let tenant = home.tenants().get(&name).await.expect("the tenant");
        let secrets: Api<Secret> = Api::namespaced(home.client.clone(), &namespace(&tenant));
        let key = async |which: &str| {
            let secret = secrets.get(names::INTERNAL).await.expect("the keys");
            secret.data.unwrap_or_default().remove(which).unwrap_or_default().0
        };
        let first = key(TOKEN).await;
        // Of another seed: the same would make the same key again.
        let operator = Operator::start(&home, at, clock(), SEED + 1);
        operator.clock.advance(Duration::from_hours(24 * 91));
        let is_rotated = async || key(TOKEN).await != first;
        let operator = operator.drive_until(&home, &name, is_rotated).await;
        assert_eq!(key(PREVIOUS_TOKEN).await, first, "once, or the server is locked out");
        End::of(&home, &tenant, operator).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_roll_out_survives_a_fault_at_each_write() {
    let client = support::cluster().await;
    with_faults(&client, "roll-out", async |home: Home, name: String, at| {
        home.apply(&tenant(&name, &json!({}))).await;
        operator(&home, None).drive(&home, &name, is_ready).await;
        home.apply(&rollout("spring", &image("2"))).await;
        let rollouts: Api<FleetRollout> = Api::namespaced(home.client.clone(), &home.namespace);
        let is_over = async || {
            let status = rollouts.get("spring").await.expect("the roll-out").status;
            status.and_then(|status| status.state) == Some(RolloutState::Succeeded)
        };
        let operator = operator(&home, at).drive_until(&home, &name, is_over).await;
        let tenant = home.tenants().get(&name).await.expect("the tenant");
        assert!(is_ready(Some(&tenant)));
        let mut end = End::of(&home, &tenant, operator).await;
        let version = tenant.status.and_then(|status| status.version).expect("a version");
        end.found.push(format!("{:?} {:?} {:?}", version.image, version.previous, version.rollout_ref));
        end
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn repairing_what_somebody_changed_survives_a_fault_at_each_write() {
    let client = support::cluster().await;
    with_faults(&client, "drift", async |home: Home, name: String, at| {
        home.apply(&tenant(&name, &json!({}))).await;
        operator(&home, None).drive(&home, &name, is_ready).await;
        let tenant = home.tenants().get(&name).await.expect("the tenant");
        let before = footprint(&home.client, &tenant).await;
        change_by_hand(&home, tenant.status.as_ref().and_then(|status| status.namespace.as_deref())).await;
        assert_ne!(footprint(&home.client, &tenant).await, before);
        let is_repaired = async || footprint(&home.client, &tenant).await == before;
        let operator = operator(&home, at).drive_until(&home, &name, is_repaired).await;
        End::of(&home, &tenant, operator).await
    })
    .await;
}

/// Somebody edits two objects and deletes two.
async fn change_by_hand(home: &Home, namespace: Option<&str>) {
    let namespace = namespace.expect("a namespace");
    let by_hand = PatchParams::default();
    let selector = json!({ "spec": { "selector": { "app.kubernetes.io/name": "other" } } });
    let services: Api<Service> = Api::namespaced(home.client.clone(), namespace);
    services.patch(names::SERVER, &by_hand, &Patch::Merge(&selector)).await.expect("an edit");
    let open = json!({ "spec": { "policyTypes": ["Ingress"] } });
    let policies: Api<NetworkPolicy> = Api::namespaced(home.client.clone(), namespace);
    policies.patch("default-deny", &by_hand, &Patch::Merge(&open)).await.expect("an edit");
    policies.delete("operator", &DeleteParams::default()).await.expect("a deletion");
    let configurations: Api<ConfigMap> = Api::namespaced(home.client.clone(), namespace);
    configurations.delete(names::CONFIGURATION, &DeleteParams::default()).await.expect("a deletion");
}

fn runs_on(tenant: Option<&Tenant>, plan: &str) -> bool {
    let status = tenant.and_then(|tenant| tenant.status.as_ref());
    status.and_then(|status| status.plan.as_ref()).is_some_and(|running| running.name == plan)
}
