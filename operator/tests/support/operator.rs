//! An operator that the test drives: it sees the cluster when it is told to, and lives in the test's time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cartera_operator::cluster::api::Cluster;
use cartera_operator::cluster::clock::ManualClock;
use cartera_operator::cluster::entropy::SeededEntropy;
use cartera_operator::cluster::fence::NoFence;
use cartera_operator::cluster::index::Index;
use cartera_operator::cluster::shards::shard_of;
use cartera_operator::cluster::{Kind, labels, names};
use cartera_operator::crd::{FleetRollout, Plan, PlatformConfig, Tenant};
use cartera_operator::rollout;
use cartera_operator::tenant::health::{AskHealth, HealthError};
use cartera_operator::tenant::server::{ENTITLEMENTS_FILE, EntitlementsFile, Health, sha256};
use cartera_operator::tenant::{Context, Memory, reconcile};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::fault::{Fault, Network};

/// Servers as they should be: simulated nodes run none, so this answers in their place, from the very object that a server
/// would read.
pub struct PerfectServers(pub Client);

#[async_trait]
impl AskHealth for PerfectServers {
    async fn ask(&self, namespace: &str, _token: &str) -> Result<Health, HealthError> {
        let api: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(self.0.clone(), namespace);
        let unreachable = |error: kube::Error| HealthError::Unreachable(namespace.to_owned(), error.into());
        let told = api.get("cartera-entitlements").await.map_err(unreachable)?;
        let text = told.data.unwrap_or_default().remove(ENTITLEMENTS_FILE).unwrap_or_default();
        let file: EntitlementsFile = serde_json::from_str(&text).map_err(HealthError::Unreadable)?;
        Ok(Health {
            version: "0.1.0".into(),
            schema_version: 31,
            database_bytes: 1 << 20,
            power: file.power,
            entitlements_sha256: Some(sha256(&text)),
            has_administrator: false,
            ..Health::default()
        })
    }
}

/// An operator.
pub struct Operator {
    /// What it knows.
    pub context: Context,
    /// Its network.
    pub network: Network,
    /// Its time.
    pub clock: Arc<ManualClock>,
    plain: Client,
    home: String,
}

impl Operator {
    /// Starts one that looks after the tenants of `home`.
    pub fn start(home: &super::Home, at: Option<(usize, Fault)>, clock: Arc<ManualClock>, seed: u64) -> Self {
        Self::on(home, Network::new(at, clock.clone()), clock, seed)
    }

    fn on(home: &super::Home, network: Network, clock: Arc<ManualClock>, seed: u64) -> Self {
        let client = home.builder().with_layer(&network).build();
        let context = Context {
            cluster: Cluster::new(client, clock.clone(), Arc::default()),
            index: Arc::new(Index::default()),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            health: Arc::new(PerfectServers(home.client.clone())),
            fence: Arc::new(NoFence),
            operator: None,
            memory: Memory::default(),
        };
        Self { context, network, clock, plain: home.client.clone(), home: home.namespace.clone() }
    }

    /// Sees everything of one tenant as it is now.
    pub async fn look(&self, name: &str) -> Option<String> {
        let index = &self.context.index;
        let tenants: Api<Tenant> = Api::namespaced(self.plain.clone(), &self.home);
        let plans: Api<Plan> = Api::namespaced(self.plain.clone(), &self.home);
        let platforms: Api<PlatformConfig> = Api::namespaced(self.plain.clone(), &self.home);
        for plan in plans.list(&ListParams::default()).await.expect("plans") {
            index.put_plan(plan);
        }
        index.put_platform(platforms.get_opt("default").await.expect("a platform"));
        let listed = tenants.list(&ListParams::default()).await.expect("tenants").items;
        let uids = listed.iter().filter_map(ResourceExt::uid).collect();
        let uid = listed.iter().find(|tenant| tenant.name_any() == name).and_then(ResourceExt::uid);
        for tenant in listed {
            drop(index.put_tenant(tenant));
        }
        index.retain_tenants(&uids);
        let rollouts: Api<FleetRollout> = Api::namespaced(self.plain.clone(), &self.home);
        for rollout in rollouts.list(&ListParams::default()).await.expect("roll-outs") {
            index.put_rollout(rollout);
        }
        let uid = uid?;
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_watched() && !kind.is_foreign()) {
            let objects = children(&self.plain, kind, &uid).await;
            let uids =
                objects.iter().filter_map(|object| object["metadata"]["uid"].as_str().map(str::to_owned)).collect();
            for object in &objects {
                drop(index.put_child(kind, object));
            }
            index.retain_children(kind, &uids);
        }
        Some(uid)
    }

    /// One reconcile of what there is now. Failures are what the test is about: the next one goes on.
    pub async fn step(&self, name: &str) {
        if let Some(uid) = self.look(name).await {
            for rollout in self.context.index.rollouts() {
                let _ = rollout::reconcile(&self.context, &rollout.name_any()).await;
            }
            let _ = reconcile(&self.context, &uid).await;
        }
    }

    /// Reconciles until the tenant is what `is_reached` says.
    pub async fn drive(self, home: &super::Home, name: &str, is_reached: impl Fn(Option<&Tenant>) -> bool) -> Self {
        self.drive_until(home, name, async || {
            let tenant = home.tenants().get_opt(name).await.expect("a tenant or none");
            is_reached(tenant.as_ref())
        })
        .await
    }

    /// Reconciles until `is_reached` and there is nothing left to write; an operator that was killed is started anew.
    pub async fn drive_until(mut self, home: &super::Home, name: &str, is_reached: impl AsyncFn() -> bool) -> Self {
        for _ in 0..600 {
            let before = self.network.writes().len();
            self.step(name).await;
            if self.network.is_killed() {
                let seed = u64::from(std::process::id());
                self = Self::on(home, self.network.again(), self.clock.clone(), seed);
                continue;
            }
            if self.network.writes().len() == before && is_reached().await {
                return self;
            }
            self.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let tenant = home.tenants().get_opt(name).await.expect("a tenant or none");
        panic!("{name} did not get there: {}", json!(tenant.and_then(|tenant| tenant.status)));
    }
}

