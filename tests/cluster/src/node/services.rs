//! What leads pods to Services by address and by name: kube-proxy and CoreDNS.

use std::net::SocketAddr;

use anyhow::Result;

use super::{Joining, NAME};
use crate::process::Started;
use crate::program::{COREDNS, KUBE_PROXY};

const PROXY_HEALTH_PORT: u16 = 10256;
const DNS_READY_PORT: u16 = 8181;

/// Starts both and waits until they know the cluster's Services; kube-proxy wants the node's own object to be there.
pub(super) fn start(joining: &Joining<'_>) -> Result<()> {
    joining.kubectl.apply(&objects(&joining.server))?;
    start_proxy(joining)?;
    start_dns(joining)
}

/// Pods reach the API server where the node does. CoreDNS may read what the role `view` may.
fn objects(server: &SocketAddr) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kubernetes
  namespace: default
  labels: {{kubernetes.io/service-name: kubernetes}}
addressType: IPv4
ports: [{{name: https, port: {port}, protocol: TCP}}]
endpoints: [{{addresses: [{address}]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: coredns}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: coredns}}]
",
        address = server.ip(),
        port = server.port()
    )
}

fn start_proxy(joining: &Joining<'_>) -> Result<()> {
    let Joining { folder, space, link, .. } = joining;
    let kubeconfig = joining.kubeconfig("node/kube-proxy.kubeconfig", "system:kube-proxy", None)?;
    let mut proxy = space.command(KUBE_PROXY.binary()?);
    proxy.arg("--kubeconfig").arg(kubeconfig).args(["--hostname-override", NAME, "--proxy-mode", "iptables"]);
    // All pods are on one bridge, where an answer finds its way back past the node unless the question came from the node.
    proxy.arg("--masquerade-all");
    // These limits belong to the machine, which the node's namespaces may not change.
    proxy.args(["--conntrack-max-per-core", "0"]);
    proxy.args(["--conntrack-tcp-timeout-established", "0", "--conntrack-tcp-timeout-close-wait", "0"]);
    proxy.args(["--healthz-bind-address", &format!("{}:{PROXY_HEALTH_PORT}", link.node)]);
    let started = Started::spawn(folder, "kube-proxy", &mut proxy)?;
    started.wait_until("kube-proxy to know the Services", || Ok(link.answers(PROXY_HEALTH_PORT, "/healthz")))
}

fn start_dns(joining: &Joining<'_>) -> Result<()> {
    let Joining { folder, space, link, .. } = joining;
    let kubeconfig = joining.kubeconfig("node/coredns.kubeconfig", "coredns", None)?;
    let address = link.node;
    // Names outside of the cluster are not answered: nothing on the node reaches further.
    let config = format!(
        ".:53 {{
    bind {address}
    errors
    ready {address}:{DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {}
    }}
}}
",
        kubeconfig.display()
    );
    let config = folder.write("node/Corefile", &config)?;
    let mut dns = space.command(COREDNS.binary()?);
    dns.arg("-conf").arg(config);
    let started = Started::spawn(folder, "coredns", &mut dns)?;
    started.wait_until("CoreDNS to know the Services", || Ok(link.answers(DNS_READY_PORT, "/ready")))
}
