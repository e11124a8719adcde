//! The charts by real helm on a real API server: rendered as agreed on, installed, upgraded, rolled back and uninstalled; and
//! what each account may do is what was agreed on.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cartera_cluster::program::HELM;
use cartera_cluster::{Cluster, wait_until};

const WAIT: [&str; 2] = ["--wait", "--timeout=180s"];

fn chart(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts").join(name).display().to_string()
}

/// Pods of this chart may run on simulated nodes.
const ON_FAKE_NODES: [&str; 2] = ["--set", "tolerations[0].key=kwok.x-k8s.io/node,tolerations[0].operator=Exists"];

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn charts_are_rendered_as_agreed_on_and_alerts_fire_when_they_should() -> Result<()> {
    let said = Command::new(chart("tests/run")).env("HELM", HELM.binary()?).output().context("could not run it")?;
    ensure!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn the_operators_chart_is_installed_upgraded_rolled_back_and_uninstalled() -> Result<()> {
    let cluster = Cluster::start()?;
    let namespace = ["--namespace", "op-system"];
    let (crds, operator) = (chart("cartera-operator-crds"), chart("cartera-operator"));
    let _ = cluster.helm(["install", "crds", &crds].into_iter().chain(namespace).chain(["--create-namespace"]))?;
    let options = || namespace.into_iter().chain(ON_FAKE_NODES).chain(WAIT);
    let _ = cluster.helm(["install", "op", &operator, "--set-string=image.tag=v1"].into_iter().chain(options()))?;
    let replicas = || {
        let of = ["get", "deployment", "--output=jsonpath={.items[0].status.readyReplicas}"];
        cluster.kubectl(of.into_iter().chain(namespace))
    };
    ensure!(replicas()? == "2", "{}", replicas()?);
    what_is_protected_cannot_be_deleted(&cluster)?;
    the_operators_account_is_confined_to_tenants(&cluster)?;
    make_accounts_of_hooks(&cluster, &operator)?;
    rights_are_as_agreed_on(&cluster)?;
    let _ = cluster.helm(["upgrade", "op", &operator, "--set=replicas=3,image.tag=v2"].into_iter().chain(options()))?;
    ensure!(replicas()? == "3", "{}", replicas()?);
    let _ = cluster.helm(["rollback", "op", "1"].into_iter().chain(namespace).chain(WAIT))?;
    ensure!(replicas()? == "2", "{}", replicas()?);
    let _ = cluster.helm(["uninstall", "op"].into_iter().chain(namespace).chain(WAIT))?;
    let _ = cluster.helm(["uninstall", "crds"].into_iter().chain(namespace).chain(WAIT))?;
    let _ = cluster.kubectl(["get", "crd", "tenants.cartera.dev"]).context("tenants must outlive the chart")?;
    let _ = cluster.kubectl(["get", "namespace", "cartera-tenants"]).context("so must their namespace")?;
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn a_tenants_chart_keeps_its_data() -> Result<()> {
    let cluster = Cluster::start()?;
    let tenant = chart("cartera");
    let volume = ["--set", "persistence.className=kwok-volume"];
    let options =
        || ["--namespace", "acme", "--create-namespace"].into_iter().chain(volume).chain(ON_FAKE_NODES).chain(WAIT);
    let _ = cluster.helm(["install", "acme", &tenant].into_iter().chain(options()))?;
    let claim = || {
        let of = ["get", "pvc", "--namespace=acme", "--output=jsonpath={.items[*].metadata.uid}"];
        cluster.kubectl(of)
    };
    let before = claim()?;
    ensure!(!before.is_empty() && !before.contains(' '), "one claim: {before}");
    let _ = cluster.helm(["upgrade", "acme", &tenant, "--set-string=image.tag=v2"].into_iter().chain(options()))?;
    let _ = cluster.helm(["rollback", "acme", "1", "--namespace=acme"].into_iter().chain(WAIT))?;
    let _ = cluster.helm(["uninstall", "acme", "--namespace=acme"].into_iter().chain(WAIT))?;
    ensure!(claim()? == before, "the data stays");
    let _ = cluster.helm(["install", "acme", &tenant].into_iter().chain(options()))?;
    ensure!(claim()? == before, "and is found again");
    Ok(())
}

/// The operator of the chart runs on simulated nodes, so nothing of it runs: whatever refuses is the API server.
fn what_is_protected_cannot_be_deleted(cluster: &Cluster) -> Result<()> {
    let _ = cluster.apply(
        "
apiVersion: cartera.dev/v1alpha1
kind: Tenant
metadata: {name: kept, namespace: cartera-tenants}
spec:
  displayName: Kept
  subscription: {planRef: {name: team}}
  database: {storage: {size: 1Gi}}
---
apiVersion: v1
kind: Namespace
metadata: {name: t-kept, labels: {cartera.dev/protected: 'true'}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: cartera-data, namespace: t-kept, labels: {cartera.dev/protected: 'true'}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
",
    )?;
    let claim = ["pvc", "cartera-data", "--namespace=t-kept"];
    let tenant = ["tenant", "kept", "--namespace=cartera-tenants"];
    refused(cluster, ["delete"].into_iter().chain(tenant), "the tenant kept is protected")?;
    refused(cluster, ["delete"].into_iter().chain(claim), "the claim cartera-data holds data of tenants")?;
    refused(cluster, ["delete", "namespace", "t-kept"], "the namespace t-kept holds data of tenants")?;
    refused(
        cluster,
        ["delete", "namespace", "cartera-tenants"],
        "the namespace cartera-tenants holds data of tenants",
    )?;

    let let_go = "--patch={\"spec\":{\"deletion\":{\"protected\":false}}}";
    let _ = cluster.kubectl(["patch"].into_iter().chain(tenant).chain(["--type=merge", let_go]))?;
    let _ = cluster.kubectl(["delete"].into_iter().chain(tenant))?;
    let allow = "cartera.dev/allow-deletion=true";
    let _ = cluster.kubectl(["label"].into_iter().chain(claim).chain([allow]))?;
    let _ = cluster.kubectl(["label", "namespace", "t-kept", allow])?;
    let _ = cluster.kubectl(["delete", "namespace", "t-kept"])?;
    Ok(())
}

/// RBAC lets the operator's account make namespaces and rolebindings; the policy says which.
fn the_operators_account_is_confined_to_tenants(cluster: &Cluster) -> Result<()> {
    let _ = cluster.kubectl(["create", "namespace", "somebody-elses"])?;
    let operator = "--as=system:serviceaccount:op-system:op-cartera-operator";
    let only = "the operator may make and change namespaces of tenants only";
    refused(cluster, ["create", "namespace", "not-a-tenants", operator], only)?;
    refused(cluster, ["delete", "namespace", "somebody-elses", operator], only)?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let file = folder.path().join("manifest.yaml");
    // As the operator does it.
    let apply = |manifest: &str| {
        fs::write(&file, manifest)?;
        cluster.kubectl(["apply", "--server-side", operator, "--filename", &file.display().to_string()])
    };
    let binding = |namespace: &str| {
        format!(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: cartera-tenant-access, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cartera-tenant-access}}
subjects: [{{kind: ServiceAccount, name: op-cartera-operator, namespace: op-system}}]
"
        )
    };
    let refused = apply(&binding("somebody-elses")).err().context("rights over somebody else's namespace")?;
    let only = "the operator may give rights to itself only, and in namespaces of tenants only";
    ensure!(format!("{refused:#}").contains(only), "{refused:#}");
    let _ = apply(&format!(
        "
apiVersion: v1
kind: Namespace
metadata: {{name: {A_TENANTS}, labels: {{app.kubernetes.io/managed-by: cartera-operator}}}}
"
    ))?;
    // RBAC would let it hand on its own role, whose rights it has, and give the tenants' one to anybody.
    for (part, other) in [
        ("ClusterRole, name: cartera-tenant-access", "ClusterRole, name: op-cartera-operator"),
        ("name: op-cartera-operator, namespace", "name: default, namespace"),
        ("namespace: op-system", "namespace: somebody-elses"),
        (
            "kind: ServiceAccount, name: op-cartera-operator, namespace: op-system",
            "apiGroup: rbac.authorization.k8s.io, kind: User, name: somebody",
        ),
        (
            "op-system}]",
            "op-system}, {apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]",
        ),
    ] {
        let changed = binding(A_TENANTS).replacen(part, other, 1);
        ensure!(changed != binding(A_TENANTS), "{part} is no part of the binding");
        let refused = apply(&changed).err().with_context(|| format!("accepted: {changed}"))?;
        ensure!(format!("{refused:#}").contains(only), "{changed}: {refused:#}");
    }
    let _ = apply(&binding(A_TENANTS))?;
    it_changes_volumes_of_tenants_only(cluster, operator)
}

/// RBAC lets it change every volume.
fn it_changes_volumes_of_tenants_only(cluster: &Cluster, operator: &str) -> Result<()> {
    let volume = |name: &str, claim: &str| {
        format!(
            "---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: none
  persistentVolumeReclaimPolicy: Retain
  hostPath: {{path: /nowhere}}
  {claim}
"
        )
    };
    let of = |namespace: &str, name: &str| format!("claimRef: {{namespace: {namespace}, name: {name}}}");
    let _ = cluster.apply(
        &[
            volume("nobodys", ""),
            volume("somebody-elses", &of("somebody-elses", "cartera-data")),
            volume("another-claims", &of(A_TENANTS, "other")),
            volume("a-tenants", &of(A_TENANTS, "cartera-data")),
        ]
        .concat(),
    )?;
    let change = "--patch={\"metadata\":{\"labels\":{\"changed\":\"true\"}}}";
    let patch = |name| ["patch", "persistentvolume", name, "--type=merge", change, operator];
    for name in ["nobodys", "somebody-elses", "another-claims"] {
        refused(cluster, patch(name), "the operator may change volumes of tenants only")?;
    }
    let _ = cluster.kubectl(patch("a-tenants")).context("a tenant's volume is made to stay")?;
    Ok(())
}

/// A namespace as the operator makes one for a tenant.
const A_TENANTS: &str = "t-somebody";

/// What a hook may do is given to it only while it runs: it is made here, without the hooks' jobs.
fn make_accounts_of_hooks(cluster: &Cluster, chart: &str) -> Result<()> {
    let hooks = ["apply-crds", "guard-uninstall"].map(|hook| format!("--show-only=templates/hooks/{hook}.yaml"));
    let template = ["template", "op", chart, "--namespace", "op-system"];
    let rendered = cluster.helm(template.into_iter().chain(hooks.iter().map(String::as_str)))?;
    let accounts: Vec<&str> =
        rendered.split("\n---\n").filter(|document| !document.contains("\nkind: Job\n")).collect();
    cluster.apply(&accounts.join("\n---\n")).map(|_| ())
}

fn refused<'a>(cluster: &Cluster, arguments: impl IntoIterator<Item = &'a str>, why: &str) -> Result<()> {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    // A policy is in force a moment after it was made: until then it is asked what would be done.
    let would_be = || cluster.kubectl(arguments.iter().copied().chain(["--dry-run=server"]));
    wait_until(&format!("a refusal where {why}"), || Ok(would_be().is_err()))?;
    let refused = cluster.kubectl(arguments).err().with_context(|| format!("nothing was refused where {why}"))?;
    ensure!(format!("{refused:#}").contains(why), "{refused:#}");
    Ok(())
}

