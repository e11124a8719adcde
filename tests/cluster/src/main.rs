//! The command `cluster`: starts, extends and stops the Kubernetes that tests run on.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use cartera_cluster::image::{self, Image};
use cartera_cluster::{Cluster, stop_named};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cluster",
    about = "A real Kubernetes on this machine, for tests and for work on the operator",
    after_help = "Example:\n  eval $(cluster up) && kubectl get nodes",
    arg_required_else_help = true
)]
struct Cli {
    /// Which cluster; several may run side by side.
    #[arg(long, global = true, default_value = "default")]
    name: String,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Starts control plane and simulated nodes, and prints the KUBECONFIG to export.
    Up,
    /// Adds the node that really runs pods, on Linux as root; starts the cluster when it is not there.
    Node,
    /// Writes the image of one binary as a tar of its OCI layout; needs neither an engine nor a registry.
    Image {
        /// What the image is called, with its tag.
        image: String,
        /// The binary that it runs; its libraries come with it when it is not static.
        binary: PathBuf,
        /// Where the tar goes.
        layout: PathBuf,
        /// Gives it to the real node of the cluster, too.
        #[arg(long)]
        import: bool,
    },
    /// Stops the cluster, and those of tests that died; nothing of them is left.
    Down,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(text) => {
            // A reader that went away is no reason to fail.
            let _ = write!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<String> {
    match &cli.command {
        Action::Up => Cluster::up(&cli.name).map(|cluster| export(&cluster)),
        Action::Node => {
            let cluster = Cluster::up(&cli.name)?;
            cluster.real_node()?;
            Ok(export(&cluster))
        }
        Action::Image { image, binary, layout, import } => {
            let digest = image::write(&Image::of(image, binary)?, layout)?;
            if *import {
                Cluster::running(&cli.name)?.real_node()?.import_image(layout)?;
            }
            Ok(format!("{image} {digest} {}\n", layout.display()))
        }
        Action::Down => {
            let stopped = stop_named(&cli.name)?;
            Ok(if stopped.is_empty() {
                "No cluster runs.\n".to_owned()
            } else {
                format!("Stopped {}.\n", stopped.join(", "))
            })
        }
    }
}

fn export(cluster: &Cluster) -> String {
    format!("export KUBECONFIG={}\n", cluster.kubeconfig().display())
}
