//! The operator, in a process of its own.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use cartera_operator::cluster::api::Cluster;
use cartera_operator::cluster::clock::SystemClock;
use cartera_operator::cluster::entropy::SystemEntropy;
use cartera_operator::cluster::fence::NoFence;
use cartera_operator::cluster::index::Index;
use cartera_operator::cluster::shards::Shards;
use cartera_operator::cluster::{labels, names};
use cartera_operator::controller::{self, Leading};
use cartera_operator::telemetry::{Metrics, Pulse, listen};
use cartera_operator::tenant::health::{AskHealth, HealthError};
use cartera_operator::tenant::server::{ENTITLEMENTS_FILE, Health, sha256};
use cartera_operator::tenant::{Context, Memory};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use tokio::sync::watch;

use crate::fleet;

/// Where it tells its measurements.
pub const PORT: u16 = 19_090;

/// Says what servers would: that they obey the entitlements which lie in their namespace.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<HashMap<String, String>>>);

impl Told {
    async fn follow(self, client: Client) {
        let api: Api<ConfigMap> = Api::all(client);
        let mut changes = std::pin::pin!(
            watcher(api, watcher::Config::default().labels(&labels::ours())).default_backoff().applied_objects()
        );
        while let Some(change) = changes.next().await {
            let Ok(object) = change else { continue };
            let text = object.data.as_ref().and_then(|data| data.get(ENTITLEMENTS_FILE));
            if let (names::ENTITLEMENTS, Some(text)) = (&*object.name_any(), text) {
                let namespace = object.namespace().unwrap_or_default();
                self.0.lock().expect("no holder of this lock panics").insert(namespace, sha256(text));
            }
        }
    }
}

#[async_trait]
impl AskHealth for Told {
    async fn ask(&self, namespace: &str, _token: &str) -> Result<Health, HealthError> {
        let obeyed = self.0.lock().expect("no holder of this lock panics").get(namespace).cloned();
        let Some(obeyed) = obeyed else { return Err(HealthError::TooSlow) };
        Ok(Health {
            version: "0.1.0".to_owned(),
            schema_version: 1,
            database_bytes: 1 << 20,
            entitlements_sha256: Some(obeyed),
            has_administrator: true,
            ..Health::default()
        })
    }
}

/// Runs until it is killed.
pub async fn run() -> Result<()> {
    let client = fleet::client().await?;
    let told = Told::default();
    tokio::spawn(told.clone().follow(client.clone()));
    let clock = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::default());
    let context = Arc::new(Context {
        cluster: Cluster::new(client, clock.clone(), metrics.clone()),
        index: Arc::new(Index::default()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        health: Arc::new(told),
        fence: Arc::new(NoFence),
        operator: None,
        memory: Memory::default(),
    });
    let leads = watch::Sender::new(Shards::ALL);
    let leading = Leading { leads: leads.subscribe(), acts: watch::Sender::new(Shards::default()) };
    let pulse = Arc::new(Pulse::default());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let working =
        controller::run(context.clone(), fleet::HOME.to_owned(), leading, pulse.clone(), std::future::pending());
    tokio::select! {
        () = working => Ok(()),
        ended = listen(address, pulse, metrics, context.index.clone(), clock) => ended.context("could not tell measurements"),
    }
}
