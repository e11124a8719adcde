//! A phone for the terminal.

use std::process::ExitCode;

fn main() -> ExitCode {
    cartera_client::cli::run(std::env::args_os())
}
