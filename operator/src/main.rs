//! The command `cartera-operator`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cartera_operator::cli::main()
}
