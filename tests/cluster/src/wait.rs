//! Waiting for a state, never for a time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything here may take, on a machine that has much else to do.
const COMES_WITHIN: Duration = Duration::from_mins(3);

/// Waits until a state holds; an error of `holds` ends the waiting.
///
/// # Errors
/// That of `holds`, or what did not come.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let asked = Instant::now();
    while !holds()? {
        if asked.elapsed() > COMES_WITHIN {
            bail!("waited {COMES_WITHIN:?} for {what}, which does not come");
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
