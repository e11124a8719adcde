//! The command line: one file for each command.

mod crds;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(arguments) => run::run(arguments),
        Command::Crds(arguments) => crds::run(&arguments),
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
