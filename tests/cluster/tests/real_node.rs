//! The real node: pods of our images run under the strictest Pod Security standard, on volumes and Services that work.

use std::path::Path;

use anyhow::{Context, Result};
use cartera_cluster::image::{self, Image};
use cartera_cluster::program::{KUBECTL, PAUSE};
use cartera_cluster::{Cluster, NoNode, Node, VOLUME_CLASS, skipped};

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: strict, labels: {pod-security.kubernetes.io/enforce: restricted}}
";

/// What `restricted` asks of a pod and of its containers.
const POD: &str = "securityContext: {runAsNonRoot: true, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}";
const CONTAINER: &str = "imagePullPolicy: Never
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}";

fn stateful_set() -> String {
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
      {POD}
      containers:
      - name: main
        image: cartera.test/waits:1
        {CONTAINER}
        volumeMounts: [{{name: data, mountPath: /data}}]
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{storageClassName: {VOLUME_CLASS}, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
"
    )
}

/// A binary that is not static: its libraries come with it.
fn job() -> String {
    format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: speaks, namespace: strict}}
spec:
  template:
    spec:
      restartPolicy: Never
      {POD}
      containers:
      - name: main
        image: cartera.test/speaks:1
        args: [--help]
        {CONTAINER}
"
    )
}

fn give_image(node: &Node, name: &str, binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let layout = folder.path().join("image.tar");
    image::write(&Image::of(name, binary)?, &layout)?;
    node.import_image(&layout)
}

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn a_pod_of_our_image_is_ready_under_restricted_with_its_claim_bound() -> Result<()> {
    let cluster = Cluster::start()?;
    let node = match cluster.real_node() {
        Ok(node) => node,
        Err(NoNode::Skip(reason)) => {
            skipped("real_node", &reason);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    give_image(&node, "cartera.test/waits:1", &PAUSE.binary()?)?;
    give_image(&node, "cartera.test/speaks:1", Path::new(env!("CARGO_BIN_EXE_cluster")))?;
    cluster.apply(NAMESPACE)?;
    cluster.apply(&stateful_set())?;
    cluster.apply(&job())?;
    cluster.kubectl(["rollout", "status", "statefulset/real", "--namespace=strict", "--timeout=120s"])?;
    let claim = ["get", "pvc", "data-real-0", "--namespace=strict", "--output=jsonpath={.status.phase}"];
    assert_eq!(cluster.kubectl(claim)?, "Bound");
    let placed = ["get", "pod", "real-0", "--namespace=strict", "--output=jsonpath={.spec.nodeName}"];
    assert_eq!(cluster.kubectl(placed)?, "real");

    cluster.kubectl(["wait", "--for=condition=Complete", "job/speaks", "--namespace=strict", "--timeout=120s"])?;
    let said = cluster.kubectl(["logs", "job/speaks", "--namespace=strict"])?;
    assert!(said.contains("Usage: cluster"), "{said}");

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
