//! Simulated nodes: pods become ready and claims bound, though nothing runs.

use anyhow::Result;
use cartera_cluster::Cluster;

const STATEFUL_SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: simulated, namespace: default}
spec:
  serviceName: simulated
  replicas: 2
  selector: {matchLabels: {app: simulated}}
  template:
    metadata: {labels: {app: simulated}}
    spec:
      containers:
      - {name: main, image: cartera.test/nothing:1, volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn a_stateful_set_becomes_ready_with_its_claims_bound() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply(STATEFUL_SET)?;
    cluster.kubectl(["rollout", "status", "statefulset/simulated", "--timeout=60s"])?;
    let claims = cluster.kubectl(["get", "persistentvolumeclaims", "--output=jsonpath={.items[*].status.phase}"])?;
    assert_eq!(claims, "Bound Bound");
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn the_resources_of_other_projects_are_validated_by_their_own_schemas() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.install_foreign_crds()?;
    let route = |host: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: route, namespace: default}}
spec: {{hostnames: [{host}]}}
"
        )
    };
    cluster.apply(&route("crm.tresolmos.example"))?;
    let refused = cluster.apply(&route("'not a host'")).expect_err("a space is in no host's name").to_string();
    assert!(refused.contains("spec.hostnames"), "{refused}");
    for kind in ["certificates.cert-manager.io", "servicemonitors.monitoring.coreos.com"] {
        cluster.kubectl(["get", kind])?;
    }
    cluster.kubectl(["get", "volumesnapshots.snapshot.storage.k8s.io"])?;
    Ok(())
}
