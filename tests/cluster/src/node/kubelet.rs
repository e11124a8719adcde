//! The kubelet: it joins the node to the cluster and has the container runtime run its pods.

use anyhow::Result;

use super::container_runtime::SOCKET;
use super::{Joining, NAME, cgroup};
use crate::process::Started;
use crate::program::KUBELET;

/// Starts it and waits until the node is ready.
pub(super) fn start(joining: &Joining<'_>) -> Result<()> {
    let Joining { folder, space, authority, kubectl, link, .. } = joining;
    let user = format!("system:node:{NAME}");
    let kubeconfig = joining.kubeconfig("node/kubelet.kubeconfig", &user, Some("system:nodes"))?;
    let address = link.node.to_string();
    let resolver = folder.write("node/resolv.conf", &format!("nameserver {address}\n"))?;
    let config = format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {address}
authentication:
  x509: {{clientCAFile: {authority}}}
containerRuntimeEndpoint: unix://{SOCKET}
cgroupDriver: cgroupfs
cgroupRoot: {cgroup}
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
clusterDomain: cluster.local
clusterDNS: [{address}]
resolvConf: {resolver}
podLogsDir: {logs}
volumePluginDir: {plugins}
# Images come from files: what was removed to save space could not be fetched again.
imageGCHighThresholdPercent: 100
# What else fills this machine's disk and memory is not the pods' fault.
evictionHard: {{memory.available: 50Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}}
",
        authority = authority.pair().certificate.display(),
        cgroup = cgroup::make(&link.name)?,
        resolver = resolver.display(),
        logs = folder.folder("node/pod-logs")?.display(),
        plugins = folder.folder("node/volume-plugins")?.display(),
    );
    let config = folder.write("node/kubelet.yaml", &config)?;
    let mut kubelet = space.command(KUBELET.binary()?);
    kubelet.arg("--config").arg(config).arg("--kubeconfig").arg(kubeconfig);
    kubelet.arg("--root-dir").arg(folder.folder("node/kubelet")?).arg("--cert-dir").arg(folder.folder("node/pki")?);
    kubelet.args(["--hostname-override", NAME, "--node-ip", &address]);
    let started = Started::spawn(folder, "kubelet", &mut kubelet)?;
    started.wait_until("the real node to be ready", || {
        let ready = kubectl.run(["wait", "--for=condition=Ready", &format!("node/{NAME}"), "--timeout=1s"]);
        Ok(ready.is_ok())
    })
}
