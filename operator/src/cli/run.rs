//! `cartera-operator run`

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cluster::api::Cluster;
use crate::cluster::clock::{Clock, SystemClock};
use crate::cluster::definitions;
use crate::cluster::entropy::SystemEntropy;
use crate::cluster::index::Index;
use crate::cluster::leader::{Leader, LeaderFence};
use crate::cluster::shards::Shards;
use crate::controller::{self, Leading};
use crate::telemetry::{Metrics, Pulse, listen};
use crate::tenant::build::OperatorIdentity;
use crate::tenant::health::AskByService;
use crate::tenant::{Context, Memory};

/// Looks after the tenants of one namespace until it is asked to stop (Ctrl+C, SIGTERM)
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The namespace that holds the Tenants.
    #[arg(long, env = "CARTERA_NAMESPACE", default_value = "cartera-tenants")]
    namespace: String,
    /// This replica's name; that of its pod.
    #[arg(long, env = "HOSTNAME", default_value = "cartera-operator")]
    replica: String,
    /// The namespace of the operator's own pod; left out where it is not one.
    #[arg(long, env = "CARTERA_OPERATOR_NAMESPACE", requires = "service_account")]
    operator_namespace: Option<String>,
    /// The `ServiceAccount` of the operator's own pod.
    #[arg(long, env = "CARTERA_OPERATOR_SERVICE_ACCOUNT", requires = "operator_namespace")]
    service_account: Option<String>,
    /// Where `/livez`, `/readyz` and `/metrics` are answered, such as 0.0.0.0:9090; nowhere without it.
    #[arg(long, env = "CARTERA_OPERATOR_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let client = super::client().await?;
    definitions::expect(client.clone()).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let acts = watch::Sender::new(Shards::default());
    let leader = Leader::new(client.clone(), &arguments.namespace, &arguments.replica, clock.clone(), acts.subscribe());
    let leading = Leading { leads: leader.leads(), acts };
    let fence = LeaderFence::new(client.clone(), &arguments.namespace, &arguments.replica, clock.clone());
    let metrics = Arc::new(Metrics::default());
    let context = Arc::new(Context {
        cluster: Cluster::new(client.clone(), clock.clone(), metrics.clone()),
        index: Arc::new(Index::default()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        health: Arc::new(AskByService),
        fence: Arc::new(fence),
        operator: identity(&arguments),
        memory: Memory::default(),
    });
    let renewing = tokio::spawn(leader.run());
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: reconciles under way may finish");
    };
    let pulse = Arc::new(Pulse::default());
    let told = async {
        match arguments.listen {
            Some(address) => listen(address, pulse.clone(), metrics, context.index.clone(), clock).await,
            None => std::future::pending().await,
        }
    };
    let looked_after = controller::run(context.clone(), arguments.namespace.clone(), leading, pulse.clone(), stop);
    let ended = tokio::select! {
        () = looked_after => Ok(()),
        ended = told => ended,
    };
    renewing.abort();
    if let Err(error) = Leader::release(client, &arguments.namespace, &arguments.replica).await {
        tracing::warn!(error = %error, "could not give the leader lease back; it expires by itself");
    }
    ended
}

fn identity(arguments: &Arguments) -> Option<OperatorIdentity> {
    let namespace = arguments.operator_namespace.clone()?;
    Some(OperatorIdentity { namespace, service_account: arguments.service_account.clone()? })
}
