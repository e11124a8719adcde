//! A cluster that tests and people use: one that is given, or one that is started.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::control_plane::ADMIN;
use crate::kubectl::Kubectl;
use crate::process::Identity;
use crate::program::{ETCD, HELM, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, KUBECTL, KWOK, Program};
use crate::state::{Recorded, StateFolder};
use crate::{NoNode, Node, control_plane, fake_nodes, foreign_crds, node};

/// What a cluster without a real node is made of and used with.
const PROGRAMS: [Program; 7] = [ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, KUBECTL, KWOK, HELM];

/// How many simulated nodes a cluster has.
const FAKE_NODES: usize = 3;

/// A Kubernetes that can be used; one that was started for this value stops when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    kubectl: Kubectl,
    kept: Kept,
}

/// What a cluster leaves behind when the value is dropped.
#[derive(Debug)]
enum Kept {
    /// Nothing of it is ours but what the commands remembered.
    Given { _memory: TempDir },
    /// It goes on until somebody stops it.
    Running(StateFolder),
    /// It is stopped.
    Owned(StateFolder),
}

impl Cluster {
    /// The cluster that `KUBECONFIG` names; without it, one is started.
    ///
    /// # Errors
    /// When `KUBECONFIG` names no file, or a cluster cannot be started.
    pub fn from_env_or_start() -> Result<Self> {
        match std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()) {
            Some(kubeconfig) => Self::given(PathBuf::from(kubeconfig)),
            None => Self::start(),
        }
    }

    /// Starts a cluster that ends with this value; when this process dies before, `cluster down` removes it.
    ///
    /// # Errors
    /// When a program cannot be built or does not come up; what came up is stopped.
    pub fn start() -> Result<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let me = this_process()?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = StateFolder::of(&format!("test-{}-{number}", me.pid))?;
        ensure!(folder.create(&me)?, "{} is there: `cluster down` removes it", folder.join("").display());
        // From here on the value stops whatever was started, also when the next step fails.
        let cluster = Self { kubectl: Kubectl::of(&folder)?, kept: Kept::Owned(folder.clone()) };
        start(&folder)?;
        Ok(cluster)
    }

    /// The cluster of that name, which goes on when the value is dropped; started when it is not there.
    ///
    /// # Errors
    /// When it is there in part only, or does not come up; what came up is stopped.
    pub fn up(name: &str) -> Result<Self> {
        let folder = StateFolder::of(name)?;
        if folder.is_abandoned() {
            stop(&folder)?;
        }
        if !folder.create(&this_process()?)? {
            return Self::running(name);
        }
        let mut cluster = Self { kubectl: Kubectl::of(&folder)?, kept: Kept::Owned(folder.clone()) };
        start(&folder)?;
        folder.release()?;
        cluster.kept = Kept::Running(folder);
        Ok(cluster)
    }

    /// The cluster of that name, which was started before.
    ///
    /// # Errors
    /// When it is not there, or a process of it has ended.
    pub fn running(name: &str) -> Result<Self> {
        let folder = StateFolder::of(name)?;
        if !folder.exists() {
            bail!("there is no cluster `{name}`: `cluster up` starts one");
        }
        if let Some(owner) = folder.owner() {
            bail!("the cluster `{name}` is not whole: process {} is starting it, or died while it did", owner.pid);
        }
        // Of a process that was started again, the last record counts.
        let processes: BTreeMap<String, Recorded> =
            folder.processes()?.into_iter().map(|process| (process.name.clone(), process)).collect();
        let ended = processes.into_values().find(|process| !process.identity.lives());
        if let Some(ended) = ended {
            bail!(
                "the cluster `{name}` is there, but its {} has ended (its logs: {}): `cluster down`, then `cluster up`",
                ended.name,
                folder.join("logs").display()
            );
        }
        Ok(Self { kubectl: Kubectl::of(&folder)?, kept: Kept::Running(folder) })
    }

    /// A cluster of ours is known by its kubeconfig, and can then have a real node.
    fn given(kubeconfig: PathBuf) -> Result<Self> {
        ensure!(kubeconfig.is_file(), "KUBECONFIG names {}, which is no file", kubeconfig.display());
        if let Some(ours) = StateFolder::all()?.into_iter().find(|folder| folder.join(ADMIN) == kubeconfig) {
            return Self::running(&ours.name());
        }
        let memory = tempfile::tempdir().context("could not make a temporary folder")?;
        let kubectl = Kubectl::with(kubeconfig, memory.path().to_owned());
        Ok(Self { kubectl, kept: Kept::Given { _memory: memory } })
    }

    /// What a client needs to reach it, with every right.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// Runs kubectl; returns what it printed.
    ///
    /// # Errors
    /// When it fails; the message holds what it complained of.
    pub fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.kubectl.run(arguments)
    }

    /// What `kubectl auth can-i --list` says that a `ServiceAccount`, of the namespace `home`, may do in a namespace: one right in
    /// a line, sorted.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn rights(&self, home: &str, account: &str, namespace: &str) -> Result<Vec<String>> {
        let who = format!("--as=system:serviceaccount:{home}:{account}");
        let listed = self.kubectl(["auth", "can-i", "--list", &who, "--namespace", namespace])?;
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut rights: Vec<String> = listed.lines().skip(1).map(words).collect();
        rights.sort_unstable();
        ensure!(!rights.is_empty(), "every account may ask what it may do: {listed}");
        Ok(rights)
    }

    /// Runs helm; returns what it printed.
    ///
    /// # Errors
    /// When it fails; the message holds what it complained of.
    pub fn helm<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.kubectl.helm(arguments)
    }

    /// Applies manifests on the server's side; returns what kubectl printed.
    ///
    /// # Errors
    /// When an object is refused; the message holds what the server said.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.kubectl.apply(manifests)
    }

    /// Installs the custom resources of Gateway API, cert-manager, Prometheus operator and volume snapshots, without the
    /// controllers that would act on them.
    ///
    /// # Errors
    /// When their sources cannot be fetched, or the cluster refuses one.
    pub fn install_foreign_crds(&self) -> Result<()> {
        foreign_crds::install(&self.kubectl)
    }

    /// The node that really runs pods; it joins when it has not yet. It needs root.
    ///
    /// # Errors
    /// [`NoNode::Skip`] where there can be none, with the reason; [`NoNode::Failed`] when it does not come up.
    pub fn real_node(&self) -> Result<Node, NoNode> {
        match &self.kept {
            Kept::Given { .. } => Err(NoNode::Skip("KUBECONFIG names a cluster that brings its own nodes".to_owned())),
            Kept::Running(folder) | Kept::Owned(folder) => Node::of(folder),
        }
    }

    /// A program, told where this cluster is, to run with arguments and input of one's own.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn command(&self, program: Program) -> Result<Command> {
        self.kubectl.command(program)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Kept::Owned(folder) = &self.kept
            && let Err(error) = stop(folder)
        {
            crate::say(&format!("could not stop {}: {error:#}; `cluster down` tries again", folder.name()));
        }
    }
}

