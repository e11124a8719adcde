//! A port of something in the cluster, on this machine.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use anyhow::{Context, Result};

use crate::Cluster;
use crate::program::KUBECTL;

/// `kubectl port-forward`, for as long as the value is there.
#[derive(Debug)]
pub struct Forwarded {
    kubectl: Child,
    /// It says more when somebody connects, and ends where nobody would hear it.
    _said: BufReader<ChildStdout>,
    /// The port of 127.0.0.1.
    pub port: u16,
}

impl Forwarded {
    /// Forwards a port of `target`, such as `pod/x` or `service/x`, of a namespace.
    ///
    /// # Errors
    /// When kubectl does not say from where it forwards.
    pub fn to(cluster: &Cluster, namespace: &str, target: &str, port: u16) -> Result<Self> {
        let mut kubectl = cluster.command(KUBECTL)?;
        let namespace = format!("--namespace={namespace}");
        kubectl.args(["port-forward", target, &namespace, "--address=127.0.0.1", &format!(":{port}")]);
        let mut kubectl = kubectl.stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(kubectl.stdout.take().context("its output was piped")?);
        let mut line = String::new();
        let read = said.read_line(&mut line);
        // From here on the value ends the process, whatever it said.
        let mut forwarded = Self { kubectl, _said: said, port: 0 };
        read?;
        // Forwarding from 127.0.0.1:40123 -> 8080
        let port = line.split_whitespace().find_map(|word| word.strip_prefix("127.0.0.1:")?.parse().ok());
        forwarded.port = port.with_context(|| format!("kubectl said {line:?}"))?;
        Ok(forwarded)
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        // Where it has ended by itself, there is nothing to do.
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}
