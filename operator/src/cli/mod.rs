//! The command line: one file for each command.

mod crds;
mod may_uninstall;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use kube::client::ClientBuilder;

pub use self::crds::as_yaml;

#[derive(Debug, Parser)]
#[command(
    name = "cartera-operator",
    version,
    about = "Tenants of Cartera on Kubernetes",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Crds(crds::Arguments),
    MayUninstall(may_uninstall::Arguments),
}

/// Runs a command that may ask a cluster.
fn in_cluster(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // The first error is the only one, that somebody chose another before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("could not start the runtime")?;
    runtime.block_on(work)
}

/// A client for the cluster that `KUBECONFIG` names, or that this pod runs in. It sends nothing again by itself.
async fn client() -> anyhow::Result<kube::Client> {
    let mut config =
        kube::Config::infer().await.context("could not find a cluster: set KUBECONFIG, or run in a pod")?;
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config).context("could not make a client for the cluster")?.build())
}

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(arguments) => in_cluster(run::run(arguments)),
        Command::Crds(arguments) => in_cluster(crds::run(arguments)),
        Command::MayUninstall(arguments) => in_cluster(async move { may_uninstall::run(&arguments).await }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to if standard error is closed.
            let _ = writeln!(std::io::stderr(), "cartera-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
