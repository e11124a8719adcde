//! The real node: containerd, runc, kubelet, kube-proxy and CoreDNS in namespaces of their own, joined to a cluster of ours.

mod cgroup;
mod container_runtime;
mod kubelet;
mod link;
mod prerequisites;
mod services;
mod space;
mod volumes;

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use self::link::Link;
use self::space::Space;
pub use self::volumes::CLASS as VOLUME_CLASS;
use crate::authority::Authority;
use crate::fake_nodes;
use crate::kubectl::{Kubectl, said};
use crate::program::{CONTAINERD, CONTAINERD_SHIM, COREDNS, CTR, KUBE_PROXY, KUBELET, PAUSE, Program, RUNC};
use crate::state::StateFolder;

/// What the node is called in the cluster.
pub(crate) const NAME: &str = "real";

/// Where its files lie in the cluster's folder.
const FOLDER: &str = "node";

/// Is there when every part of the node has come up.
const JOINED: &str = "node/joined";

/// What the node is made of: all is built before the first of it begins to wait for the next.
pub(crate) const PROGRAMS: [Program; 8] = [CONTAINERD, CONTAINERD_SHIM, CTR, RUNC, PAUSE, KUBELET, KUBE_PROXY, COREDNS];

/// A node that runs what it is told to.
#[derive(Debug)]
pub struct Node {
    space: Space,
    folder: StateFolder,
}

/// Why there is no real node.
#[derive(Debug)]
pub enum NoNode {
    /// This machine cannot run one, or the cluster is somebody else's: a test that needs it says so and is skipped.
    Skip(String),
    /// It should have come up, and did not.
    Failed(anyhow::Error),
}

impl fmt::Display for NoNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip(reason) => write!(formatter, "no real node here: {reason}"),
            Self::Failed(_) => write!(formatter, "the real node did not come up"),
        }
    }
}

impl std::error::Error for NoNode {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Skip(_) => None,
            Self::Failed(error) => Some(error.as_ref()),
        }
    }
}

impl From<anyhow::Error> for NoNode {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Node {
    /// The node of this cluster; it joins when it has not yet.
    pub(crate) fn of(folder: &StateFolder) -> Result<Self, NoNode> {
        if let Some(space) = Space::of(folder)? {
            if folder.join(JOINED).exists() {
                return Ok(Self { space, folder: folder.clone() });
            }
            let half = anyhow!("a real node began to join and did not come to its end: `cluster down`, then again");
            return Err(NoNode::Failed(half));
        }
        if let Some(reason) = Self::why_not() {
            return Err(NoNode::Skip(reason));
        }
        prerequisites::require()?;
        Ok(Self::join(folder)?)
    }

    /// Why this machine can have no real node; none when it can.
    #[must_use]
    pub fn why_not() -> Option<String> {
        prerequisites::why_not()
    }

    fn join(folder: &StateFolder) -> Result<Self> {
        let kubectl = Kubectl::of(folder)?;
        let authority = Authority::open(folder)?;
        for program in PROGRAMS {
            program.binary()?;
        }
        let space = Space::open(folder)?;
        let link = Link::make(folder, &space)?;
        let server = link.forward_api_server(folder)?;
        container_runtime::start(folder, &space)?;
        let joining = Joining { folder, space: &space, authority: &authority, kubectl: &kubectl, link: &link, server };
        kubelet::start(&joining)?;
        services::start(&joining)?;
        volumes::make(folder, &kubectl)?;
        fake_nodes::step_back(&kubectl)?;
        folder.write(JOINED, "")?;
        Ok(Self { space, folder: folder.clone() })
    }

    /// Makes an image known to the node, from a tar of its OCI layout. Pods then use it by its tag or by its digest, with an
    /// `imagePullPolicy` other than `Always`; returns its name with the digest.
    ///
    /// # Errors
    /// When it is no such tar, or the runtime does not take it; the message holds what it said.
    pub fn import_image(&self, layout: &Path) -> Result<String> {
        container_runtime::import(&self.space, layout)
    }

    /// A command that runs in the node's network, where addresses of pods and Services lead somewhere.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.space.command(program)
    }

    /// Ends the container runtime as a crash would and starts it again; pods go on meanwhile.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn restart_container_runtime(&self) -> Result<()> {
        container_runtime::restart(&self.folder, &self.space)
    }
}

/// What the parts of a node are started with, once its network is there.
struct Joining<'a> {
    folder: &'a StateFolder,
    space: &'a Space,
    authority: &'a Authority,
    kubectl: &'a Kubectl,
    link: &'a Link,
    /// Where the node reaches the API server.
    server: SocketAddr,
}

impl Joining<'_> {
    /// Writes what a part of the node reaches the API server with, as `user`.
    fn kubeconfig(&self, file: &str, user: &str, group: Option<&str>) -> Result<PathBuf> {
        self.authority.kubeconfig(file, &format!("https://{}", self.server), user, group)
    }
}

/// Removes what the end of the node's processes leaves.
pub(crate) fn clean_up(folder: &StateFolder) -> Result<()> {
    let Some(name) = Link::name_in(folder) else {
        return Ok(());
    };
    cgroup::remove(&name)?;
    link::wait_until_gone(&name)
}

/// Runs a command of the system for its effect.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    said(Command::new(program).args(arguments)).with_context(|| format!("{program} failed"))
}
