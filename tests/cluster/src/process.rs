//! Processes of a cluster: started into groups of their own, recorded, and killed only if they are still the same.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::{Deserialize, Serialize};

use crate::state::{Recorded, StateFolder};
use crate::wait::wait_until;

/// Which process it is: its id alone may by now be somebody else's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine did.
    started_ticks: u64,
    /// Which start of the machine that was.
    boot: String,
}

impl Identity {
    /// The process that has this id now; none when it has ended, even if its parent has not looked yet.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses, which may hold anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let started_ticks = fields.nth(18)?.parse().ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        (!matches!(state, "Z" | "X")).then_some(Self { pid, started_ticks, boot })
    }

    /// Whether that very process still runs.
    pub(crate) fn lives(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Kills it where it still runs, and waits until it has ended.
    pub(crate) fn kill(&self) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("a process id is a positive number")?;
        if self.lives() {
            // It may end by itself at this moment.
            let _ = kill_process(pid, Signal::KILL);
            wait_until(&format!("process {} to end", self.pid), || Ok(!self.lives()))?;
        }
        // The kernel keeps an ended child until its parent has looked; for the child of another this does nothing.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        Ok(())
    }
}

/// A process that was started for a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    name: String,
    pub(crate) identity: Identity,
    folder: StateFolder,
}

impl Started {
    /// Starts a program whose output goes to `logs/NAME.log`; it outlives whoever started it.
    pub(crate) fn spawn(folder: &StateFolder, name: &str, command: &mut Command) -> Result<Self> {
        let log = folder.folder("logs")?.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("could not write {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("could not write {}", log.display()))?;
        // In a group of its own: Ctrl-C in the terminal is not meant for it.
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("could not start {name} ({command:?})"))?;
        let Some(identity) = Identity::of(child.id()) else {
            bail!("{name} ended as soon as it was started; see {}", log.display());
        };
        let started = Self { name: name.to_owned(), identity, folder: folder.clone() };
        folder.record(&Recorded { name: started.name.clone(), identity: started.identity.clone() })?;
        Ok(started)
    }

    /// Waits for a state that it brings about; an error when it ends before, with the last that it said.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let waited = wait_until(what, || {
            if !self.identity.lives() {
                bail!("{} has ended", self.name);
            }
            holds()
        });
        waited.map_err(|error| {
            let log = self.folder.join(format!("logs/{}.log", self.name));
            let said = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(20)..].join("\n");
            anyhow!("{error:#}; the last lines of {}:\n{last}", log.display())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_the_same_id_is_left_alone() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep is everywhere");
        let alive = Identity::of(child.id()).expect("it runs");
        let before = Identity { started_ticks: alive.started_ticks - 1, ..alive.clone() };
        let other_boot = Identity { boot: "another".to_owned(), ..alive.clone() };
        for stranger in [before, other_boot] {
            assert!(!stranger.lives());
            stranger.kill().expect("there is nothing to kill");
        }
        assert!(alive.lives());
        alive.kill().expect("it can be killed");
        assert!(!alive.lives());
        drop(child.wait());
    }
}
