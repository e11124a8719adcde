//! The platform: the operator from its chart, and what it is told.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cartera_cluster::image::{self, Image};
use cartera_cluster::{Cluster, Forwarded, Node};

use crate::PATIENCE;
use crate::people::Administrator;

/// Selects the namespace of the tenants.
pub const TENANTS: &str = "--namespace=cartera-tenants";
const OPERATOR: &str = "cartera-system";

/// A cluster with the operator in it.
pub struct Platform<'a> {
    pub node: &'a Node,
    cluster: &'a Cluster,
    /// Where images are made that nobody releases.
    folder: tempfile::TempDir,
}

impl<'a> Platform<'a> {
    /// Installs the chart, with the images that `scripts/images` made, and says what is sold.
    pub fn install(cluster: &'a Cluster, node: &'a Node) -> Result<Self> {
        let operator = node.import_image(&layout("cartera-operator"))?;
        let server = node.import_image(&layout("cartera"))?;
        let (repository, digest) = operator.split_once('@').context("a name with a digest")?;
        let chart = root().join("charts/cartera-operator");
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let platform = Self { node, cluster, folder };
        let _ = cluster.kubectl(["create", "namespace", OPERATOR])?;
        let restricted = "pod-security.kubernetes.io/enforce=restricted";
        let _ = cluster.kubectl(["label", "namespace", OPERATOR, restricted])?;
        let _ = cluster.helm([
            "install",
            "cartera-operator",
            &chart.display().to_string(),
            "--namespace",
            OPERATOR,
            "--wait",
            PATIENCE,
            "--set",
            &format!("image.repository={repository},image.digest={digest}"),
            "--set",
            "resources.requests.cpu=10m",
        ])?;
        platform.apply(&format!(
            "
apiVersion: cartera.dev/v1alpha1
kind: PlatformConfig
metadata: {{name: default, namespace: cartera-tenants}}
spec:
  baseDomain: crm.example
  gateway: {{mode: None}}
  channels: {{stable: '{server}'}}
---
apiVersion: cartera.dev/v1alpha1
kind: Plan
metadata: {{name: team, namespace: cartera-tenants}}
spec:
  displayName: Team
  entitlements: {{modules: [sales], maxUsers: 10, maxDevices: 20}}
  resources: {{requests: {{cpu: 10m, memory: 64Mi}}, limits: {{memory: 512Mi}}, storage: 10Gi}}
"
        ))?;
        Ok(platform)
    }

    /// Applies one tenant and waits until people can work.
    pub fn sell(&self, tenant: &str) -> Result<()> {
        self.order(tenant, "power: Running")?;
        self.wait_ready(tenant)
    }

    /// Applies one tenant, of whose spec one more line is given.
    pub fn order(&self, tenant: &str, more: &str) -> Result<()> {
        self.apply(&format!(
            "
apiVersion: cartera.dev/v1alpha1
kind: Tenant
metadata: {{name: {tenant}, namespace: cartera-tenants}}
spec:
  displayName: {tenant}
  customer: {{email: ana@{tenant}.example}}
  subscription: {{planRef: {{name: team}}}}
  database: {{storage: {{size: 1Gi}}}}
  {more}
"
        ))
    }

    /// Another image for the channel `stable`.
    pub fn channel(&self, image: &str) -> Result<()> {
        let patch = format!("{{\"spec\":{{\"channels\":{{\"stable\":\"{image}\"}}}}}}");
        let _ = self.kubectl(["patch", "platformconfig", "default", TENANTS, "--type=merge", "--patch", &patch])?;
        Ok(())
    }

    /// Begins a roll-out.
    pub fn roll_out(&self, name: &str, to: &str, waves: &str) -> Result<()> {
        self.apply(&format!(
            "
apiVersion: cartera.dev/v1alpha1
kind: FleetRollout
metadata: {{name: {name}, namespace: cartera-tenants}}
spec:
  to: {{{to}}}
  waves: {waves}
  gates: {{readyWithin: 45s}}
"
        ))
    }

    pub fn wait_ready(&self, tenant: &str) -> Result<()> {
        self.wait(&format!("tenant/{tenant}"), "Ready")
    }

    /// Waits for a condition; where it does not come, the error has what the object says of itself.
    pub fn wait(&self, object: &str, condition: &str) -> Result<()> {
        let waited = self.kubectl(["wait", &format!("--for=condition={condition}"), object, TENANTS, PATIENCE]);
        waited.map(|_| ()).map_err(|error| {
            let said = self.kubectl(["get", object, TENANTS, "--output=yaml"]).unwrap_or_default();
            error.context(said)
        })
    }

    pub fn get(&self, object: &str, path: &str) -> Result<String> {
        self.kubectl(["get", object, TENANTS, &format!("--output=jsonpath={path}")])
    }

