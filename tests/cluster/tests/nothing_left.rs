//! What stops a cluster leaves nothing of it: no process, namespace, mount, interface, cgroup or file, while a pod runs on it that
//! has a volume and an address; not even of one whose owner died.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use cartera_cluster::image::{self, Image};
use cartera_cluster::program::KUBECTL;
use cartera_cluster::{Cluster, NoNode, Node, VOLUME_CLASS, skipped};
use tempfile::TempDir;

/// Set in the pod, which runs this very file.
const IN_POD: &str = "CARTERA_TEST_IN_POD";

#[test]
#[ignore = "is what a pod runs, for the test below"]
fn pod_that_waits() {
    while std::env::var_os(IN_POD).is_some() {
        std::thread::park();
    }
}

/// A pod with a volume.
fn pod(image: &str) -> String {
    format!(
        "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data, namespace: default}}
spec: {{storageClassName: {VOLUME_CLASS}, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: waits, namespace: default}}
spec:
  containers:
  - name: main
    image: {image}
    imagePullPolicy: IfNotPresent
    args: [--exact, pod_that_waits, --ignored, --nocapture]
    env: [{{name: {IN_POD}, value: 'yes'}}]
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]
"
    )
}

/// Has a pod run on the real node.
fn run_a_pod(state: &TempDir, kubeconfig: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (layout, manifest) = (folder.path().join("image.tar"), folder.path().join("pod.yaml"));
    image::write(&Image::of("cartera.test/waits:1", &std::env::current_exe()?)?, &layout)?;
    let imported = cluster(state, &["import", &layout.display().to_string()])?;
    fs::write(&manifest, pod(String::from_utf8_lossy(&imported.stdout).trim()))?;
    let kubectl = |arguments: &[&str]| -> Result<()> {
        let mut kubectl = Command::new(KUBECTL.binary()?);
        kubectl.env("KUBECONFIG", kubeconfig).env("KUBECACHEDIR", folder.path().join("kubectl"));
        let output = kubectl.args(arguments).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    kubectl(&["apply", "--server-side", "--filename", &manifest.display().to_string()])?;
    kubectl(&["wait", "--for=condition=Ready", "pod/waits", "--namespace=default", "--timeout=180s"])
}

/// A process by its id and when it started: the id alone may by now be somebody else's.
type Living = BTreeMap<(u32, u64), Process>;

struct Process {
    command: String,
    /// The namespaces that it is in, such as `net:[4026531840]`.
    namespaces: BTreeSet<String>,
}

/// All processes of this machine.
fn living() -> Result<Living> {
    let mut living = Living::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        // What ends while it is looked at has nothing to say.
        if let Some(pid) = pid
            && let Some((started, process)) = process(&path)
        {
            living.insert((pid, started), process);
        }
    }
    Ok(living)
}

fn process(path: &Path) -> Option<(u64, Process)> {
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?.parse().ok()?;
    let command = String::from_utf8_lossy(&fs::read(path.join("cmdline")).ok()?).replace('\0', " ");
    // One that was killed gives its memory back, and its command with it, before it counts as dead.
    let is_ending = is_dead || command.is_empty();
    (!is_ending).then(|| (started, Process { command, namespaces: namespaces(path) }))
}

fn namespaces(process: &Path) -> BTreeSet<String> {
    let links = ["net", "mnt", "pid", "ipc", "uts"].map(|kind| fs::read_link(process.join("ns").join(kind)));
    links.into_iter().flatten().map(|link| link.display().to_string()).collect()
}

/// The processes of a cgroup and of those below it.
fn processes_of(cgroup: &Path) -> BTreeSet<u32> {
    let listed = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut found: BTreeSet<u32> = listed.lines().filter_map(|pid| pid.parse().ok()).collect();
    for entry in fs::read_dir(cgroup).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(processes_of(&entry.path()));
        }
    }
    found
}

/// Who lives on the node, by the namespaces that are not this machine's own.
struct Inhabitants {
    living: Living,
    namespaces: BTreeSet<String>,
}

