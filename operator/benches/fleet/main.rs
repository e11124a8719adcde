//! A fleet of tenants on a real API server with simulated nodes: how fast it is made, what it costs at rest, how soon drift
//! is repaired, how soon an operator that was killed has caught up, and how much memory a tenant takes. `make bench-operator`
//! runs both parts, each on a cluster of its own:
//!
//! - `plain`: the same objects, applied by a plain client. That is what the cluster can do on this machine.
//! - `operator`: the operator's controller in a process of its own. Nothing runs in simulated pods, so it is told of its
//!   servers' health by [`serve::Told`] instead of by asking them; everything else is what a release does.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "how long something took is what is measured")]
#![expect(clippy::cast_precision_loss, reason = "counts are small")]

mod fleet;
mod operator;
mod plain;
mod serve;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// As in a release.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How many tenants, unless `FLEET_TENANTS` says otherwise.
const TENANTS: usize = 1_000;
/// How long nothing may be sent, unless `FLEET_REST_SECONDS` says otherwise.
const REST_SECONDS: u64 = 600;

fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let part = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let count = number("FLEET_TENANTS", TENANTS);
    runtime.block_on(async {
        match part.as_deref() {
            Some("plain") => {
                let seconds = plain::measure(count).await?;
                println!("plain applies: {count} tenants with ready pods in {seconds:.1} s");
                fs::write(plain_file(), seconds.to_string()).context("could not keep what was measured")
            }
            Some("operator") => {
                let plain = fs::read_to_string(plain_file()).context("the part `plain` comes first")?;
                operator::measure(count, number("FLEET_REST_SECONDS", REST_SECONDS), plain.parse()?).await
            }
            Some("serve") => serve::run().await,
            _ => bail!("name a part: plain or operator; make bench-operator runs both"),
        }
    })
}

fn number<N: std::str::FromStr>(variable: &str, usual: N) -> N {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn plain_file() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fleet-plain-seconds")
}
