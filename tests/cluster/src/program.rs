//! The programs that a cluster is made of: each is built from the sources that its module pins, once, into a cache.
//!
//! A module is a folder of `modules/` with a `go.mod` and a `go.sum`: versions and checksums of everything that goes in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::hash::hex;
use crate::say;

/// A program of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// What its file is called.
    pub name: &'static str,
    module: &'static str,
    package: &'static str,
    build: Build,
}

/// How a program is compiled.
#[derive(Clone, Copy, Debug)]
enum Build {
    /// Without C: the binary needs nothing of the system.
    Static,
    /// The same, and the version is written in, which it would not know otherwise.
    Stamped(fn(&str) -> String),
    /// With C, and these build tags.
    WithC(&'static str),
}

const fn program(name: &'static str, module: &'static str, package: &'static str, build: Build) -> Program {
    Program { name, module, package, build }
}

const KUBERNETES: Build = Build::Stamped(kubernetes_stamps);

/// The store of the API server.
pub const ETCD: Program = program("etcd", "etcd", "go.etcd.io/etcd/server/v3", Build::Static);
/// The API server.
pub const KUBE_APISERVER: Program =
    program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", KUBERNETES);
/// The controllers that Kubernetes brings.
pub const KUBE_CONTROLLER_MANAGER: Program =
    program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", KUBERNETES);
/// Gives each pod its node.
pub const KUBE_SCHEDULER: Program =
    program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", KUBERNETES);
/// The command that people use.
pub const KUBECTL: Program = program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", KUBERNETES);
/// Plays nodes that run nothing.
pub const KWOK: Program = program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", Build::Static);
/// Installs charts.
pub const HELM: Program = program("helm", "helm", "helm.sh/helm/v4/cmd/helm", Build::Stamped(helm_stamps));

/// Runs the pods of a node.
pub const KUBELET: Program = program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", KUBERNETES);
/// Leads the addresses of Services to their pods.
pub const KUBE_PROXY: Program = program("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", KUBERNETES);
/// Answers for the names of Services.
pub const COREDNS: Program = program("coredns", "coredns", "cartera.test/cluster/coredns", Build::Static);
/// Keeps images and runs containers.
pub const CONTAINERD: Program =
    program("containerd", "containerd", "github.com/containerd/containerd/v2/cmd/containerd", Build::Static);
/// Stays with a pod's containers while containerd restarts.
pub const CONTAINERD_SHIM: Program = program(
    "containerd-shim-runc-v2",
    "containerd",
    "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    Build::Static,
);
/// Brings images to containerd.
pub const CTR: Program = program("ctr", "containerd", "github.com/containerd/containerd/v2/cmd/ctr", Build::Static);
/// Makes a container of namespaces and cgroups.
pub const RUNC: Program = program("runc", "runc", "github.com/opencontainers/runc", Build::WithC("seccomp"));
/// Holds a pod's namespaces.
pub const PAUSE: Program = program("pause", "pause", "cartera.test/cluster/pause", Build::Static);

/// `version` is `v1.36.3`: without stamps the server says v0.0.0, and charts that ask for a minimum refuse it.
fn kubernetes_stamps(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let stamped = "k8s.io/component-base/version";
    format!("-X {stamped}.gitVersion={version} -X {stamped}.gitMajor={major} -X {stamped}.gitMinor={minor}")
}

fn helm_stamps(version: &str) -> String {
    format!("-X helm.sh/helm/v4/internal/version.version={version}")
}

impl Program {
    /// Its binary, built before when the cache lacks it: minutes, the first time.
    ///
    /// # Errors
    /// When Go is missing, or the build fails: the message holds what Go said.
    pub fn binary(&self) -> Result<PathBuf> {
        let module = Module::of(self.module)?;
        let folder = cache_folder()?.join(module.key(self.build));
        let binary = folder.join(self.name);
        if binary.exists() {
            return Ok(binary);
        }
        fs::create_dir_all(&folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
        // Who comes second waits, and finds it built.
        let lock_path = folder.join(format!("{}.lock", self.name));
        let lock =
            File::create(&lock_path).with_context(|| format!("could not write the lock {}", lock_path.display()))?;
        lock.lock().with_context(|| format!("could not lock {}", lock_path.display()))?;
        if !binary.exists() {
            self.build(&module, &folder)?;
        }
        Ok(binary)
    }

    /// Builds beside the final name and renames, so that an interrupted build leaves no half of a binary.
    fn build(&self, module: &Module, folder: &Path) -> Result<()> {
        require_go()?;
        say(&format!("builds {} (once; it may take minutes)", self.name));
        let unfinished = folder.join(format!("{}.unfinished", self.name));
        let mut go = go(&module.folder);
        go.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(&unfinished);
        let mut link = "-s -w".to_owned();
        match self.build {
            Build::Static => go.env("CGO_ENABLED", "0"),
            Build::Stamped(stamps) => {
                link = format!("{link} {}", stamps(&module.version(self.package)?));
                go.env("CGO_ENABLED", "0")
            }
            Build::WithC(tags) => go.env("CGO_ENABLED", "1").args(["-tags", tags]),
        };
        let built = go.args(["-ldflags", &link, self.package]).output().context("could not run go")?;
        ensure!(
            built.status.success(),
            "could not build {} in {}; go said:\n{}",
            self.package,
            module.folder.display(),
            String::from_utf8_lossy(&built.stderr)
        );
        fs::rename(&unfinished, folder.join(self.name))
            .with_context(|| format!("could not move {} to its place", unfinished.display()))
    }
}

/// A folder of `modules/`.
#[derive(Debug)]
pub(crate) struct Module {
    folder: PathBuf,
    pins: String,
    hash: String,
}

impl Module {
    /// The module of that name.
    pub(crate) fn of(name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules").join(name);
        let mut hash = Sha256::new();
        let listed = fs::read_dir(&folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut files: Vec<PathBuf> = listed.with_context(|| format!("could not list {}", folder.display()))?;
        files.sort();
        for file in files {
            hash.update(fs::read(&file).with_context(|| format!("could not read {}", file.display()))?);
        }
        let pins = folder.join("go.mod");
        let pins = fs::read_to_string(&pins).with_context(|| format!("could not read {}", pins.display()))?;
        Ok(Self { folder, pins, hash: hex(hash) })
    }

    /// Where the sources of one of its dependencies lie, fetched when they are not there yet.
    pub(crate) fn sources(&self, dependency: &str) -> Result<PathBuf> {
        require_go()?;
        let listed = go(&self.folder).args(["mod", "download", "-json", dependency]).output();
        let listed = listed.context("could not run go")?;
        let said: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        let folder = said["Dir"].as_str().with_context(|| {
            format!(
                "could not fetch the sources of {dependency}; go said:\n{}",
                String::from_utf8_lossy(&listed.stderr)
            )
        })?;
        Ok(PathBuf::from(folder))
    }

    /// Names what was built from these files in this way, and nothing else.
    fn key(&self, build: Build) -> String {
        let way = match build {
            Build::Static => String::new(),
            Build::Stamped(stamps) => stamps("version"),
            Build::WithC(tags) => tags.to_owned(),
        };
        let hash = hex(Sha256::new_with_prefix(format!("{}{way}", self.hash)));
        format!("{}-{}", self.folder.file_name().unwrap_or_default().display(), &hash[..16])
    }

    /// The pinned version of the module that `package` belongs to.
    fn version(&self, package: &str) -> Result<String> {
        let pinned = self.pins.lines().filter_map(|line| {
            let mut words = line.trim().trim_start_matches("require ").split_whitespace();
            let (module, version) = (words.next()?, words.next()?);
            (version.starts_with('v') && package.starts_with(module)).then_some((module, version))
        });
        let longest = pinned.max_by_key(|(module, _)| module.len());
        longest
            .map(|(_, version)| version.to_owned())
            .with_context(|| format!("{} requires no module that holds {package}", self.folder.display()))
    }
}

/// Where built programs lie, outside the repository: `cargo clean` and other branches leave them alone.
fn cache_folder() -> Result<PathBuf> {
    let cache = crate::state::home_folder("XDG_CACHE_HOME", ".cache")?;
    Ok(cache.join("cartera-cluster"))
}

/// The command `go` in a module, untouched by what its caller's environment says about modules.
fn go(module: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(module).env("GOFLAGS", "-mod=readonly").env("GOWORK", "off");
    go
}

fn require_go() -> Result<()> {
    let found = Command::new("go").arg("version").output().is_ok_and(|said| said.status.success());
    ensure!(
        found,
        "missing: Go (builds the programs of the cluster; 1.26, which any Go since 1.21 fetches by itself). \
         To install it:\n    see https://go.dev/doc/install"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_come_from_the_pinned_version() {
        let module = Module::of(KUBECTL.module).expect("the module is committed");
        let version = module.version(KUBECTL.package).expect("it requires Kubernetes");
        let stamps = kubernetes_stamps(&version);
        assert!(stamps.contains(&format!("gitVersion={version}")), "{stamps}");
        assert!(stamps.contains("gitMajor=1 ") && !stamps.ends_with("gitMinor="), "{stamps}");
    }

    #[test]
    fn other_pins_or_stamps_are_another_build() {
        let (kubernetes, helm) = (Module::of("kubernetes"), Module::of("helm"));
        let (kubernetes, helm) = (kubernetes.expect("it is committed"), helm.expect("it is committed"));
        assert_ne!(kubernetes.key(KUBERNETES), kubernetes.key(Build::Static));
        assert_ne!(kubernetes.key(Build::Static), helm.key(Build::Static));
    }
}
