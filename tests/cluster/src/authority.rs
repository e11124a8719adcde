//! The cluster's own certificate authority, and the kubeconfigs and keys that it signs.

use std::fs::Permissions;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::state::StateFolder;

/// Signs for one cluster; it lives in the cluster's folder, so that a node can join later.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: StateFolder,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

const CERTIFICATE: &str = "pki/ca.crt";
const KEY: &str = "pki/ca.key";

impl Authority {
    /// Makes a new one.
    pub(crate) fn make(folder: &StateFolder) -> Result<Self> {
        let key = KeyPair::generate().context("could not make the authority's key")?;
        let certificate = authority_params().self_signed(&key).context("could not make the authority's certificate")?;
        folder.write(CERTIFICATE, &certificate.pem())?;
        write_secret(folder, KEY, &key.serialize_pem())?;
        Self::open(folder)
    }

    /// The one that was made for this cluster.
    pub(crate) fn open(folder: &StateFolder) -> Result<Self> {
        let key = KeyPair::from_pem(&folder.read(KEY)?).context("could not read the authority's key")?;
        Ok(Self { folder: folder.clone(), issuer: Issuer::new(authority_params(), key) })
    }

    /// The authority itself.
    pub(crate) fn pair(&self) -> Pair {
        Pair { certificate: self.folder.join(CERTIFICATE), key: self.folder.join(KEY) }
    }

    /// A certificate for a server that is reached by these names and addresses.
    pub(crate) fn server(&self, file: &str, names: &[&str], addresses: &[IpAddr]) -> Result<Pair> {
        let names = names.iter().map(|name| (*name).to_owned()).chain(addresses.iter().map(ToString::to_string));
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).context("a name is none for a server")?;
        params.distinguished_name = named(file, None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(file, params)
    }

    /// A certificate for a client; Kubernetes takes its common name as the user and its organisation as the group.
    pub(crate) fn client(&self, file: &str, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(file, params)
    }

    /// A kubeconfig for a user; it holds its keys, so that it works wherever it is copied to.
    pub(crate) fn kubeconfig(&self, file: &str, server: &str, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let pair = self.client(file, user, group)?;
        let embed = |path: PathBuf| -> Result<String> {
            let content = std::fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
            Ok(BASE64.encode(content))
        };
        let (authority, certificate, key) =
            (embed(self.pair().certificate)?, embed(pair.certificate)?, embed(pair.key)?);
        // Whatever way leads there, the server's certificate is for localhost.
        let text = format!(
            "apiVersion: v1
kind: Config
current-context: cartera
clusters:
- name: cartera
  cluster:
    server: {server}
    tls-server-name: localhost
    certificate-authority-data: {authority}
users:
- name: cartera
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: cartera
  context:
    cluster: cartera
    user: cartera
"
        );
        write_secret(&self.folder, file, &text)
    }

    fn sign(&self, file: &str, mut params: CertificateParams) -> Result<Pair> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().with_context(|| format!("could not make the key of {file}"))?;
        let signed = params.signed_by(&key, &self.issuer).with_context(|| format!("could not sign for {file}"))?;
        Ok(Pair {
            certificate: self.folder.write(&format!("pki/{file}.crt"), &signed.pem())?,
            key: write_secret(&self.folder, &format!("pki/{file}.key"), &key.serialize_pem())?,
        })
    }
}

/// The two halves of the key for the tokens of service accounts, as files.
#[derive(Clone, Debug)]
pub(crate) struct TokenKey {
    pub(crate) signs: PathBuf,
    pub(crate) verifies: PathBuf,
}

impl TokenKey {
    /// Makes a new one.
    pub(crate) fn make(folder: &StateFolder) -> Result<Self> {
        let key = KeyPair::generate().context("could not make the key for service accounts")?;
        Ok(Self {
            signs: write_secret(folder, "pki/service-accounts.key", &key.serialize_pem())?,
            verifies: folder.write("pki/service-accounts.pub", &key.public_key_pem())?,
        })
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("cartera-cluster", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn named(common: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    name
}

fn write_secret(folder: &StateFolder, path: &str, content: &str) -> Result<PathBuf> {
    let file = folder.write(path, "")?;
    let only_owner = std::fs::set_permissions(&file, Permissions::from_mode(0o600));
    only_owner.with_context(|| format!("could not keep {} from others", file.display()))?;
    folder.write(path, content)
}
