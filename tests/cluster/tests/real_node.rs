//! The real node: pods of our images run under the strictest Pod Security standard, on volumes, Services and names that work,
//! and people reach into them.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use anyhow::{Context, Result};
use cartera_cluster::image::{self, Image};
use cartera_cluster::program::KUBECTL;
use cartera_cluster::{Cluster, Forwarded, NoNode, Node, VOLUME_CLASS, skipped};

/// Set in pods, which run this very file: its libraries are in the image, too.
const IN_POD: &str = "CARTERA_TEST_IN_POD";

const PORT: u16 = 8080;

/// Where the pod's claim is mounted.
const KEPT: &str = "/data/kept";

/// A Service of every cluster, as pods call it.
const API_SERVER: &str = "kubernetes.default.svc.cluster.local";

#[test]
#[ignore = "is what a pod runs, for the test below"]
fn pod_serves() -> Result<()> {
    if std::env::var_os(IN_POD).is_none() {
        return Ok(());
    }
    fs::write(KEPT, "kept on a volume").context("the claim is mounted, and the pod's user may write there")?;
    for caller in TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?.incoming() {
        // Probes go before they have read anything.
        let _ = caller?.write_all(&fs::read(KEPT)?);
    }
    Ok(())
}

#[test]
#[ignore = "is what a pod runs, for the test below"]
fn pod_calls_a_service_by_its_name() -> Result<()> {
    if std::env::var_os(IN_POD).is_none() {
        return Ok(());
    }
    for name in [API_SERVER, "kubernetes.default.svc", "kubernetes.default"] {
        let service = TcpStream::connect((name, 443)).with_context(|| format!("could not reach {name}"))?;
        assert_eq!(service.peer_addr()?.to_string(), "10.96.0.1:443");
    }
    Ok(())
}

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: strict, labels: {pod-security.kubernetes.io/enforce: restricted}}
";

/// All that `restricted` asks for, and a root of files that cannot be written.
fn stateful_set(image: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: real, namespace: strict}}
spec:
  serviceName: real
  selector: {{matchLabels: {{app: real}}}}
  template:
    metadata: {{labels: {{app: real}}}}
    spec:
      securityContext: {{runAsNonRoot: true, fsGroup: 65532, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
      - name: main
        image: {image}
        imagePullPolicy: IfNotPresent
        args: [--exact, pod_serves, --ignored, --nocapture]
        env: [{{name: {IN_POD}, value: 'yes'}}]
        readinessProbe: {{tcpSocket: {{port: {PORT}}}, periodSeconds: 1}}
        securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
        volumeMounts: [{{name: data, mountPath: /data}}]
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{storageClassName: {VOLUME_CLASS}, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
"
    )
}

/// Gives the node an image of this binary; returns how pods call it, by its digest as the operator's do.
fn give_image(node: &Node, binary: &Path) -> Result<String> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let layout = folder.path().join("image.tar");
    image::write(&Image::of("cartera.test/this:1", binary)?, &layout)?;
    node.import_image(&layout)
}

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn a_pod_of_our_image_runs_under_restricted_and_can_be_reached_into() -> Result<()> {
    let cluster = Cluster::start()?;
    let node = match cluster.real_node() {
        Ok(node) => node,
        Err(NoNode::Skip(reason)) => {
            skipped("real_node", &reason);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let this = std::env::current_exe().context("the test has a path")?;
    let image = give_image(&node, &this)?;
    cluster.apply(NAMESPACE)?;
    cluster.apply(&stateful_set(&image))?;
    cluster.kubectl(["rollout", "status", "statefulset/real", "--namespace=strict", "--timeout=120s"])?;
    let claim = ["get", "pvc", "data-real-0", "--namespace=strict", "--output=jsonpath={.status.phase}"];
    assert_eq!(cluster.kubectl(claim)?, "Bound");
    let placed = ["get", "pod", "real-0", "--namespace=strict", "--output=jsonpath={.spec.nodeName}"];
    assert_eq!(cluster.kubectl(placed)?, "real");

    let said = cluster.kubectl(["logs", "real-0", "--namespace=strict"])?;
    assert!(said.contains("running 1 test"), "{said}");
    let in_image = format!("/{}", this.file_name().context("the test has a name")?.display());
    let calls = [&in_image, "--exact", "pod_calls_a_service_by_its_name", "--ignored"];
    let said = cluster.kubectl(["exec", "real-0", "--namespace=strict", "--"].into_iter().chain(calls))?;
    assert!(said.contains("1 passed"), "{said}");
    assert_eq!(read(&Forwarded::to(&cluster, "strict", "pod/real-0", PORT)?)?, "kept on a volume");

    // A Service leads from the node to the API server, which listens on the machine's loopback alone.
    let mut through_service = node.command(KUBECTL.binary()?);
    through_service.env("KUBECONFIG", cluster.kubeconfig());
    let reached = through_service.args(["--server=https://10.96.0.1", "get", "--raw", "/readyz"]).output()?;
    assert_eq!(String::from_utf8_lossy(&reached.stdout), "ok", "{}", String::from_utf8_lossy(&reached.stderr));

    node.restart_container_runtime()?;
    let started = ["get", "pod", "real-0", "--namespace=strict", "--output=jsonpath={.status.containerStatuses[0]}"];
    assert!(cluster.kubectl(started)?.contains("\"restartCount\":0"), "the pod goes on while its runtime restarts");
    Ok(())
}

fn read(forwarded: &Forwarded) -> Result<String> {
    let mut read = String::new();
    TcpStream::connect((Ipv4Addr::LOCALHOST, forwarded.port))?.read_to_string(&mut read)?;
    Ok(read)
}
