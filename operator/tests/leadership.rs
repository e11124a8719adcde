//! Several replicas: each shard is acted on by one of them at the most, and by one in the end.

mod support;

use std::sync::Arc;
use std::time::Duration;

use cartera_operator::cluster::clock::{Clock, ManualClock};
use cartera_operator::cluster::leader::{Leader, LeaderFence};
use cartera_operator::cluster::names;
use cartera_operator::cluster::shards::{ACTING, LEASE, Shards};
use cartera_operator::crd::Tenant;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::sync::watch;

use support::fault::Fault;
use support::operator::{Operator, footprint, holds};
use support::running::{Running, namespace, ready, removed, until};
use support::volume::{claims, reclaim_policy, volume_of};
use support::{Home, tenant};

/// Cases at a time.
const TOGETHER: usize = 8;

fn clock(second: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_second(1_790_000_000 + second).expect("a time")))
}

/// A replica whose controller does at once what its leader lease says.
struct Replica {
    leader: Leader,
    clock: Arc<ManualClock>,
    leads: watch::Receiver<Shards>,
    /// It runs, and reaches the API server or not.
    is_alive: bool,
}

impl Replica {
    fn start(home: &Home, name: &str, clock: Arc<ManualClock>) -> Self {
        let acts = watch::Sender::new(Shards::default());
        let leader = Leader::new(home.client.clone(), &home.namespace, name, clock.clone(), acts.subscribe());
        let leads = leader.leads();
        let mut follows = leader.leads();
        tokio::spawn(async move {
            while follows.changed().await.is_ok() {
                acts.send_replace(*follows.borrow_and_update());
            }
        });
        Self { leader, clock, leads, is_alive: true }
    }

    fn acts(&self) -> Shards {
        if self.is_alive { *self.leads.borrow() } else { Shards::default() }
    }
}