fn this_process() -> Result<Identity> {
    Identity::of(std::process::id()).context("could not find this process in /proc, which only Linux has")
}

fn start(folder: &StateFolder) -> Result<()> {
    control_plane::start(folder)?;
    fake_nodes::start(folder, FAKE_NODES)
}

/// Builds every program that this machine can run and that the cache lacks.
///
/// # Errors
/// When Go is missing, or a build fails.
pub fn build_programs() -> Result<()> {
    let of_node = if Node::why_not().is_none() { &node::PROGRAMS[..] } else { &[] };
    for program in PROGRAMS.iter().chain(of_node) {
        program.binary()?;
    }
    Ok(())
}

/// Stops the cluster of that name, and every cluster whose owner has died; returns the names of those that were stopped.
///
/// # Errors
/// When a process does not end or a folder cannot be removed.
pub fn stop_named(name: &str) -> Result<Vec<String>> {
    let doomed = StateFolder::all()?.into_iter().filter(|folder| folder.name() == name || folder.is_abandoned());
    doomed.map(|folder| stop(&folder).map(|()| folder.name())).collect()
}

/// Nothing of a cluster outlives it, so nothing needs to end in order.
fn stop(folder: &StateFolder) -> Result<()> {
    for process in folder.processes()?.iter().rev() {
        process.identity.kill().with_context(|| format!("could not stop {}", process.name))?;
    }
    node::clean_up(folder)?;
    folder.remove()
}