/// Whether a condition holds.
pub fn holds(tenant: Option<&Tenant>, kind: &str) -> bool {
    let conditions = tenant.and_then(|tenant| tenant.status.as_ref()).map(|status| &status.conditions);
    conditions.into_iter().flatten().any(|condition| condition.kind == kind && json!(condition.status) == "True")
}

/// The children of a tenant of one kind.
pub async fn children(client: &Client, kind: Kind, uid: &str) -> Vec<Value> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
    let own = ListParams::default().labels(&format!("{}={uid}", labels::TENANT_UID));
    api.list(&own).await.expect("a list").items.into_iter().map(|object| json!(object)).collect()
}

/// What lies in a tenant's namespace without its label, by kind and name. The operator has rights over no other kinds there, and
/// what others make bears the label of what they made it of, but for what Kubernetes puts into every namespace.
async fn unlabelled(client: &Client, tenant: &Tenant) -> Vec<String> {
    let uid = tenant.uid().expect("a uid");
    let own = format!("{}!={uid}", labels::TENANT_UID);
    let mut found = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Namespace && !kind.is_foreign()) {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &names::namespace(tenant), &kind.resource());
        let others = api.list(&ListParams::default().labels(&own)).await.expect("a list").items;
        found.extend(others.iter().map(|object| format!("{kind} {}", object.name_any())));
    }
    found.retain(|object| !["ConfigMap kube-root-ca.crt", "ServiceAccount default"].contains(&object.as_str()));
    found.into_iter().map(|object| format!("without the tenant's label: {object}")).collect()
}

/// The Events that tell of a tenant.
pub async fn events(client: &Client, tenant: &Tenant) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(client.clone(), &tenant.namespace().expect("a namespace"));
    let mut told = events.list(&ListParams::default()).await.expect("events").items;
    told.retain(|event| event.regarding.as_ref().is_some_and(|regarding| regarding.uid == tenant.uid()));
    told
}

/// Everything of a tenant and what is said of it, without what is another in each run: ids, times, and the values of secrets.
pub async fn footprint(client: &Client, tenant: &Tenant) -> Vec<String> {
    let uid = tenant.uid().expect("a uid");
    let tenants: Api<Tenant> = Api::namespaced(client.clone(), &tenant.namespace().expect("a namespace"));
    let there = tenants.get_opt(&tenant.name_any()).await.expect("a tenant or none");
    let status = there.and_then(|tenant| tenant.status).unwrap_or_default();
    let said = status.conditions.iter();
    let mut lines: Vec<String> =
        said.map(|condition| format!("{} {:?} {}", condition.kind, condition.status, condition.reason)).collect();
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_foreign()) {
        for mut object in children(client, kind, &uid).await {
            let metadata = object["metadata"].as_object_mut().expect("metadata");
            for volatile in [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "managedFields",
                "generation",
                "ownerReferences",
                "generateName",
            ] {
                metadata.remove(volatile);
            }
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.retain(|name, _| {
                    name.starts_with("cartera.dev/") && name != labels::ROTATED_AT && name != labels::APPLIED_HASH
                });
            }
            if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
                // A hash of the StatefulSet, with the uid of the tenant in it.
                labels.remove("controller-revision-hash");
            }
            let kept = match kind {
                Kind::Secret => json!(object["data"].as_object().map(|data| data.keys().collect::<Vec<_>>())),
                // What nodes and controllers filled in depends on when they came by; this is what was asked for.
                Kind::Pod => json!(object["spec"]["containers"][0]["image"]),
                Kind::PersistentVolumeClaim => json!([object["spec"]["resources"], object["spec"]["storageClassName"]]),
                Kind::Service => json!([object["spec"]["selector"], object["spec"]["ports"]]),
                _ => object["spec"].clone(),
            };
            lines.push(format!(
                "{kind} {} {kept} {}",
                object["metadata"],
                object["data"].as_object().map_or(0, serde_json::Map::len)
            ));
        }
    }
    lines.extend(unlabelled(client, tenant).await);
    let own = uid.get(..6).expect("a long uid");
    let shard = |number: &str| format!("\"{}\":\"{number}\"", labels::SHARD);
    let its_own = shard(&shard_of(&uid).to_string());
    let alike = |line: &String| line.replace(&its_own, &shard("SHARD")).replace(&uid, "UID").replace(own, "UID6");
    lines.iter().map(|line| alike(line).replace(&tenant.name_any(), "NAME")).collect()
}