fn nobody_acts_on_what_another_acts_on(replicas: &[Replica], when: &str) {
    for (number, one) in replicas.iter().enumerate() {
        for other in &replicas[number + 1..] {
            assert_eq!(one.acts().and(other.acts()), Shards::default(), "{when}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn replicas_share_the_shards_and_take_over_from_one_that_died() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    // Clocks of two machines differ.
    let mut first = Replica::start(&home, "first", clock(0));
    let mut second = Replica::start(&home, "second", clock(7_200));
    first.leader.renew().await.expect("a lease");
    assert_eq!(first.acts(), Shards::ALL);
    second.leader.renew().await.expect("a lease");
    assert_eq!(second.acts(), Shards::default(), "the first has not given any up");
    first.leader.renew().await.expect("a lease");
    second.leader.renew().await.expect("a lease");
    assert_eq!(first.acts().and(second.acts()), Shards::default());
    assert_eq!(first.acts().count() + second.acts().count(), Shards::ALL.count());
    assert!(first.acts().count() > 0 && second.acts().count() > 0);

    // Of the second nothing is heard any more from when the first saw it last.
    first.leader.renew().await.expect("a lease");
    second.is_alive = false;
    first.clock.advance(LEASE / 2);
    first.leader.renew().await.expect("a lease");
    assert_ne!(first.acts(), Shards::ALL, "the second may still act");
    first.clock.advance(LEASE / 2);
    first.leader.renew().await.expect("a lease");
    assert_eq!(first.acts(), Shards::ALL);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn whatever_happens_to_replicas_no_two_act_on_a_shard() {
    let client = support::cluster().await;
    for seed in 0..4 {
        let home = Home::new(&client).await;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let start = |at: usize, clock| Replica::start(&home, ["a", "b", "c"][at], clock);
        let mut replicas: Vec<Replica> =
            [0, 90, -3_600].into_iter().enumerate().map(|(at, skew)| start(at, clock(skew))).collect();
        for step in 0..60 {
            let at = random.random_range(0..replicas.len());
            match random.random_range(0..10) {
                // It is killed, or comes again under its name.
                0 if replicas[at].is_alive => replicas[at].is_alive = false,
                0 | 1 if !replicas[at].is_alive => {
                    replicas[at] = start(at, replicas[at].clock.clone());
                }
                0..=3 => {
                    let passed = Duration::from_secs(random.random_range(1..12));
                    for replica in &replicas {
                        replica.clock.advance(passed);
                    }
                }
                _ if replicas[at].is_alive => replicas[at].leader.renew().await.expect("a lease"),
                _ => {}
            }
            for replica in &replicas {
                replica.leader.stop_if_overdue();
            }
            nobody_acts_on_what_another_acts_on(&replicas, &format!("seed {seed}, step {step}"));
        }
        // Those that live share everything once nothing happens any more.
        for replica in &replicas {
            replica.clock.advance(LEASE);
        }
        replicas.retain(|replica| replica.is_alive);
        if replicas.is_empty() {
            replicas.push(Replica::start(&home, "d", clock(0)));
        }
        for _ in 0..3 {
            for replica in &mut replicas {
                replica.clock.advance(Duration::from_secs(1));
                replica.leader.renew().await.expect("a lease");
            }
        }
        nobody_acts_on_what_another_acts_on(&replicas, &format!("seed {seed}, at the end"));
        let acted_on: u32 = replicas.iter().map(|replica| replica.acts().count()).sum();
        assert_eq!(acted_on, Shards::ALL.count(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_replica_that_cannot_renew_stops_before_another_may_begin() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let replica = Replica::start(&home, "first", clock(0));
    let Replica { mut leader, clock, leads, .. } = replica;
    leader.renew().await.expect("a lease");
    let renewed = clock.now();
    clock.advance(ACTING / 2);
    leader.stop_if_overdue();
    assert_eq!(*leads.borrow(), Shards::ALL);
    clock.advance(ACTING / 2);
    leader.stop_if_overdue();
    assert_eq!(*leads.borrow(), Shards::default());
    assert!(clock.now().duration_since(renewed).unsigned_abs() < LEASE);
}

/// Has one lose its lease at a write that hangs, and another one go on to the `end`. Whether it came to that write before all
/// `is_over`: news that come together are one, so that a run may need a write less.
async fn taken_over<T>(
    home: &Home,
    mut first: Running,
    is_over: impl AsyncFn() -> bool,
    end: impl Future<Output = T>,
) -> (bool, T) {
    let is_cut = until("write that hangs, or end without it", async || {
        let hangs = first.network.has_fired();
        (hangs || is_over().await).then_some(hangs)
    })
    .await;
    first.lose_lease().await;
    let sent = first.network.writes().len();
    let second = Running::start(home);
    let end = end.await;
    assert_eq!(first.network.writes().len(), sent, "whoever lost its lease writes nothing more");
    first.stop().await;
    second.stop().await;
    (is_cut, end)
}

/// The clean run's end, for the cases to be compared with; and how many writes it took.
async fn clean(client: &Client) -> (Vec<String>, usize) {
    let home = Home::new(client).await;
    let running = Running::start(&home);
    home.apply(&tenant("clean", &json!({}))).await;
    let tenant = ready(&home, "clean").await;
    let writes = running.network.writes().len();
    running.stop().await;
    (footprint(client, &tenant).await, writes)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_lease_that_is_lost_in_the_middle_of_a_reconcile_leaves_the_rest_to_another() {
    let client = support::cluster().await;
    let (expected, writes) = clean(&client).await;
    let mut ends = stream::iter(0..writes)
        .map(async |at| {
            let home = Home::new(&client).await;
            let first = Running::start_with(&home, Some((at, Fault::Hang)), None);
            home.apply(&tenant("acme", &json!({}))).await;
            let is_ready = async || holds(home.tenants().get("acme").await.ok().as_ref(), "Ready");
            let (is_cut, acme) = taken_over(&home, first, is_ready, ready(&home, "acme")).await;
            (at, is_cut, footprint(&home.client, &acme).await)
        })
        .buffer_unordered(TOGETHER);
    let mut cuts = 0;
    while let Some((at, is_cut, found)) = ends.next().await {
        assert_eq!(found, expected, "the lease was lost at write {at}");
        cuts += usize::from(is_cut);
    }
    assert!(cuts > writes / 2, "only {cuts} of {writes} cases came to their write");
}

/// A tenant that was made and is to go, and its volume; nobody looks after it.
async fn doomed(client: &Client) -> (Home, Tenant, String) {
    let home = Home::new(client).await;
    let running = Running::start(&home);
    home.apply(&tenant("acme", &json!({}))).await;
    let acme = ready(&home, "acme").await;
    running.stop().await;
    let volume = volume_of(client, &acme).await;
    home.tenants().delete("acme", &DeleteParams::default()).await.expect("it may be deleted");
    (home, acme, volume)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn a_lease_that_is_lost_in_the_middle_of_a_deletion_leaves_the_rest_to_another() {
    let client = support::cluster().await;
    let (home, _, _) = doomed(&client).await;
    let running = Running::start(&home);
    removed(&home, "acme").await;
    let writes = running.network.writes().len();
    running.stop().await;
    let mut ends = stream::iter(0..writes)
        .map(async |at| {
            let (home, acme, volume) = doomed(&client).await;
            let first = Running::start_with(&home, Some((at, Fault::Hang)), None);
            let is_gone = async || matches!(home.tenants().get_opt("acme").await, Ok(None));
            let (is_cut, ()) = taken_over(&home, first, is_gone, removed(&home, "acme")).await;
            assert_eq!(footprint(&client, &acme).await, Vec::<String>::new(), "nothing of it is left");
            let policy = reclaim_policy(&client, &volume).await;
            assert_eq!(policy.as_deref(), Some("Retain"), "the lease was lost at write {at}, and the data is gone");
            is_cut
        })
        .buffer_unordered(TOGETHER);
    let mut cuts = 0;
    while let Some(is_cut) = ends.next().await {
        cuts += usize::from(is_cut);
    }
    assert!(cuts > writes / 2, "only {cuts} of {writes} cases came to their write");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn two_that_lead_the_same_make_one_tenant_and_end_it_once() {
    let client = support::cluster().await;
    let (expected, _) = clean(&client).await;
    let mut rounds = stream::iter(0..6)
        .map(async |_| {
            let home = Home::new(&client).await;
            let (first, second) = (Running::start(&home), Running::start(&home));
            home.apply(&tenant("acme", &json!({}))).await;
            let acme = ready(&home, "acme").await;
            let found = footprint(&home.client, &acme).await;
            removed(&home, "acme").await;
            first.stop().await;
            second.stop().await;
            found
        })
        .buffer_unordered(TOGETHER);
    while let Some(found) = rounds.next().await {
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn who_only_believes_to_lead_destroys_no_data() {
    let client = support::cluster().await;
    let home = Home::new(&client).await;
    let time = clock(0);
    let mut operator = Operator::start(&home, None, time.clone(), 7);
    home.apply(&tenant("acme", &json!({}))).await;
    let operator_of = |name: &str| Arc::new(LeaderFence::new(client.clone(), &home.namespace, name, time.clone()));
    operator.context.fence = operator_of("former");
    let mut operator = operator.drive(&home, "acme", |tenant| holds(tenant, "Ready")).await;
    let acme = home.tenants().get("acme").await.expect("the tenant");
    home.tenants().delete("acme", &DeleteParams::default()).await.expect("it may be deleted");
    let claims = claims(&client, &acme);
    // More steps than the whole deletion takes.
    for _ in 0..30 {
        operator.step("acme").await;
        time.advance(Duration::from_secs(1));
    }
    let claim = claims.get(names::CLAIM).await.expect("the claim is there");
    assert!(claim.metadata.deletion_timestamp.is_none());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace(&acme));
    assert!(pods.get_opt(names::POD).await.expect("an answer").is_none(), "what holds no data has ended");

    let mut leader = Replica::start(&home, "present", time.clone());
    leader.leader.renew().await.expect("a lease");
    operator.context.fence = operator_of("present");
    operator.drive(&home, "acme", |tenant| tenant.is_none()).await;
    assert!(claims.get_opt(names::CLAIM).await.expect("an answer").is_none(), "the leader ends it");
}
