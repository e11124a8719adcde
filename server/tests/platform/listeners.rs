use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use cartera_server::platform::clock::SystemClock;
use cartera_server::platform::config::{Config, Tls};
use cartera_server::platform::entropy::SystemEntropy;
use cartera_server::serve::{self, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::support::config;

async fn start(config: Config) -> anyhow::Result<Running> {
    serve::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).await
}

fn write_certificate(folder: &Path, name: &str) -> Tls {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    let tls = Tls { cert_file: folder.join(format!("{name}.crt")), key_file: folder.join(format!("{name}.key")) };
    std::fs::write(&tls.cert_file, made.cert.pem()).expect("the folder is ours");
    std::fs::write(&tls.key_file, made.signing_key.serialize_pem()).expect("the folder is ours");
    tls
}

/// Asks for `path` over HTTP or HTTPS, trusting only that certificate.
async fn get(url: String, trusted: Option<&Tls>) -> Result<(u16, String), ureq::Error> {
    let roots = trusted.map(|tls| {
        let pem = std::fs::read(&tls.cert_file).expect("it was written");
        RootCerts::new_with_certs(&[Certificate::from_pem(&pem).expect("a certificate")])
    });
    let mut tls = TlsConfig::builder();
    if let Some(roots) = roots {
        tls = tls.root_certs(roots);
    }
    let agent = ureq::Agent::config_builder().tls_config(tls.build()).http_status_as_error(false).build().new_agent();
    let asked = tokio::task::spawn_blocking(move || {
        let mut response = agent.get(&url).call()?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    });
    asked.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificate_and_key_the_server_speaks_tls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = write_certificate(folder.path(), "own");
    let server = start(Config { tls: Some(tls.clone()), ..config(&folder) }).await.expect("it starts");
    let url = format!("{}/livez", server.url());
    assert!(url.starts_with("https://"), "{url}");
    assert_eq!(get(url.clone(), Some(&tls)).await.expect("a handshake"), (200, "alive\n".into()));
    let other = write_certificate(folder.path(), "other");
    get(url, Some(&other)).await.expect_err("it must not pass for another");
    server.stop().await.expect("stopped");
}

#[tokio::test]
async fn certificate_and_key_that_are_not_what_they_should_be_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (own, other) = (write_certificate(folder.path(), "own"), write_certificate(folder.path(), "other"));
    let wrong = [
        (Tls { key_file: other.key_file, ..own.clone() }, "do not belong together"),
        (Tls { key_file: own.cert_file.clone(), ..own.clone() }, "could not read tls.key_file"),
        (Tls { cert_file: own.key_file.clone(), ..own.clone() }, "could not read tls.cert_file"),
        (Tls { cert_file: folder.path().join("missing.crt"), ..own }, "missing.crt"),
    ];
    for (tls, said) in wrong {
        let error = start(Config { tls: Some(tls), ..config(&folder) }).await.err().expect("refused");
        assert!(format!("{error:#}").contains(said), "{error:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_the_servers_user_alone_and_acts_as_the_operator() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What a killed server leaves behind does not stand in the way.
    std::fs::create_dir(folder.path().join("data")).expect("the folder is ours");
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("data/cartera.sock")).expect("a socket"));
    let server = start(config(&folder)).await.expect("it starts");
    let socket = folder.path().join("data/cartera.sock");
    let mode = std::fs::metadata(&socket).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(&socket).await.expect("it listens");
    let request = b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""role":"admin""#), "{answer}");
    let (status, _) = get(format!("{}/api/v1/me", server.url()), None).await.expect("it answers");
    assert_eq!(status, 401, "the network is nobody's operator");
    server.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn measurements_are_open_on_their_own_address_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = config(&folder);
    config.telemetry.listen = Some(([127, 0, 0, 1], 0).into());
    let server = start(config).await.expect("it starts");
    let own = format!("http://{}", server.telemetry_address().expect("it was asked for"));
    let (status, text) = get(format!("{own}/metrics"), None).await.expect("it answers");
    assert_eq!(status, 200);
    for name in [
        "cartera_head_sequence 3",
        "cartera_writer_mutations_total 3",
        "cartera_outcomes_total{verdict=\"applied\"} 3",
        "cartera_database_size_bytes ",
        "# EOF",
    ] {
        assert!(text.contains(name), "no {name} in:\n{text}");
    }
    assert_eq!(get(format!("{own}/readyz"), None).await.expect("it answers"), (200, "ready\n".into()));
    assert_eq!(get(format!("{own}/api/v1/me"), None).await.expect("it answers").0, 404);
    assert_eq!(get(format!("{}/metrics", server.url()), None).await.expect("it answers").0, 401);
    server.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_of_a_connection_is_the_client_whose_failures_count() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = config(&folder);
    config.auth.address_failures_per_hour = 1;
    let server = start(config).await.expect("it starts");
    let url = format!("{}/api/v1/sessions", server.url());
    for (email, status) in [("one@example.com", 401), ("other@example.com", 429)] {
        let body = format!(r#"{{"email": "{email}", "password": "wrong password"}}"#);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let request = agent.post(&url).header("content-type", "application/json");
        let asked = tokio::task::spawn_blocking(move || request.send(body).expect("it answers").status().as_u16());
        assert_eq!(asked.await.expect("no panic"), status, "{email}");
    }
    server.stop().await.expect("stopped");
}
