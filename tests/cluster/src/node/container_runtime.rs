//! containerd with runc: it takes images from files and runs what the kubelet asks for.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::FOLDER;
use super::prerequisites::cni_plugins;
use super::space::Space;
use crate::image::{self, Image};
use crate::kubectl::said;
use crate::process::Started;
use crate::program::{CONTAINERD, CTR, PAUSE, RUNC};
use crate::state::StateFolder;

/// Its name among the cluster's processes.
const CONTAINERD_PROCESS: &str = "containerd";

/// Where it listens, in the node's own /run.
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";

/// What holds a pod's namespaces.
const PAUSE_IMAGE: &str = "cartera.test/pause:1";

/// Starts it and waits until it takes images.
pub(super) fn start(folder: &StateFolder, space: &Space) -> Result<()> {
    let (root, networks) = (folder.folder("node/containerd")?, folder.folder("node/networks")?);
    let plugins = cni_plugins().context("the CNI plugins were there a moment ago")?;
    folder.write("node/networks/10-pods.conflist", &pod_network())?;
    // Without restrict_oom_score_adj no pod starts where CAP_SYS_RESOURCE is missing, as it is in many sandboxes.
    let config = format!(
        "version = 3
root = '{root}'
state = '/run/containerd'
[plugins.'io.containerd.internal.v1.opt']
path = '{root}/opt'
[grpc]
address = '{SOCKET}'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{plugins}']
conf_dir = '{networks}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '{runc}'
SystemdCgroup = false
",
        root = root.display(),
        networks = networks.display(),
        runc = RUNC.binary()?.display(),
    );
    folder.write("node/containerd.toml", &config)?;
    run(folder, space)?;
    let layout = folder.join("node/pause.tar");
    image::write(&Image::of(PAUSE_IMAGE, &PAUSE.binary()?)?, &layout)?;
    import(space, &layout)?;
    Ok(())
}

/// Imports an image from a tar of its OCI layout, known by its tag and by its digest; returns its name with the digest.
pub(super) fn import(space: &Space, layout: &Path) -> Result<String> {
    let could_not = || format!("could not import the image {}", layout.display());
    let (by_tag, by_digest) = image::names(layout).with_context(could_not)?;
    let mut import = images(space)?;
    // By its path the tar might not be found: the node has folders of its own.
    import.args(["import", "-"]).stdin(File::open(layout).with_context(could_not)?);
    said(&mut import).with_context(could_not)?;
    said(images(space)?.args(["tag", "--force", &by_tag, &by_digest])).with_context(could_not)?;
    Ok(by_digest)
}

/// What is done with the images that the kubelet finds.
fn images(space: &Space) -> Result<Command> {
    let mut ctr = ctr(space)?;
    ctr.args(["--namespace", "k8s.io", "images"]);
    Ok(ctr)
}

/// Kills it and starts it again.
pub(super) fn restart(folder: &StateFolder, space: &Space) -> Result<()> {
    // Only processes of the node are in its namespaces, and of that name there is one.
    said(space.command("pkill").args(["-KILL", "--exact", CONTAINERD_PROCESS])).context("containerd does not run")?;
    run(folder, space)
}

fn run(folder: &StateFolder, space: &Space) -> Result<()> {
    let binary = CONTAINERD.binary()?;
    let mut containerd = space.command(&binary);
    containerd.arg("--config").arg(folder.join(FOLDER).join("containerd.toml"));
    // It looks for its shim there.
    containerd.env("PATH", path_with(binary.parent().context("a binary lies in a folder")?)?);
    let started = Started::spawn(folder, CONTAINERD_PROCESS, &mut containerd)?;
    started.wait_until("containerd to answer", || Ok(said(ctr(space)?.arg("version")).is_ok()))
}

fn ctr(space: &Space) -> Result<Command> {
    Ok(space.command(CTR.binary()?))
}

fn path_with(folder: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("the folder of containerd cannot stand in PATH")
}

/// A bridge that all pods of the node are on; what they send elsewhere comes from the node's address.
fn pod_network() -> String {
    r#"{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
"#
    .to_owned()
}
