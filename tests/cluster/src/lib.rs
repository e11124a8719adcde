//! A real Kubernetes on one machine: control plane and simulated nodes on loopback, and one real node in a network of its
//! own. Everything is built from pinned sources, started as plain processes and gone when it is stopped.
//!
//! [`Cluster::from_env_or_start`] is where tests begin; `docs/cluster.md` tells the rest.

mod authority;
mod cluster;
mod control_plane;
mod fake_nodes;
mod foreign_crds;
mod forward;
mod hash;
pub mod image;
mod kubectl;
mod node;
mod process;
pub mod program;
mod state;
mod wait;

pub use cluster::{Cluster, build_programs, stop_named};
pub use forward::Forwarded;
pub use node::{NoNode, Node, VOLUME_CLASS};
pub use wait::wait_until;

/// Tells whoever waits what is being done; it goes to standard error, where it disturbs no output.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "cluster: {text}");
}

/// Reports that a test, or a part of one, was not run; it shows in the output of tests that pass, too.
pub fn skipped(test: &str, reason: &str) {
    say(&format!("SKIPPED {test}: {reason}"));
}