/// What `kubectl auth can-i --list` says of each account, in the namespaces where it has rights. `UPDATE_RIGHTS=1` takes what it
/// says now as agreed on.
fn rights_are_as_agreed_on(cluster: &Cluster) -> Result<()> {
    let accounts = cluster.kubectl([
        "get",
        "serviceaccounts",
        "--namespace=op-system",
        "--output=jsonpath={range .items[*]}{.metadata.name}{'\\n'}{end}",
    ])?;
    let accounts = accounts.lines().filter(|account| *account != "default").map(|account| ("op-system", account));
    let mut told = String::new();
    // The last is what the chart gives to every account: the operator does not run here. What a tenant's server may do where the
    // operator made its namespace is told by the journey.
    for (home, account) in accounts.chain([(A_TENANTS, "cartera")]) {
        for namespace in ["cartera-tenants", "kube-system", A_TENANTS] {
            let _ = writeln!(told, "# {home}/{account} in {namespace}");
            let of_everybody = |right: &String| right.starts_with('[') || right.starts_with("selfsubject");
            for right in cluster.rights(home, account, namespace)?.iter().filter(|right| !of_everybody(right)) {
                let _ = writeln!(told, "{right}");
            }
            told.push('\n');
        }
    }
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rights.txt");
    if std::env::var_os("UPDATE_RIGHTS").is_some() {
        fs::write(&file, &told).context("could not write what was agreed on")?;
    }
    let agreed = fs::read_to_string(&file).unwrap_or_default();
    ensure!(told == agreed, "{} says otherwise; UPDATE_RIGHTS=1 takes this as agreed on:\n{told}", file.display());
    Ok(())
}
