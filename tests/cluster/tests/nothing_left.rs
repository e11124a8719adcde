//! What stops a cluster leaves nothing of it: no process, mount, interface, cgroup or file; not even of one whose owner died.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use cartera_cluster::{Cluster, NoNode, Node, skipped};
use tempfile::TempDir;

/// What exists on this machine of clusters whose state lies in a folder.
fn traces(state: &Path) -> Result<BTreeSet<String>> {
    let mut traces = BTreeSet::new();
    let state = state.to_str().context("the folder's path is text")?;
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        let Ok(command) = fs::read(process.join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        // What ends while it is looked at has nothing to say.
        let mounts = fs::read_to_string(process.join("mounts")).unwrap_or_default();
        traces.extend(command.contains(state).then(|| format!("process {} {command}", process.display())));
        traces.extend(mounts.lines().filter(|line| line.contains(state)).map(|line| format!("mount {line}")));
    }
    for file in fs::read_dir(state)? {
        let folder = file?.path();
        for file in fs::read_dir(&folder)? {
            traces.insert(format!("file {}", file?.path().display()));
        }
    }
    Ok(traces)
}

/// Where cgroups are, in version 1 those of one controller; in version 2 there is no such folder, and its parent has them.
const CGROUPS: &str = "/sys/fs/cgroup/memory";

/// Interfaces or cgroups that bear our name; those of clusters that somebody else runs meanwhile are among them.
fn named(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|file| file.starts_with("cartera"))
        .collect()
}

/// No other test here starts a node meanwhile: of whom an interface is cannot be seen.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cluster(state: &TempDir, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
    command.env("XDG_STATE_HOME", state.path()).env_remove("KUBECONFIG").args(arguments);
    let output = command.output()?;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn down_removes_everything_of_a_cluster_with_a_real_node() -> Result<()> {
    let _alone = alone();
    let state = tempfile::tempdir()?;
    let up = cluster(&state, &["up"])?;
    let said = String::from_utf8_lossy(&up.stdout).into_owned();
    let kubeconfig = said.trim().strip_prefix("export KUBECONFIG=").context("it says what to export")?;
    assert!(Path::new(kubeconfig).exists());
    let again = cluster(&state, &["up"])?;
    assert_eq!(String::from_utf8_lossy(&again.stdout), said, "a cluster that runs is left as it is");

    let (links, cgroups) = (named("/sys/class/net"), named(CGROUPS));
    if let Some(reason) = Node::why_not() {
        skipped("down removes a real node", &reason);
    } else {
        cluster(&state, &["node"])?;
        assert_ne!(named("/sys/class/net"), links, "the node has an interface");
        assert_ne!(named(CGROUPS), cgroups, "the node has a cgroup");
    }
    let own: Vec<String> = traces(state.path())?.into_iter().filter(|trace| trace.starts_with("process")).collect();
    assert!(own.len() >= 5, "its processes are found by its folder: {own:#?}");

    cluster(&state, &["down"])?;
    assert_eq!(traces(state.path())?, BTreeSet::new());
    // Another cluster may have gone meanwhile.
    assert!(named("/sys/class/net").is_subset(&links), "{links:?} became {:?}", named("/sys/class/net"));
    assert!(named(CGROUPS).is_subset(&cgroups), "{cgroups:?} became {:?}", named(CGROUPS));
    Ok(())
}

/// Set for the owner that is to die: whoever runs all ignored tests must not.
const DIES: &str = "CARTERA_TEST_OWNER_DIES";

#[test]
#[ignore = "plays the owner that dies, for the test below"]
fn owner_that_dies() {
    if std::env::var_os(DIES).is_none() {
        return;
    }
    let cluster = Cluster::start().expect("a cluster");
    match cluster.real_node() {
        Ok(_) | Err(NoNode::Skip(_)) => std::process::abort(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn down_removes_what_an_owner_left_that_died() -> Result<()> {
    let _alone = alone();
    let state = tempfile::tempdir()?;
    let mut owner = Command::new(std::env::current_exe()?);
    owner.args(["--exact", "owner_that_dies", "--ignored"]).env("XDG_STATE_HOME", state.path()).env(DIES, "1");
    let ended = owner.output()?;
    assert!(!ended.status.success());
    assert_ne!(traces(state.path())?, BTreeSet::new(), "it left something: {}", String::from_utf8_lossy(&ended.stderr));

    let down = cluster(&state, &["down"])?;
    assert!(String::from_utf8_lossy(&down.stdout).contains("Stopped test-"));
    assert_eq!(traces(state.path())?, BTreeSet::new());
    Ok(())
}
