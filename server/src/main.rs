//! The command `cartera`: one tenant's server and the tools around it.

use std::process::ExitCode;

/// The system's allocator keeps an arena for each thread: after an import, the server would hold half as much again.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cartera_server::cli::main()
}
