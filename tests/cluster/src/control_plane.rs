//! etcd, API server, controllers and scheduler, on loopback.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::authority::{Authority, TokenKey};
use crate::kubectl::Kubectl;
use crate::process::Started;
use crate::program::{ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER};
use crate::state::StateFolder;

/// Where Services get their addresses from, and the first of them, which is that of the API server.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
const API_SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));

/// The kubeconfig of whoever may do everything, in a cluster's folder.
pub(crate) const ADMIN: &str = "kubeconfig";

/// Starts the control plane and waits until it is usable: the controllers have made the first service account.
pub(crate) fn start(folder: &StateFolder) -> Result<()> {
    let authority = Authority::make(folder)?;
    let token_key = TokenKey::make(folder)?;
    let etcd = start_etcd(folder)?;
    let server = start_api_server(folder, &authority, &token_key, &etcd)?;
    start_controllers(folder, &authority, &token_key, &server)?;
    start_scheduler(folder, &authority, &server)
}

/// Ports that nobody listens on.
pub(crate) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    // All are held until all are found, or the same could be found twice.
    let held: Vec<TcpListener> = (0..COUNT)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("could not find a free port on loopback")?;
    let mut ports = [0; COUNT];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr().context("could not read a listener's port")?.port();
    }
    Ok(ports)
}

/// Starts etcd; returns the address where its clients reach it.
fn start_etcd(folder: &StateFolder) -> Result<String> {
    let [clients, peers] = free_ports()?;
    let (clients, peers) = (format!("http://127.0.0.1:{clients}"), format!("http://127.0.0.1:{peers}"));
    let mut etcd = Command::new(ETCD.binary()?);
    etcd.args(["--name", "cartera", "--data-dir"]).arg(folder.join("etcd"));
    etcd.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    etcd.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    etcd.args(["--initial-cluster", &format!("cartera={peers}")]);
    // What it holds ends with the cluster: nothing needs to reach the disk.
    etcd.args(["--unsafe-no-fsync", "--quota-backend-bytes", "4294967296"]);
    Started::spawn(folder, "etcd", &mut etcd)?;
    Ok(clients)
}

/// Starts the API server and waits until it is ready; returns its address.
fn start_api_server(folder: &StateFolder, authority: &Authority, token_key: &TokenKey, etcd: &str) -> Result<String> {
    let [port] = free_ports()?;
    let server = format!("https://127.0.0.1:{port}");
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let serving = authority.server("kube-apiserver", &names, &[IpAddr::V4(Ipv4Addr::LOCALHOST), API_SERVICE])?;
    // With this it asks nodes for logs, and enters containers.
    let to_kubelets = authority.client("kube-apiserver-to-kubelets", "kube-apiserver", Some("system:masters"))?;
    authority.kubeconfig(ADMIN, &server, "cartera-admin", Some("system:masters"))?;

    let mut api_server = Command::new(KUBE_APISERVER.binary()?);
    api_server.args(["--bind-address", "127.0.0.1", "--secure-port", &port.to_string(), "--etcd-servers", etcd]);
    api_server.arg("--tls-cert-file").arg(serving.certificate).arg("--tls-private-key-file").arg(serving.key);
    api_server.arg("--client-ca-file").arg(authority.pair().certificate);
    api_server.arg("--kubelet-client-certificate").arg(to_kubelets.certificate);
    api_server.arg("--kubelet-client-key").arg(to_kubelets.key);
    api_server.args(["--kubelet-preferred-address-types", "InternalIP"]);
    api_server.args(["--service-account-issuer", "https://kubernetes.default.svc.cluster.local"]);
    api_server.arg("--service-account-key-file").arg(&token_key.verifies);
    api_server.arg("--service-account-signing-key-file").arg(&token_key.signs);
    api_server.args(["--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction"]);
    api_server.args(["--service-cluster-ip-range", SERVICES, "--allow-privileged=true"]);
    // Loopback is no address for the endpoints of the Service `kubernetes`; a real node brings the one that it uses.
    api_server.args(["--endpoint-reconciler-type", "none"]);
    api_server.args(["--max-requests-inflight", "800", "--max-mutating-requests-inflight", "400"]);
    let started = Started::spawn(folder, "kube-apiserver", &mut api_server)?;

    let kubectl = Kubectl::of(folder)?;
    started.wait_until("the API server to be ready", || Ok(kubectl.run(["get", "--raw", "/readyz"]).is_ok()))?;
    Ok(server)
}

fn start_controllers(folder: &StateFolder, authority: &Authority, token_key: &TokenKey, server: &str) -> Result<()> {
    let kubeconfig = component_kubeconfig(authority, server, "kube-controller-manager")?;
    let mut controllers = Command::new(KUBE_CONTROLLER_MANAGER.binary()?);
    controllers.arg("--kubeconfig").arg(kubeconfig);
    controllers.args(["--leader-elect=false", "--use-service-account-credentials=true", "--controllers", "*"]);
    controllers.arg("--service-account-private-key-file").arg(&token_key.signs);
    controllers.arg("--root-ca-file").arg(authority.pair().certificate);
    controllers.arg("--cluster-signing-cert-file").arg(authority.pair().certificate);
    controllers.arg("--cluster-signing-key-file").arg(authority.pair().key);
    // It makes this folder, by default far from here.
    controllers.arg("--flex-volume-plugin-dir").arg(folder.join("volume-plugins"));
    // It serves nothing that is used here; its limits would be what a test of a thousand tenants measures.
    controllers.args(["--secure-port", "0", "--kube-api-qps", "200", "--kube-api-burst", "400"]);
    let started = Started::spawn(folder, "kube-controller-manager", &mut controllers)?;
    let kubectl = Kubectl::of(folder)?;
    started.wait_until("the first service account", || {
        Ok(kubectl.run(["get", "serviceaccount", "default", "--namespace", "default"]).is_ok())
    })
}

fn start_scheduler(folder: &StateFolder, authority: &Authority, server: &str) -> Result<()> {
    let kubeconfig = component_kubeconfig(authority, server, "kube-scheduler")?;
    let mut scheduler = Command::new(KUBE_SCHEDULER.binary()?);
    scheduler.arg("--kubeconfig").arg(kubeconfig).args(["--leader-elect=false", "--secure-port", "0"]);
    Started::spawn(folder, "kube-scheduler", &mut scheduler)?;
    Ok(())
}

/// The API server grants each component what it needs by its name.
fn component_kubeconfig(authority: &Authority, server: &str, component: &str) -> Result<PathBuf> {
    authority.kubeconfig(&format!("{component}.kubeconfig"), server, &format!("system:{component}"), None)
}
