//! The wire between the machine and the node: two addresses, and nothing that leads further.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::space::Space;
use super::{FOLDER, cgroup, run};
use crate::control_plane::SERVICES;
use crate::process::Started;
use crate::program::ETCD;
use crate::state::StateFolder;
use crate::wait::wait_until;

/// A pair of connected interfaces, one end in the node.
#[derive(Debug)]
pub(super) struct Link {
    /// The machine's end has a name that no other interface of this machine has.
    pub(super) name: String,
    /// The machine's end.
    pub(super) machine: Ipv4Addr,
    /// The node's end, which is the node's address in the cluster.
    pub(super) node: Ipv4Addr,
}

/// Where the name of the machine's end stands, for whoever removes the node.
fn note() -> String {
    format!("{FOLDER}/link")
}

impl Link {
    /// Connects the node; the first number that no other node of this machine has is its own: its name, its addresses, its cgroup.
    pub(super) fn make(folder: &StateFolder, space: &Space) -> Result<Self> {
        for number in 0..=u8::MAX {
            let name = format!("cartera{number}");
            if interface(&name).exists() || cgroup::exists(&name)? {
                continue;
            }
            folder.write(&note(), &name)?;
            let pair =
                ["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &space.holder.to_string()];
            if let Err(error) = run("ip", &pair) {
                // Another node may have taken the name at this moment.
                if interface(&name).exists() {
                    continue;
                }
                return Err(error).context("could not connect the node to this machine");
            }
            let (machine, node) = (Ipv4Addr::new(10, 213, number, 1), Ipv4Addr::new(10, 213, number, 2));
            let link = Self { name, machine, node };
            link.address(space)?;
            return Ok(link);
        }
        bail!("could not connect the node: 256 others are, `ip link` shows them as cartera0 to cartera255")
    }

    fn address(&self, space: &Space) -> Result<()> {
        run("ip", &["address", "add", &format!("{}/30", self.machine), "dev", &self.name])?;
        run("ip", &["link", "set", &self.name, "up"])?;
        // Services have addresses that exist nowhere: what sends to them needs a way before it is led to their pods.
        let inside = format!(
            "set -e
            ip link set lo up
            ip address add {}/30 dev eth0
            ip link set eth0 up
            ip route add {SERVICES} via {}
            sysctl --quiet --write net.ipv4.ip_forward=1",
            self.node, self.machine
        );
        crate::kubectl::said(space.command("sh").args(["-c", &inside]))
            .context("could not set up the node's network")?;
        Ok(())
    }

    /// Leads the machine's end to the API server, which listens on loopback only; returns its address for the node.
    pub(super) fn forward_api_server(&self, folder: &StateFolder) -> Result<SocketAddr> {
        let kubeconfig = folder.read(crate::control_plane::ADMIN)?;
        let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: https://"));
        let server: SocketAddr =
            server.and_then(|server| server.parse().ok()).context("the kubeconfig has a server")?;
        let reached = SocketAddr::from((self.machine, server.port()));
        // etcd brings a forwarder for any TCP.
        let mut gateway = Command::new(ETCD.binary()?);
        gateway.args(["gateway", "start", "--retry-delay", "1s"]);
        gateway.args(["--listen-addr", &reached.to_string(), "--endpoints", &server.to_string()]);
        let started = Started::spawn(folder, "api-server-gateway", &mut gateway)?;
        started.wait_until("the gateway to the API server", || Ok(TcpStream::connect(reached).is_ok()))?;
        Ok(reached)
    }

    /// Whether something in the node answers with success at a port of its.
    pub(super) fn answers(&self, port: u16, path: &str) -> bool {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((self.node, port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
            let mut status = String::new();
            stream.take(12).read_to_string(&mut status)?;
            Ok(status)
        };
        asked().is_ok_and(|status| status.ends_with("200"))
    }

    /// The name of the link of a cluster's node, where it has one.
    pub(super) fn name_in(folder: &StateFolder) -> Option<String> {
        fs::read_to_string(folder.join(note())).ok()
    }
}

/// The kernel removes both ends with the node's network, some moments after its last process.
pub(super) fn wait_until_gone(name: &str) -> Result<()> {
    wait_until(&format!("the interface {name} to go"), || Ok(!interface(name).exists()))
}

fn interface(name: &str) -> PathBuf {
    Path::new("/sys/class/net").join(name)
}