impl Inhabitants {
    /// Finds them: what was started for the cluster by its folder, what runs in pods by the node's cgroup.
    fn find(state: &Path) -> Result<Self> {
        let living = living()?;
        let name =
            fs::read_to_string(state.join("cartera-cluster/default/node/link")).context("the node has a link")?;
        let in_pods = processes_of(&cgroups().join(&name));
        let folder = state.to_str().context("the folder's path is text")?;
        let is_of_node = |pid: u32, process: &Process| in_pods.contains(&pid) || process.command.contains(folder);
        let of_node = living.iter().filter(|((pid, _), process)| is_of_node(*pid, process));
        let mut found: BTreeSet<String> = of_node.flat_map(|(_, process)| process.namespaces.clone()).collect();
        let own = namespaces(Path::new("/proc/self"));
        found.retain(|namespace| !own.contains(namespace));
        let waits = living.iter().filter(|((pid, _), _)| in_pods.contains(pid));
        let waits: Vec<&Process> =
            waits.map(|(_, process)| process).filter(|process| process.command.contains("pod_that_waits")).collect();
        ensure!(waits.len() == 1 && in_pods.len() > 1, "the pod and what holds its namespaces run: {in_pods:?}");
        ensure!(waits[0].namespaces.is_disjoint(&own), "the pod is apart from this machine: {:?}", waits[0].namespaces);
        let networks = found.iter().filter(|namespace| namespace.starts_with("net:")).count();
        ensure!(networks > 1, "the node has a network, and the pod another: {found:?}");
        Ok(Self { living, namespaces: found })
    }

    /// Those that are there still. By the numbers of namespaces alone nobody is known: another cluster gets those that became free.
    fn left(&self) -> Result<Vec<String>> {
        let now = living()?;
        let is_left = |key: &(u32, u64), process: &Process| {
            self.living.contains_key(key) && !process.namespaces.is_disjoint(&self.namespaces)
        };
        let left = now.iter().filter(|(key, process)| is_left(key, process));
        Ok(left.map(|((pid, _), process)| format!("{pid} {}", process.command)).collect())
    }
}

/// The mounts and the named networks of this machine itself.
fn mounts_and_networks() -> Result<BTreeSet<String>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let networks = fs::read_dir("/run/netns").into_iter().flatten().filter_map(Result::ok);
    let networks = networks.map(|entry| format!("network {}", entry.path().display()));
    Ok(mounts.lines().map(|line| format!("mount {line}")).chain(networks).collect())
}

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

/// Where cgroups are, in version 1 those of one controller.
fn cgroups() -> PathBuf {
    let of_one = PathBuf::from("/sys/fs/cgroup/memory");
    if of_one.is_dir() { of_one } else { PathBuf::from("/sys/fs/cgroup") }
}

/// Interfaces or cgroups that bear our name; those of clusters that somebody else runs meanwhile are among them.
fn named(folder: impl AsRef<Path>) -> BTreeSet<String> {
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

    let (links, groups) = (named("/sys/class/net"), named(cgroups()));
    let around = mounts_and_networks()?;
    let mut inhabitants = None;
    if let Some(reason) = Node::why_not() {
        skipped("down removes a real node", &reason);
    } else {
        cluster(&state, &["node"])?;
        assert_ne!(named("/sys/class/net"), links, "the node has an interface");
        assert_ne!(named(cgroups()), groups, "the node has a cgroup");
        run_a_pod(&state, kubeconfig)?;
        inhabitants = Some(Inhabitants::find(state.path())?);
    }
    let own: Vec<String> = traces(state.path())?.into_iter().filter(|trace| trace.starts_with("process")).collect();
    assert!(own.len() >= 5, "its processes are found by its folder: {own:#?}");

    cluster(&state, &["down"])?;
    assert_eq!(traces(state.path())?, BTreeSet::new());
    // Another cluster may have gone meanwhile.
    assert!(named("/sys/class/net").is_subset(&links), "{links:?} became {:?}", named("/sys/class/net"));
    assert!(named(cgroups()).is_subset(&groups), "{groups:?} became {:?}", named(cgroups()));
    let now = mounts_and_networks()?;
    assert!(now.is_subset(&around), "new on this machine: {:#?}", now.difference(&around));
    if let Some(inhabitants) = inhabitants {
        assert_eq!(inhabitants.left()?, Vec::<String>::new(), "in the namespaces of the node or of its pod");
    }
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
