//! The command `cartera`. Every subcommand is one file: its arguments, and a `run` that returns what is to be said.

mod conformance;
mod demo;
mod device;
mod export;
mod import;
mod import_report;
pub mod local_api;
mod model;
mod openapi;
pub mod output;
mod restored;
mod secret;
mod serve;
mod settings;
mod sync_rules;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::output::{Answer, Failure, Output};
use crate::platform::config::Config;

#[derive(Debug, Parser)]
#[command(
    name = "cartera",
    version,
    about = "A CRM that keeps working where the network does not",
    after_help = "Example:\n  cartera serve --data ./cartera-data\n\nEvery key of docs/configuration.md can be set with --set KEY=VALUE or as a CARTERA_* variable.",
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Clone, Debug)]
struct Global {
    /// The folder that holds everything the server keeps; made when missing.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    #[arg(long, global = true, value_name = "FILE", help = "Configuration file (TOML); also CARTERA_CONFIG")]
    config: Option<PathBuf>,
    /// Sets one key of the configuration; may be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Says everything as one JSON document on standard output, problems too.
    #[arg(long, global = true)]
    json: bool,
}

// One line for each subcommand here, and one in `dispatch`.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Conformance(conformance::Arguments),
    Demo(demo::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    User(user::Arguments),
    Device(device::Arguments),
    Model(model::Arguments),
    SyncRules(sync_rules::Arguments),
    Openapi(openapi::Arguments),
    Restored(restored::Arguments),
}

async fn dispatch(command: Command, context: &Context) -> Result<Answer, Failure> {
    match command {
        Command::Serve(arguments) => serve::run(arguments, context).await,
        Command::Conformance(arguments) => conformance::run(arguments, context).await,
        Command::Demo(arguments) => demo::run(arguments, context).await,
        Command::Export(arguments) => export::run(arguments, context).await,
        Command::Import(arguments) => import::run(arguments, context).await,
        Command::User(arguments) => user::run(arguments, context).await,
        Command::Device(arguments) => device::run(arguments, context).await,
        Command::Model(arguments) => model::run(arguments, context).await,
        Command::SyncRules(arguments) => sync_rules::run(arguments, context).await,
        Command::Openapi(arguments) => openapi::run(arguments, context).await,
        Command::Restored(arguments) => restored::run(arguments, context).await,
    }
}

/// What every subcommand is handed.
#[derive(Clone, Debug)]
pub struct Context {
    /// The configuration, checked.
    pub config: Config,
    /// Where answers go.
    pub output: Output,
}

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return output::refuse_arguments(&error, &arguments),
    };
    let output = Output { json: cli.global.json };
    let done = settings::read(&cli.global, &cli.command).and_then(|config| {
        let context = Context { config, output };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::of("could not start the runtime", &error.into()))?;
        runtime.block_on(dispatch(cli.command, &context))
    });
    output.finish(done)
}
