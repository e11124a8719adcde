//! One plain watcher for each kind: what it hears goes into the index, and whom it concerns is told to the controller.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::Kind;
use super::index::{Index, TenantUid};
use super::labels;
use crate::crd::{FleetRollout, Plan, PlatformConfig, Tenant};

/// Objects that one page of a list has: what is read of them at a time is what a start takes in memory.
const PAGE: u32 = 100;

fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// What happened to objects of a kind.
enum Change<K> {
    /// It came or changed.
    Put(Box<K>),
    /// It went.
    Gone(Box<K>),
    /// These are all that there are, by uid.
    All(HashSet<String>),
}

/// Something that the controller hears of.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Heard {
    /// A tenant or something of it.
    Tenant(TenantUid),
    /// A plan, by name.
    Plan(String),
    /// A roll-out, by name.
    Rollout(String),
    /// What all tenants have in common.
    Platform,
    /// A foreign kind came or went.
    Kind(Kind, bool),
}

impl Heard {
    /// What it is, in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Plan(_) => "plan",
            Self::Rollout(_) => "rollout",
            Self::Platform | Self::Kind(..) => "platform",
        }
    }
}

/// Watches that feed one index.
#[derive(Clone)]
pub struct Watches {
    client: Client,
    index: Arc<Index>,
    heard: mpsc::UnboundedSender<Heard>,
    /// How many have not heard everything yet that there was when they began.
    unready: watch::Sender<usize>,
}

impl Watches {
    /// Watches whose news go to `heard`.
    #[must_use]
    pub fn new(client: Client, index: Arc<Index>, heard: mpsc::UnboundedSender<Heard>) -> Self {
        Self { client, index, heard, unready: watch::Sender::new(0) }
    }

