//! Whether pods of tenants reach each other, where the network enforces policies. Everything runs for real: servers of our image,
//! and in their pods the same program as whoever calls.
//!
//! The clusters that are started here enforce no policies: on them the test shows what may be reached, says so and ends.
//! `KUBECONFIG` names another, and `CARTERA_TEST_IMAGE` the server's image by its digest, as that cluster's nodes pull it.

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use cartera_cluster::program::KUBECTL;
use cartera_cluster::{Cluster, NoNode, skipped};
use cartera_operator::tenant::server::{INTERNAL_PORT, PORT};
use serde_json::json;

use support::running::{Running, namespace, ready, removed};
use support::{Home, tenant};

/// Somebody who calls: a pod, and the container of it that has the program.
struct Caller {
    namespace: String,
    pod: &'static str,
}

/// A cluster whose pods run our server.
struct Network<'a> {
    cluster: &'a Cluster,
    image: String,
}

impl Network<'_> {
    /// A namespace with one server that answers whoever reaches it, and with policies of its own.
    fn server_in(&self, namespace: &str, labels: &str, policies: &str) -> Caller {
        let (image, port) = (&self.image, PORT);
        let manifests = format!(
            "
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}, labels: {{{labels}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: server, namespace: {namespace}}}
spec:
  automountServiceAccountToken: false
  securityContext: {{runAsUser: 65532, fsGroup: 65532}}
  containers:
  - name: server
    image: {image}
    imagePullPolicy: IfNotPresent
    args: [serve, --data, /data, --listen, '[::]:{port}']
    volumeMounts: [{{name: data, mountPath: /data}}, {{name: tmp, mountPath: /tmp}}]
    readinessProbe: {{tcpSocket: {{port: {port}}}, periodSeconds: 1}}
  volumes: [{{name: data, emptyDir: {{}}}}, {{name: tmp, emptyDir: {{}}}}]
{policies}"
        );
        self.cluster.apply(&manifests).expect("objects of a test");
        let namespaced = format!("--namespace={namespace}");
        let ready = ["wait", "--for=condition=Ready", "pod/server", &namespaced, "--timeout=120s"];
        self.cluster.kubectl(ready).expect("a server");
        Caller { namespace: namespace.to_owned(), pod: "server" }
    }

    fn address(&self, of: &Caller) -> String {
        let namespace = format!("--namespace={}", of.namespace);
        let address = ["get", "pod", of.pod, &namespace, "--output=jsonpath={.status.podIP}"];
        self.cluster.kubectl(address).expect("an address")
    }

    /// Whether a caller gets any answer there: what it says does not matter.
    fn reaches(&self, from: &Caller, to: &Caller, port: u16) -> bool {
        let (namespace, url) =
            (format!("--namespace={}", from.namespace), format!("http://{}:{port}", self.address(to)));
        let mut command = self.cluster.command(KUBECTL).expect("kubectl");
        command.args([
            "exec",
            "--stdin",
            from.pod,
            &namespace,
            "--container=server",
            "--",
            "/cartera",
            "conformance",
            &url,
        ]);
        command.args(["--plain-http", "--user=nobody@example.com", "--only=Cursor"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = piped.spawn().expect("kubectl starts");
        // Where it ends before it has read the password, its own words say why.
        let _ = running.stdin.take().expect("its input is piped").write_all(b"no password\n");
        let ended = running.wait_with_output().expect("kubectl ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains("could not enrol a device"), "a caller says whether it was answered: {said}");
        !said.contains("gave no answer")
    }
}

/// The image that pods run, or why there is none.
fn image(cluster: &Cluster) -> Result<String, String> {
    match cluster.real_node() {
        Ok(node) => {
            let layout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images/cartera.tar");
            Ok(node.import_image(&layout).expect("scripts/images made it"))
        }
        Err(NoNode::Skip(reason)) => {
            std::env::var("CARTERA_TEST_IMAGE").map_err(|_| format!("{reason}, and CARTERA_TEST_IMAGE names no image"))
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make cluster-test"]
async fn tenants_are_reached_by_the_gateway_and_by_nobody_else() {
    let cluster = Cluster::from_env_or_start().expect("a cluster");
    let image = match image(&cluster) {
        Ok(image) => image,
        Err(reason) => return skipped("isolation", &reason),
    };
    let network = Network { cluster: &cluster, image: image.clone() };
    let home = Home::reach(cluster.kubeconfig()).await;
    home.apply(&json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig", "metadata": { "name": "default" },
        "spec": { "baseDomain": "crm.example", "channels": { "stable": image }, "gateway": { "mode": "None" } },
    }))
    .await;
    // Callers run beside the server, in its container.
    let mut plan = support::plan("team");
    plan["spec"]["resources"]["limits"]["memory"] = json!("512Mi");
    home.apply(&plan).await;
    let running = Running::start(&home);
    let mut tenants = Vec::new();
    for name in ["one", "two"] {
        // On real nodes, with a volume of the usual class.
        let real = json!({ "spec": { "database": { "storage": { "className": null } }, "isolation": null } });
        home.apply(&tenant(name, &real)).await;
        tenants.push(Caller { namespace: namespace(&ready(&home, name).await), pod: "cartera-0" });
    }
    let of_test = |what: &str| format!("{}-{what}", home.namespace);
    let gateway = network.server_in(&of_test("gateway"), "cartera.dev/gateway: 'true'", "");
    let outside = network.server_in(&of_test("outside"), "", "");
    let closed = network.server_in(&of_test("closed"), "", &nobody_may_call(&of_test("closed")));

    assert!(network.reaches(&gateway, &outside, PORT), "pods reach each other where no policy is");
    assert!(network.reaches(&gateway, &tenants[0], PORT), "the gateway reaches a tenant");
    if network.reaches(&outside, &closed, PORT) {
        skipped("isolation", "the network of this cluster enforces no NetworkPolicy");
    } else {
        let [one, two] = [&tenants[0], &tenants[1]];
        for (from, to, port, who) in [
            (one, two, PORT, "a tenant another"),
            (one, two, INTERNAL_PORT, "a tenant what another's operator asks"),
            (&outside, two, PORT, "somebody else a tenant"),
            (&gateway, two, INTERNAL_PORT, "the gateway what the operator asks"),
            (one, &outside, PORT, "a tenant somebody else"),
        ] {
            assert!(!network.reaches(from, to, port), "nothing may reach: {who}");
        }
    }
    for name in ["one", "two"] {
        removed(&home, name).await;
    }
    running.stop().await;
    for what in ["gateway", "outside", "closed"] {
        cluster.kubectl(["delete", "namespace", &of_test(what), "--wait=false"]).expect("a deletion");
    }
}

fn nobody_may_call(namespace: &str) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: closed, namespace: {namespace}}}
spec: {{podSelector: {{}}, policyTypes: [Ingress]}}
"
    )
}
