//! Asks a tenant's server how it is.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Context;
use super::keys::Keys;
use super::server::{HEALTH, Health, INTERNAL_PORT};

/// How long a server may take.
const LIMIT: Duration = Duration::from_secs(5);
/// More than a health ever is.
const MOST_BYTES: usize = 64 << 10;

/// Why a server's health is not known.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nobody answered at its address.
    #[error("nobody answers at {0}")]
    Unreachable(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the server did not say within {} s how it is", LIMIT.as_secs())]
    TooSlow,
    /// It knows neither the token nor the one before.
    #[error("the server does not know the operator's token")]
    Unknown,
    /// It answered something else.
    #[error("the server answered {0} instead of its health")]
    Answered(StatusCode),
    /// It answered what cannot be read.
    #[error("the server's health cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// Something that knows how servers are.
#[async_trait]
pub trait AskHealth: Send + Sync + 'static {
    /// How the server in `namespace` is.
    ///
    /// # Errors
    /// When it does not answer, or not to `token`.
    async fn ask(&self, namespace: &str, token: &str) -> Result<Health, HealthError>;
}

/// Asks a tenant's server, by the token that counts or by the one before: a folder of a Secret takes a minute to follow it.
///
/// # Errors
/// When it does not answer, or knows neither.
pub async fn ask(context: &Context, namespace: &str, keys: &Keys) -> Result<Health, HealthError> {
    let told = tokio::select! {
        told = context.health.ask(namespace, &keys.token) => told,
        () = context.clock.limit(LIMIT) => Err(HealthError::TooSlow),
    };
    match (&told, &keys.previous) {
        (Err(HealthError::Unknown), Some(previous)) => context.health.ask(namespace, previous).await,
        _ => told,
    }
}

/// Asks by the Service of each tenant.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskByService;

#[async_trait]
impl AskHealth for AskByService {
    async fn ask(&self, namespace: &str, token: &str) -> Result<Health, HealthError> {
        let address = format!("{}.{namespace}.svc:{INTERNAL_PORT}", crate::cluster::names::SERVER);
        ask_at(&address, token).await
    }
}

/// Asks at an address of a host and a port.
///
/// # Errors
/// When nobody answers, or not to `token`.
///
/// # Panics
/// Never: the request is well formed.
pub async fn ask_at(address: &str, token: &str) -> Result<Health, HealthError> {
    let unreachable =
        |error: Box<dyn std::error::Error + Send + Sync>| HealthError::Unreachable(address.to_owned(), error);
    let stream = TcpStream::connect(address).await.map_err(|error| unreachable(error.into()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.into()))?;
    let connection = tokio::spawn(connection);
    let request = Request::get(HEALTH)
        .header(header::HOST, address)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())
        .expect("the parts of this request are well formed");
    let answer = sender.send_request(request).await.map_err(|error| unreachable(error.into()));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            connection.abort();
            return Err(error);
        }
    };
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    connection.abort();
    match status {
        StatusCode::OK => {
            let body = body.map_err(unreachable)?.to_bytes();
            serde_json::from_slice(&body).map_err(HealthError::Unreadable)
        }
        StatusCode::UNAUTHORIZED => Err(HealthError::Unknown),
        status => Err(HealthError::Answered(status)),
    }
}
