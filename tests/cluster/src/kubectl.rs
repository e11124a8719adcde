//! kubectl and helm, as people use them, on one cluster.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::control_plane::ADMIN;
use crate::program::{HELM, KUBECTL, Program};
use crate::state::StateFolder;

/// The commands for one cluster, with a folder of their own for what they remember of it.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    kubeconfig: PathBuf,
    memory: PathBuf,
}

impl Kubectl {
    /// For a cluster of ours.
    pub(crate) fn of(folder: &StateFolder) -> Result<Self> {
        Ok(Self { kubeconfig: folder.join(ADMIN), memory: folder.folder("commands")? })
    }

    /// For any cluster; what is remembered of it goes to `memory`.
    pub(crate) fn with(kubeconfig: PathBuf, memory: PathBuf) -> Self {
        Self { kubeconfig, memory }
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A command that talks to this cluster.
    pub(crate) fn command(&self, program: Program) -> Result<Command> {
        let mut command = Command::new(program.binary()?);
        command.env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        // Ports come again: what was remembered of another cluster's API would be wrong.
        command.env("KUBECACHEDIR", self.memory.join("kubectl"));
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{kind}_HOME"), self.memory.join("helm").join(kind));
        }
        Ok(command)
    }

    /// Runs kubectl; returns what it printed.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        said(self.command(KUBECTL)?.args(arguments))
    }

    /// Runs helm; returns what it printed.
    pub(crate) fn helm<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        said(self.command(HELM)?.args(arguments))
    }

    /// Applies manifests on the server's side.
    pub(crate) fn apply(&self, manifests: &str) -> Result<String> {
        let mut command = self.command(KUBECTL)?;
        command.args(["apply", "--server-side", "--force-conflicts", "--filename", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("could not start {command:?}"))?;
        let mut input = child.stdin.take().context("the input of kubectl was piped")?;
        // Where it refuses to read on, its own words say why.
        let _ = input.write_all(manifests.as_bytes());
        drop(input);
        let output = child.wait_with_output().with_context(|| format!("could not wait for {command:?}"))?;
        ensure!(output.status.success(), "could not apply:\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Runs a command to its end; returns what it printed, and where it failed, what it complained of.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
