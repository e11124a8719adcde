//! The commands of `cartera-device`.
//!
//! Every command prints for people, or with `--json` one JSON document, on standard output; `docs/device.md` has the
//! shapes. What goes wrong is a problem (RFC 9457) there too, a sentence on standard error otherwise, and an exit code
//! that is not 0.

mod arguments;
mod attention;
mod blob;
mod console;
mod edit;
mod enrol;
mod follow;
mod look;
mod outbox;
mod status;
mod sync;
mod table;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use crm::model::Language;

use crate::device::{Device, DeviceError};
use crate::host::Machine;
use crate::message::say;
use arguments::{Cli, Command, ConflictAction};
use console::Console;

/// The exit code of arguments that make no sense, as is usual.
const USAGE: u8 = 2;
/// The exit code of everything else that goes wrong.
const FAILURE: u8 = 1;

/// Runs a command line, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, arguments.iter().any(|argument| argument == "--json")),
    };
    let language = cli.lang.map_or_else(language_of_environment, Language::from);
    let mut console = Console::new(cli.json, language, Box::new(io::stdout().lock()), io::stderr().is_terminal());
    let result = execute(cli, &mut console);
    match result.and_then(|()| console.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(_)) => ExitCode::from(FAILURE),
        Err(Failure::Device(error)) => {
            let code = if matches!(*error, DeviceError::Usage(_)) { USAGE } else { FAILURE };
            // If the problem cannot be written either, the exit code still tells.
            let _ = console.problem(&error);
            ExitCode::from(code)
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    Device(Box<DeviceError>),
    /// Standard output is gone: nobody reads.
    Output(#[expect(dead_code, reason = "shown when a test fails")] io::Error),
}

impl<E: Into<DeviceError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Device(Box::new(error.into()))
    }
}

/// What a command comes to.
type Done = Result<(), Failure>;

fn execute(cli: Cli, console: &mut Console) -> Done {
    let language = console.language();
    let Some(home) = cli.home else {
        let missing =
            say("Falta --home CARPETA: la carpeta del dispositivo.", "--home DIR is missing: the device's folder.");
        return Err(DeviceError::Usage(missing).into());
    };
    let open = || Device::open(&home, language, Box::new(Machine));
    let look = || Device::look(&home, language, Box::new(Machine));
    match cli.command {
        Command::Enrol(arguments) => enrol::run(&home, arguments, console),
        Command::Sync(arguments) if arguments.follow => follow::run(&home, console),
        Command::Sync(arguments) => sync::run(&mut open()?, &home, arguments, console),
        Command::List(arguments) => look::list(&*look()?, arguments, console),
        Command::Show(arguments) => look::show(&*look()?, &arguments, console),
        Command::Set(arguments) => edit::set(&mut open()?, &arguments, console),
        Command::New(arguments) => edit::new(&mut open()?, &arguments, console),
        Command::Attach(arguments) => blob::attach(&mut open()?, &home, &arguments, console),
        Command::Fetch(arguments) => blob::fetch(&open()?, &home, &arguments, console),
        Command::Delete(arguments) => edit::delete(&mut open()?, &arguments, console),
        Command::Search(arguments) => look::search(&*look()?, &arguments, console),
        Command::Outbox => outbox::run(&*look()?, console),
        Command::Conflicts(arguments) => match arguments.action {
            None => attention::list(&*look()?, console),
            Some(ConflictAction::Dismiss { number }) => attention::dismiss(&mut open()?, number, console),
        },
        Command::Status => status::run(&*look()?, console),
        Command::Sum(arguments) => look::sum(&*look()?, &arguments, console),
    }
}

/// What clap has to say: help and version as they are, a mistake as a problem where JSON is wanted.
fn explain(error: &clap::Error, json: bool) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_answer || !json {
        let printed = error.print();
        return ExitCode::from(if is_answer && printed.is_ok() { 0 } else { USAGE });
    }
    let text = error.render().to_string();
    let mut console = Console::new(true, Language::En, Box::new(io::stdout().lock()), false);
    let _ = console.problem(&DeviceError::Usage(say(text.trim(), text.trim())));
    ExitCode::from(USAGE)
}

fn language_of_environment() -> Language {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
    let first = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    if first.starts_with("es") { Language::Es } else { Language::En }
}
