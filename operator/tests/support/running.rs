//! A controller that runs by itself, as the program does, and what a person sees of it.

use std::sync::Arc;
use std::time::Duration;

use cartera_operator::cluster::api::Cluster;
use cartera_operator::cluster::clock::{ManualClock, SystemClock};
use cartera_operator::cluster::entropy::SystemEntropy;
use cartera_operator::cluster::fence::NoFence;
use cartera_operator::cluster::index::Index;
use cartera_operator::cluster::shards::Shards;
use cartera_operator::controller::{self, Leading};
use cartera_operator::crd::Tenant;
use cartera_operator::tenant::{Context, Memory};
use jiff::Timestamp;
use kube::api::DeleteParams;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Home;
use super::fault::{Fault, Network};
use super::operator::{PerfectServers, holds};
use super::watch_fault::BadWatches;

/// A controller that runs until it is stopped. It leads every shard until it is told otherwise.
pub struct Running {
    /// Its network, which counts what it sends.
    pub network: Network,
    leads: watch::Sender<Shards>,
    acts: watch::Receiver<Shards>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts one.
    pub fn start(home: &Home) -> Self {
        Self::start_with(home, None, None)
    }

    /// Starts one with a fault at a write, or in its watches.
    pub fn start_with(home: &Home, at: Option<(usize, Fault)>, watched: Option<&BadWatches>) -> Self {
        let network = Network::new(at, Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)));
        let client = match watched {
            Some(watches) => home.builder().with_layer(watches).with_layer(&network).build(),
            None => home.builder().with_layer(&network).build(),
        };
        let clock = Arc::new(SystemClock);
        let context = Context {
            cluster: Cluster::new(client, clock.clone(), Arc::default()),
            index: Arc::new(Index::default()),
            clock,
            entropy: Arc::new(SystemEntropy),
            health: Arc::new(PerfectServers(home.client.clone())),
            fence: Arc::new(NoFence),
            operator: None,
            memory: Memory::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let leads = watch::Sender::new(Shards::ALL);
        let acts = watch::Sender::new(Shards::default());
        let leading = Leading { leads: leads.subscribe(), acts: acts.clone() };
        let namespace = home.namespace.clone();
        let task = tokio::spawn(async move {
            controller::run(Arc::new(context), namespace, leading, Arc::default(), async {
                let _ = stopped.await;
            })
            .await;
        });
        Self { network, leads, acts: acts.subscribe(), stop, task }
    }

    /// Its leader lease is lost; returns when it acts on nothing any more.
    pub async fn lose_lease(&mut self) {
        self.leads.send_replace(Shards::default());
        self.acts.wait_for(|acts| *acts == Shards::default()).await.expect("the controller runs");
    }

    /// Ends it, when what is under way is done.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("the controller ends");
    }
}

/// Waits until `what` gives something.
pub async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..1_800 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("in three minutes there was no {what}");
}

/// Waits until people can work with a tenant.
pub async fn ready(home: &Home, name: &str) -> Tenant {
    until("Ready tenant", async || {
        Some(home.tenants().get(name).await.ok()?).filter(|tenant| holds(Some(tenant), "Ready"))
    })
    .await
}

/// Why a condition of a tenant is as it is, and what it says.
pub async fn reason(home: &Home, name: &str, kind: &str) -> Option<(String, String)> {
    let tenant = home.tenants().get(name).await.ok()?;
    let conditions = tenant.status?.conditions;
    conditions
        .into_iter()
        .find(|condition| condition.kind == kind)
        .map(|condition| (condition.reason, condition.message))
}

/// Waits until a condition has this reason; returns what it says.
pub async fn said(home: &Home, name: &str, kind: &str, expected: &str) -> String {
    let found = until(expected, async || reason(home, name, kind).await.filter(|(reason, _)| reason == expected)).await;
    found.1
}

/// Deletes a tenant and waits until it has gone.
pub async fn removed(home: &Home, name: &str) {
    let _ = home.tenants().delete(name, &DeleteParams::default()).await;
    until("end of the tenant", async || home.tenants().get_opt(name).await.ok()?.is_none().then_some(())).await;
}

/// The namespace that a tenant works in.
pub fn namespace(tenant: &Tenant) -> String {
    tenant.status.as_ref().and_then(|status| status.namespace.clone()).expect("a tenant that was made has a namespace")
}
