//! Nodes that run nothing: kwok says that their pods are ready, and binds their claims.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::control_plane::{ADMIN, free_ports};
use crate::kubectl::Kubectl;
use crate::process::Started;
use crate::program::{KWOK, Module};
use crate::state::StateFolder;

/// What kwok is to do with nodes, pods and claims, in the folders of its module.
const STAGES: [&str; 4] = ["node/fast", "node/heartbeat", "pod/fast", "volume/fast"];

/// How often kwok is started before it is given up.
const ATTEMPTS: usize = 3;

/// Starts kwok with some nodes and waits until they are ready.
pub(crate) fn start(folder: &StateFolder, count: usize) -> Result<()> {
    let (stages, objects) = read_stages()?;
    let stages = folder.write("kwok-stages.yaml", &stages)?;
    let [port] = free_ports()?;
    let mut kwok = Command::new(KWOK.binary()?);
    kwok.arg("--kubeconfig").arg(folder.join(ADMIN)).arg("--config").arg(stages);
    kwok.args(["--manage-all-nodes=false", "--manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake"]);
    kwok.args(["--server-address", &format!("127.0.0.1:{port}")]);

    let kubectl = Kubectl::of(folder)?;
    let nodes: String = (0..count).map(fake_node).collect();
    kubectl.apply(&format!("{objects}{nodes}"))?;
    let come_up = |kwok: &mut Command| {
        let started = Started::spawn(folder, "kwok", kwok)?;
        started.wait_until("the simulated nodes to be ready", || {
            let ready = kubectl.run(["wait", "--for=condition=Ready", "node", "--selector=type=kwok", "--timeout=1s"]);
            Ok(ready.is_ok())
        })
    };
    // Its controllers fill one table as they start, and kwok 0.8 may die of that: "concurrent map writes".
    for _ in 1..ATTEMPTS {
        if come_up(&mut kwok).is_ok() {
            return Ok(());
        }
    }
    come_up(&mut kwok)
}

/// Leaves pods and claims to a real node, but for those that ask for a simulated one: its volumes would lie in /tmp.
pub(crate) fn step_back(kubectl: &Kubectl) -> Result<()> {
    kubectl.run(["taint", "node", "--selector=type=kwok", "--overwrite", "kwok.x-k8s.io/node=fake:NoSchedule"])?;
    let no_default = "storageclass.kubernetes.io/is-default-class=false";
    kubectl.run(["annotate", "storageclass", "kwok-volume", "--overwrite", no_default])?;
    Ok(())
}

/// kwok fills in what a node of its can take: a thousand cores, a million pods.
fn fake_node(number: usize) -> String {
    format!(
        "---
apiVersion: v1
kind: Node
metadata:
  name: fake-{number}
  annotations: {{kwok.x-k8s.io/node: fake}}
  labels: {{type: kwok, kubernetes.io/hostname: fake-{number}, kubernetes.io/os: linux}}
"
    )
}

/// kwok's own stages, and what else lies among them: the class of the volumes that it provides.
fn read_stages() -> Result<(String, String)> {
    let sources = Module::of("kwok")?.sources("sigs.k8s.io/kwok")?.join("kustomize/stage");
    let (mut stages, mut objects) = (String::new(), String::new());
    for part in STAGES {
        let folder = sources.join(part);
        let entries = fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("could not list {}", folder.display()))?.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            if text.contains("\nkind: Stage\n") {
                stages.extend(["---\n", &text]);
            } else if text.contains("\nkind: StorageClass\n") {
                objects.extend(["---\n", &text]);
            }
        }
    }
    Ok((stages, objects))
}