    pub fn namespace(&self, tenant: &str) -> Result<String> {
        self.get(&format!("tenant/{tenant}"), "{.status.namespace}")
    }

    /// Which pod a tenant's server runs in: another one has another id.
    pub fn server_of(&self, tenant: &str) -> Result<String> {
        self.of_server(tenant, "{.metadata.uid}")
    }

    /// Something of the pod that a tenant's server runs in.
    pub fn of_server(&self, tenant: &str, path: &str) -> Result<String> {
        let namespace = self.namespace(tenant)?;
        let path = format!("--output=jsonpath={path}");
        self.kubectl(["get", "pod", "cartera-0", "--namespace", &namespace, &path])
    }

    /// Asks for another annotation of a tenant's pods, and waits until operator and `StatefulSet` have acted on that.
    pub fn build_otherwise(&self, tenant: &str) -> Result<()> {
        let template = "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"release\":\"next\"}}}}}";
        let patch = format!("{{\"spec\":{{\"overrides\":[{{\"kind\":\"StatefulSet\",\"patch\":{template}}}]}}}}");
        let _ = self.kubectl(["patch", "tenant", tenant, TENANTS, "--type=merge", "--patch", &patch])?;
        self.wait_observed(&format!("tenant/{tenant}"), TENANTS)?;
        let namespace = format!("--namespace={}", self.namespace(tenant)?);
        let built = "--output=jsonpath={.spec.template.metadata.annotations.release}";
        let built = self.kubectl(["get", "statefulset", "cartera", &namespace, built])?;
        ensure!(built == "next", "the operator built pods with {built:?}");
        self.wait_observed("statefulset/cartera", &namespace)
    }

    /// Waits until whoever looks after an object has acted on its present generation.
    fn wait_observed(&self, object: &str, namespace: &str) -> Result<()> {
        let generation = self.kubectl(["get", object, namespace, "--output=jsonpath={.metadata.generation}"])?;
        let observed = format!("--for=jsonpath={{.status.observedGeneration}}={generation}");
        let _ = self.kubectl(["wait", &observed, object, namespace, PATIENCE])?;
        Ok(())
    }

    /// Waits until the password is gone that was made for the first administrator, who has chosen her own; it does not come again.
    pub fn wait_until_first_password_is_gone(&self, tenant: &str) -> Result<()> {
        let namespace = format!("--namespace={}", self.namespace(tenant)?);
        let claimed = "--for=jsonpath={.status.secrets.firstAdministratorClaimed}=true";
        let _ = self.kubectl(["wait", claimed, &format!("tenant/{tenant}"), TENANTS, PATIENCE])?;
        let secret = "secret/cartera-first-administrator";
        let _ = self.kubectl(["wait", "--for=delete", secret, &namespace, PATIENCE])?;
        let left = self.kubectl(["get", "secrets", &namespace, "--output=name"])?;
        ensure!(left.contains("secret/cartera-internal") && !left.contains(secret), "{left}");
        Ok(())
    }

    /// What `kubectl auth can-i --list` says that a `ServiceAccount` may do in a namespace, sorted.
    pub fn rights(&self, home: &str, account: &str, namespace: &str) -> Result<Vec<String>> {
        self.cluster.rights(home, account, namespace)
    }

    /// Another release of the operator: the same, and one file more.
    pub fn upgrade_operator(&self) -> Result<()> {
        let notes = self.folder.path().join("release-notes");
        fs::write(&notes, "The next operator.\n")?;
        let next = Image::of("cartera.dev/cartera-operator:next", &binary("cartera-operator")?)?;
        let next = self.import(&next.with("/release-notes", &notes))?;
        let (_, digest) = next.split_once('@').context("a name with a digest")?;
        let chart = root().join("charts/cartera-operator").display().to_string();
        let namespace = format!("--namespace={OPERATOR}");
        let image = format!("--set=image.digest={digest}");
        let _ = self.cluster.helm([
            "upgrade",
            "cartera-operator",
            &chart,
            &namespace,
            "--reuse-values",
            &image,
            "--wait",
            PATIENCE,
        ])?;
        Ok(())
    }

    /// The image that a tenant's server runs, as its pod says it.
    pub fn image_of(&self, tenant: &str) -> Result<String> {
        let namespace = self.namespace(tenant)?;
        self.kubectl([
            "get",
            "pod",
            "cartera-0",
            "--namespace",
            &namespace,
            "--output=jsonpath={.spec.containers[0].image}",
        ])
    }

    /// The next release: the same server, and one file more.
    pub fn next_image(&self) -> Result<String> {
        let notes = self.folder.path().join("release-notes");
        fs::write(&notes, "The next release.\n")?;
        self.import(&Image::of("cartera.dev/cartera:next", &binary("cartera")?)?.with("/release-notes", &notes))
    }

    /// A release that does not start: it is another program, which knows no `serve`.
    pub fn broken_image(&self) -> Result<String> {
        self.import(&Image::of("cartera.dev/cartera:broken", &binary("cluster")?)?)
    }

