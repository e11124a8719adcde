//! The command `cluster`: starts, extends and stops the Kubernetes that tests run on.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use cartera_cluster::image::{self, Image};
use cartera_cluster::{Cluster, build_programs, stop_named};
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
    /// Builds what a cluster and its real node are made of, where that was not done yet: otherwise whoever needs it does.
    Build,
    /// Writes the image of one binary as a tar of its OCI layout; needs neither an engine nor a registry.
    Image {
        /// What the image is called, with its tag.
        image: String,
        /// The binary that it runs; its libraries come with it when it is not static.
        binary: PathBuf,
        /// Where the tar goes.
        layout: PathBuf,
        /// Lays the files of the image into this folder, too, for an engine to build the same image from there.
        #[arg(long, value_name = "FOLDER")]
        lay: Option<PathBuf>,
    },
    /// Gives an image to the real node, from a tar of its OCI layout.
    Import {
        /// The tar.
        layout: PathBuf,
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
        Action::Build => {
            build_programs()?;
            Ok(String::new())
        }
        Action::Image { image: name, binary, layout, lay } => {
            let image = Image::of(name, binary)?;
            let digest = image::write(&image, layout)?;
            if let Some(folder) = lay {
                image::lay(&image, folder)?;
            }
            Ok(format!("{name} {digest} {}\n", layout.display()))
        }
        Action::Import { layout } => {
            let by_digest = Cluster::running(&cli.name)?.real_node()?.import_image(layout)?;
            Ok(format!("{by_digest}\n"))
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