    /// Waits until all of them know what there is.
    pub async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.unready.subscribe().wait_for(|unready| *unready == 0).await;
    }

    fn begin(&self) -> Unready {
        self.unready.send_modify(|unready| *unready += 1);
        Unready(self.unready.clone())
    }

    fn tell(&self, heard: Heard) {
        // Nobody listens any more only when the process ends.
        let _ = self.heard.send(heard);
    }

    /// Follows the tenants of a namespace.
    pub fn tenants(self, namespace: String) -> impl Future<Output = ()> + Send + 'static {
        let unready = self.begin();
        async move {
            let api: Api<DeserializeGuard<Tenant>> = Api::namespaced(self.client.clone(), &namespace);
            let watches = &self;
            watches
                .follow(unready, api, config(), |change| match change {
                    Change::Put(tenant) => {
                        watches.tell(Heard::Plan(tenant.spec.subscription.plan_ref.name.clone()));
                        if let Some(uid) = watches.index.put_tenant(*tenant) {
                            watches.tell(Heard::Tenant(uid));
                        }
                    }
                    Change::Gone(tenant) => {
                        watches.tell(Heard::Plan(tenant.spec.subscription.plan_ref.name.clone()));
                        watches.index.remove_tenant(&tenant.uid().unwrap_or_default());
                    }
                    Change::All(uids) => watches.index.retain_tenants(&uids),
                })
                .await;
        }
    }

    /// Follows the plans of a namespace.
    pub fn plans(self, namespace: String) -> impl Future<Output = ()> + Send + 'static {
        let unready = self.begin();
        async move {
            let api: Api<DeserializeGuard<Plan>> = Api::namespaced(self.client.clone(), &namespace);
            let watches = &self;
            let concerns = |name: String, tenants: Vec<TenantUid>| {
                watches.tell(Heard::Plan(name));
                for uid in tenants {
                    watches.tell(Heard::Tenant(uid));
                }
            };
            watches
                .follow(unready, api, config(), |change| match change {
                    Change::Put(plan) => concerns(plan.name_any(), watches.index.put_plan(*plan)),
                    Change::Gone(plan) => concerns(plan.name_any(), watches.index.remove_plan(&plan.name_any())),
                    Change::All(uids) => {
                        for (name, tenants) in watches.index.retain_plans(&uids) {
                            concerns(name, tenants);
                        }
                    }
                })
                .await;
        }
    }

    /// Follows the roll-outs of a namespace.
    pub fn rollouts(self, namespace: String) -> impl Future<Output = ()> + Send + 'static {
        let unready = self.begin();
        async move {
            let api: Api<DeserializeGuard<FleetRollout>> = Api::namespaced(self.client.clone(), &namespace);
            let watches = &self;
            // One that comes or goes may take tenants from another, or leave them to it.
            let concerns_all = || {
                for rollout in watches.index.rollouts() {
                    watches.tell(Heard::Rollout(rollout.name_any()));
                }
            };
            watches
                .follow(unready, api, config(), |change| {
                    let is_news = match change {
                        Change::Put(rollout) => watches.index.put_rollout(*rollout),
                        Change::Gone(rollout) => {
                            watches.index.remove_rollout(&rollout.name_any());
                            true
                        }
                        Change::All(uids) => {
                            watches.index.retain_rollouts(&uids);
                            true
                        }
                    };
                    if is_news {
                        concerns_all();
                    }
                })
                .await;
        }
    }

    /// Follows what all tenants of a namespace have in common.
    pub fn platform(self, namespace: String) -> impl Future<Output = ()> + Send + 'static {
        let unready = self.begin();
        async move {
            let api: Api<DeserializeGuard<PlatformConfig>> = Api::namespaced(self.client.clone(), &namespace);
            let watches = &self;
            watches
                .follow(unready, api, config(), |change| {
                    match change {
                        Change::Put(platform) => watches.index.put_platform(Some(*platform)),
                        Change::Gone(_) => watches.index.put_platform(None),
                        Change::All(uids) if uids.is_empty() => watches.index.put_platform(None),
                        Change::All(_) => {}
                    }
                    watches.tell(Heard::Platform);
                })
                .await;
        }
    }

    /// Follows everything of ours of one kind, in all namespaces.
    pub fn children(self, kind: Kind) -> impl Future<Output = ()> + Send + 'static {
        let unready = self.begin();
        async move {
            let api: Api<DeserializeGuard<DynamicObject>> = Api::all_with(self.client.clone(), &kind.resource());
            let watches = &self;
            let concerns = |uid: Option<TenantUid>| uid.into_iter().for_each(|uid| watches.tell(Heard::Tenant(uid)));
            watches
                .follow(unready, api, config().labels(&labels::ours()), |change| match change {
                    Change::Put(object) => concerns(watches.index.put_child(kind, &as_json(*object))),
                    Change::Gone(object) => concerns(watches.index.remove_child(kind, &as_json(*object))),
                    Change::All(uids) => {
                        watches.index.retain_children(kind, &uids).into_iter().for_each(|uid| concerns(Some(uid)));
                    }
                })
                .await;
        }
    }

    /// Follows which foreign kinds there are.
    pub fn definitions(self) -> impl Future<Output = ()> + Send + 'static {
        let unready = self.begin();
        async move {
            use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
            let api: Api<DeserializeGuard<PartialObjectMeta<CustomResourceDefinition>>> = Api::all(self.client.clone());
            let watches = &self;
            let mut known = HashMap::new();
            let kind_of = |name: &str| Kind::ALL.into_iter().find(|kind| kind.definition().as_deref() == Some(name));
            watches
                .follow(unready, api, config(), |change| match change {
                    Change::Put(definition) => {
                        if let Some(kind) = kind_of(&definition.name_any()) {
                            known.insert(kind, definition.uid().unwrap_or_default());
                            watches.tell(Heard::Kind(kind, true));
                        }
                    }
                    Change::Gone(definition) => {
                        if let Some(kind) = kind_of(&definition.name_any()) {
                            known.remove(&kind);
                            watches.tell(Heard::Kind(kind, false));
                        }
                    }
                    // One may have gone while nobody listened.
                    Change::All(uids) => {
                        for (kind, _) in known.extract_if(|_, uid| !uids.contains(uid)) {
                            watches.tell(Heard::Kind(kind, false));
                        }
                    }
                })
                .await;
        }
    }

    async fn follow<K>(
        &self,
        unready: Unready,
        api: Api<DeserializeGuard<K>>,
        config: watcher::Config,
        mut on: impl FnMut(Change<K>),
    ) where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let mut unready = Some(unready);
        let mut listed = HashSet::new();
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    listed.extend(object.uid());
                    if let Some(object) = readable(object) {
                        on(Change::Put(object));
                    }
                }
                Ok(Event::InitDone) => {
                    on(Change::All(std::mem::take(&mut listed)));
                    drop(unready.take());
                }
                Ok(Event::Apply(object)) => {
                    if let Some(object) = readable(object) {
                        on(Change::Put(object));
                    }
                }
                Ok(Event::Delete(object)) => {
                    if let Some(object) = readable(object) {
                        on(Change::Gone(object));
                    }
                }
                Err(error) => tracing::warn!(error = %error, "a watch broke off; it begins again"),
            }
        }
    }
}

/// An object that can be read. One that cannot, of another schema, is as it was last seen: the rest of its kind goes on.
fn readable<K>(object: DeserializeGuard<K>) -> Option<Box<K>> {
    match object.0 {
        Ok(object) => Some(Box::new(object)),
        Err(invalid) => {
            let name = invalid.metadata.name.unwrap_or_default();
            tracing::warn!(object = name, error = %invalid.error, "an object cannot be read; it is left as it was last seen");
            None
        }
    }
}

/// A watch that has not heard everything yet that there was when it began. It counts from before its task runs, so that
/// nobody who waits is too early.
struct Unready(watch::Sender<usize>);

impl Drop for Unready {
    fn drop(&mut self) {
        self.0.send_modify(|unready| *unready -= 1);
    }
}

fn as_json(object: DynamicObject) -> serde_json::Value {
    serde_json::to_value(object).expect("what came as JSON is JSON")
}