    fn import(&self, image: &Image) -> Result<String> {
        let layout = self.folder.path().join("image.tar");
        image::write(image, &layout)?;
        self.node.import_image(&layout)
    }

    /// Ends the server as a crash of its machine would, and does not wait for it.
    pub fn kill_server(&self, tenant: &str) -> Result<()> {
        let namespace = self.namespace(tenant)?;
        let _ =
            self.kubectl(["delete", "pod", "cartera-0", "--namespace", &namespace, "--grace-period=0", "--force"])?;
        Ok(())
    }

    /// The first administrator, with a password of her own.
    pub fn administrator(&self, tenant: &str) -> Result<Administrator> {
        let namespace = self.namespace(tenant)?;
        let secret = |key: &str| {
            let path = format!("--output=go-template={{{{.data.{key} | base64decode}}}}");
            self.kubectl(["get", "secret", "cartera-first-administrator", "--namespace", &namespace, &path])
        };
        let address = self.kubectl([
            "get",
            "service",
            "cartera",
            "--namespace",
            &namespace,
            "--output=jsonpath={.spec.clusterIP}",
        ])?;
        Administrator::claim(self, tenant, &secret("email")?, &secret("password")?, &format!("http://{address}"))
    }

    /// The server's port, on this machine.
    pub fn forward(&self, tenant: &str) -> Result<Forwarded> {
        Forwarded::to(self.cluster, &self.namespace(tenant)?, "service/cartera", 80)
    }

    /// What a tenant answers to somebody with this token.
    pub fn status_of(&self, tenant: &str, token: &str) -> Result<u16> {
        let forwarded = self.forward(tenant)?;
        let url = format!("http://127.0.0.1:{}/api/v1/me", forwarded.port);
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Ok(agent.get(&url).header("authorization", &format!("Bearer {token}")).call()?.status().as_u16())
    }

    /// Lets a tenant go and waits until it has gone.
    pub fn end(&self, tenant: &str) -> Result<()> {
        let patch = "{\"spec\":{\"deletion\":{\"protected\":false}}}";
        let _ = self.kubectl(["patch", "tenant", tenant, TENANTS, "--type=merge", "--patch", patch])?;
        let _ = self.kubectl(["delete", "tenant", tenant, TENANTS, PATIENCE])?;
        Ok(())
    }

    pub fn uninstall(&self) -> Result<String> {
        self.cluster.helm(["uninstall", "cartera-operator", "--namespace", OPERATOR, "--wait", PATIENCE])
    }

    /// What the guard said that let nobody uninstall.
    pub fn said_of_guard(&self) -> Result<String> {
        let guard = "--selector=batch.kubernetes.io/job-name=cartera-operator-guard";
        self.kubectl(["logs", guard, "--namespace", OPERATOR, "--tail=-1"])
    }

    pub fn kubectl<'b>(&self, arguments: impl IntoIterator<Item = &'b str>) -> Result<String> {
        self.cluster.kubectl(arguments)
    }

    fn apply(&self, manifests: &str) -> Result<()> {
        self.cluster.apply(manifests).map(|_| ())
    }
}

/// Leaves what commands printed where whoever writes the documents finds it.
pub fn keep_for_docs(said: &[&str]) -> Result<()> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journey.txt");
    fs::write(&file, said.join("\n")).with_context(|| format!("could not write {}", file.display()))
}

/// A document of the project, line by line, each with one space between its words.
pub struct Document(Vec<String>);

impl Document {
    /// Whether it has this line, however its words are set apart.
    pub fn shows(&self, line: &str) -> bool {
        let line = words(line);
        line.is_empty() || self.0.contains(&line)
    }

    /// Whether a row of one of its tables is about a condition.
    pub fn has_row(&self, condition: &str) -> bool {
        let row = format!("| `{condition}`");
        self.0.iter().any(|line| line.starts_with(&row))
    }

    /// Whether it says this word in a code span, or in something that was printed.
    pub fn names(&self, word: &str) -> bool {
        let span = format!("`{word}`");
        self.0.iter().any(|line| line.contains(&span) || line.split(' ').any(|said| said == word))
    }
}

/// Reads a document, by its path in the repository.
pub fn document(path: &str) -> Result<Document> {
    let text = fs::read_to_string(root().join(path)).with_context(|| format!("could not read {path}"))?;
    Ok(Document(text.lines().map(words).collect()))
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn layout(name: &str) -> PathBuf {
    root().join("target/images").join(name).with_extension("tar")
}

/// A program of the same build as this test.
pub fn binary(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("the test has a path")?;
    let binary = this.ancestors().nth(2).context("it lies in a target folder")?.join(name);
    ensure!(binary.is_file(), "{} is not there: cargo build --workspace --bins", binary.display());
    Ok(binary)
}
