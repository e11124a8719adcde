//! Certificate and key to what TLS needs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::platform::config::Tls;

pub(super) fn load(tls: &Tls) -> anyhow::Result<RustlsConfig> {
    let chain = read_chain(&tls.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file).with_context(|| {
        format!("could not read tls.key_file {}: it must be a private key in PEM form", tls.key_file.display())
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| {
            format!(
                "tls.key_file {} and tls.cert_file {} do not belong together",
                tls.key_file.display(),
                tls.cert_file.display()
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

fn read_chain(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let unreadable =
        || format!("could not read tls.cert_file {}: it must be a certificate chain in PEM form", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .with_context(unreadable)?
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    anyhow::ensure!(!chain.is_empty(), unreadable());
    Ok(chain)
}
