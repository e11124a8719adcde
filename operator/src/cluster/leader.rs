//! The leader lease of this replica: renewed while it lives, and what it leads by it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::sync::watch;

use super::clock::Clock;
use super::fence::Fence;
use super::shards::{ACTING, LEASE, RENEW, Replica, Shards, claim};

/// Marks the leader leases of the operator's replicas.
const COMPONENT: (&str, &str) = ("cartera.dev/component", "operator-replica");
const LEADS: &str = "cartera.dev/leads";
/// After how long without renewal the lease of a replica that was killed is taken away.
const ABANDONED: Duration = Duration::from_hours(1);

/// The leader lease of this replica.
pub struct Leader {
    leases: Api<Lease>,
    name: String,
    clock: Arc<dyn Clock>,
    /// When each replica's lease was last seen to change, by this replica's own clock: clocks of two machines differ.
    seen: HashMap<String, (String, Timestamp)>,
    renewed: Option<Timestamp>,
    leads: watch::Sender<Shards>,
    acts: watch::Receiver<Shards>,
}

impl Leader {
    /// A replica by the name of its pod, which leads nothing yet. `acts` says what is acted on.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        clock: Arc<dyn Clock>,
        acts: watch::Receiver<Shards>,
    ) -> Self {
        let leases = Api::namespaced(client, namespace);
        let leads = watch::Sender::new(Shards::default());
        Self { leases, name: name.to_owned(), clock, seen: HashMap::new(), renewed: None, leads, acts }
    }

    /// What this replica leads, always as of now.
    #[must_use]
    pub fn leads(&self) -> watch::Receiver<Shards> {
        self.leads.subscribe()
    }

    /// Renews for as long as it is polled.
    pub async fn run(mut self) {
        let clock = self.clock.clone();
        loop {
            let renewed = tokio::select! {
                renewed = self.renew() => renewed.map_err(anyhow::Error::from),
                () = clock.limit(RENEW) => Err(anyhow::anyhow!("the API server did not answer in time")),
            };
            if let Err(error) = renewed {
                tracing::warn!(error = format!("{error:#}"), "could not renew the leader lease");
                self.stop_if_overdue();
            }
            clock.pause(RENEW).await;
        }
    }

    /// One renewal: what is to be given up is stopped first, what is new is acted on after a second look.
    ///
    /// # Errors
    /// When the API server could not be asked.
    pub async fn renew(&mut self) -> kube::Result<()> {
        let began = self.clock.now();
        let held = *self.leads.borrow();
        let living = self.living(held).await?;
        let may = claim(&self.name, &living);
        self.say(may.and(held));
        self.acts_within(may).await;
        self.write(may).await?;
        let living = self.living(may).await?;
        let still_may = claim(&self.name, &living);
        self.renewed = Some(began);
        self.say(still_may.and(may));
        Ok(())
    }

    /// What is given up is acted on no longer when others may take it. If nobody acts at all, there is nothing to wait for.
    async fn acts_within(&mut self, may: Shards) {
        let _ = self.acts.wait_for(|acts| acts.and(may) == *acts).await;
    }

    /// Gives everything back at once, so that nobody waits for this replica to expire.
    ///
    /// # Errors
    /// When the API server could not be asked; the lease expires then.
    pub async fn release(client: Client, namespace: &str, name: &str) -> kube::Result<()> {
        let leases: Api<Lease> = Api::namespaced(client, namespace);
        leases.delete(name, &DeleteParams::default()).await.map(|_| ())
    }

    fn say(&self, leads: Shards) {
        self.leads.send_if_modified(|current| std::mem::replace(current, leads) != leads);
    }

    /// Who cannot renew stops before others take over.
    pub fn stop_if_overdue(&self) {
        let is_overdue = self.renewed.is_none_or(|renewed| age(renewed, self.clock.now()) >= ACTING);
        if is_overdue {
            self.say(Shards::default());
        }
    }

    async fn living(&mut self, own: Shards) -> kube::Result<Vec<Replica>> {
        let ours = ListParams::default().labels(&format!("{}={}", COMPONENT.0, COMPONENT.1));
        let now = self.clock.now();
        let mut living = vec![Replica { name: self.name.clone(), leads: own }];
        for lease in self.leases.list(&ours).await?.items {
            let name = lease.name_any();
            let version = lease.resource_version().unwrap_or_default();
            let (known, since) = self.seen.entry(name.clone()).or_insert_with(|| (version.clone(), now));
            if *known != version {
                (*known, *since) = (version, now);
            }
            let unchanged_for = age(*since, now);
            if name != self.name && unchanged_for < LEASE {
                living.push(Replica { leads: led(&lease), name });
            } else if name != self.name && unchanged_for >= ABANDONED {
                self.take_away(&lease).await;
            }
        }
        Ok(living)
    }

    /// Whoever had that name and comes back after all makes a new one.
    async fn take_away(&self, lease: &Lease) {
        let unchanged = Preconditions { uid: lease.uid(), resource_version: lease.resource_version() };
        let parameters = DeleteParams { preconditions: Some(unchanged), ..DeleteParams::default() };
        if let Err(error) = self.leases.delete(&lease.name_any(), &parameters).await {
            tracing::debug!(lease.name = lease.name_any(), error = %error, "could not take an abandoned lease away");
        }
    }

    async fn write(&self, leads: Shards) -> kube::Result<()> {
        let now = self.clock.now();
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            labels: Some([(COMPONENT.0.to_owned(), COMPONENT.1.to_owned())].into()),
            annotations: Some([(LEADS.to_owned(), leads.to_string())].into()),
            ..ObjectMeta::default()
        };
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": LEASE.as_secs(),
                "renewTime": format!("{now:.6}"),
            },
        });
        let parameters = PatchParams::apply("cartera-leader").force();
        self.leases.patch(&self.name, &parameters, &Patch::Apply(&lease)).await.map(|_| ())
    }
}

/// Asks the leader lease of a replica itself before data is destroyed.
pub struct LeaderFence {
    leases: Api<Lease>,
    name: String,
    clock: Arc<dyn Clock>,
}

impl LeaderFence {
    /// The fence of a replica.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, clock: Arc<dyn Clock>) -> Self {
        Self { leases: Api::namespaced(client, namespace), name: name.to_owned(), clock }
    }
}

#[async_trait]
impl Fence for LeaderFence {
    async fn still_leads(&self, shard: u32) -> kube::Result<bool> {
        let Some(lease) = self.leases.get_opt(&self.name).await? else { return Ok(false) };
        // This replica wrote it by this very clock.
        let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        let is_fresh = renewed.is_some_and(|renewed| age(renewed, self.clock.now()) < ACTING);
        Ok(is_fresh && led(&lease).has(shard))
    }
}

fn led(lease: &Lease) -> Shards {
    lease.annotations().get(LEADS).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn age(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).unsigned_abs()
}
