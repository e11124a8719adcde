//! The command `cartera-operator`.

use std::process::ExitCode;

/// The system's allocator keeps an arena for each thread, and with it what a burst of events took.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cartera_operator::cli::main()
}
