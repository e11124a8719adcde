use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::server::{EMAIL, PASSWORD, Server, binary};

/// Enrols the real native client in a folder of its own and returns how long its first sync took, all of it stored.
pub fn first_sync(server: &Server, home: &Path) -> Result<Duration> {
    run(home, &["enrol", &server.url, "--user", EMAIL])?;
    let start = Instant::now();
    run(home, &["sync"])?;
    Ok(start.elapsed())
}

fn run(home: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary("cartera-device")?);
    let output = command.arg("--home").arg(home).args(arguments).env("CARTERA_PASSWORD", PASSWORD).output()?;
    ensure!(output.status.success(), "cartera-device failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}
