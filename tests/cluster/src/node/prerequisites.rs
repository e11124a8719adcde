//! What a machine needs for a real node: what it must be, and what can be installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use rustix::process::geteuid;

use crate::kubectl::said;

/// Where Debian and others put the CNI plugins.
const CNI_PLUGINS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// What can be installed: a command that succeeds when it is there, what it is for, and its package on Debian.
const PACKAGES: [(&[&str], &str, &str); 5] = [
    (&["ip", "-Version"], "connects the node to this machine", "iproute2"),
    (&["iptables", "--version"], "leads Services to their pods", "iptables"),
    (&["pkill", "--version"], "ends containerd when it is to restart", "procps"),
    (&["cc", "--version"], "compiles the part of runc that is C", "gcc libc6-dev"),
    (&["pkg-config", "--exists", "libseccomp"], "filters system calls of containers", "pkg-config libseccomp-dev"),
];

/// Why this machine cannot run a real node, whatever is installed; none when it can.
pub(super) fn why_not() -> Option<String> {
    if !geteuid().is_root() {
        return Some("it needs root, for namespaces, mounts and cgroups".to_owned());
    }
    if !["cgroup.controllers", "memory"].iter().any(|file| Path::new("/sys/fs/cgroup").join(file).exists()) {
        return Some("no cgroups are mounted at /sys/fs/cgroup".to_owned());
    }
    // Root in a container may often not do this.
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]);
    said(&mut unshare).err().map(|error| format!("this machine allows no namespaces or mounts: {error:#}"))
}

/// Names what is missing and can be installed.
pub(super) fn require() -> Result<()> {
    let is_there = |command: &[&str]| {
        Command::new(command[0]).args(&command[1..]).output().is_ok_and(|output| output.status.success())
    };
    let missing = PACKAGES.iter().filter(|(command, ..)| !is_there(command));
    let mut missing: Vec<(&str, &str)> = missing.map(|(_, why, package)| (*why, *package)).collect();
    if cni_plugins().is_none() {
        missing.push(("connects pods to the node's network", "containernetworking-plugins"));
    }
    let reasons: Vec<String> = missing.iter().map(|(why, package)| format!("{package} ({why})")).collect();
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    ensure!(
        missing.is_empty(),
        "missing for the real node: {}. To install on Debian:\n    apt-get install -y {}",
        reasons.join(", "),
        packages.join(" ")
    );
    Ok(())
}

/// The folder that holds the CNI plugins.
pub(super) fn cni_plugins() -> Option<&'static str> {
    CNI_PLUGINS.into_iter().find(|folder| Path::new(folder).join("bridge").exists())
}
