//! The namespaces that the node lives in: a network, mounts and processes of its own.
//!
//! Its first process holds all of them. When that one is killed, the kernel ends every other process of the node, containers
//! included, and with the last of them go its mounts and its network: nothing is left to be searched for.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Result;

use crate::process::Started;
use crate::state::StateFolder;

/// The node's namespaces, held by their first process.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) holder: u32,
}

/// The holder's name among the cluster's processes.
const HOLDER: &str = "node";

/// Containers' sockets and locks have fixed places below /run, the network's state below /var/lib, links to logs below
/// /var/log: here all of them are in memory.
/// A shell that waits also buries the processes that lost their parent.
const HOLD: &str = "set -e
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 node $folder; done
touch \"$1\"
sleep infinity &
wait";

impl Space {
    /// The node's namespaces, where it has joined.
    pub(super) fn of(folder: &StateFolder) -> Result<Option<Self>> {
        let processes = folder.processes()?;
        let holder = processes.into_iter().find(|process| process.name == HOLDER && process.identity.lives());
        Ok(holder.map(|process| Self { holder: process.identity.pid }))
    }

    /// Makes them.
    pub(super) fn open(folder: &StateFolder) -> Result<Self> {
        let ready = folder.folder(super::FOLDER)?.join("space-is-ready");
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ]);
        unshare.args(["sh", "-c", HOLD, HOLDER]).arg(&ready);
        let started = Started::spawn(folder, HOLDER, &mut unshare)?;
        started.wait_until("the node's namespaces", || Ok(ready.exists()))?;
        Ok(Self { holder: started.identity.pid })
    }

    /// A command that runs in them.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let holder = self.holder;
        let mut nsenter = Command::new("nsenter");
        // The holder stands outside of the processes' namespace that its children are in.
        nsenter.args(["--target", &holder.to_string(), "--net", "--mount"]);
        nsenter.arg(format!("--pid=/proc/{holder}/ns/pid_for_children"));
        nsenter.arg("--").arg(program);
        nsenter
    }
}
