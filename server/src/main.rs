//! The command `cartera`: one tenant's server and the tools around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cartera_server::cli::main()
}
