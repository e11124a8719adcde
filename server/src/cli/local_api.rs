//! The server's own API for commands on its machine, as the operator: over the socket of the server that works on the
//! data folder, or else over the same router within this process. There is one way to change data, whoever runs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sync_protocol::wire::Problem;
use tokio::net::UnixStream;
use tower::ServiceExt;

use super::Context;
use super::output::Failure;
use crate::app::{App, operator_router};
use crate::platform::clock::SystemClock;
use crate::platform::entropy::SystemEntropy;
use crate::serve::data_folder::{DataFolder, DataFolderError, socket_path};

/// Answers that are no file are read into memory up to this size.
const ANSWER_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// A way to the API; end it with [`LocalApi::close`].
pub struct LocalApi(Way);

enum Way {
    Socket(PathBuf),
    InProcess { app: App, router: Router, _folder: DataFolder },
}

impl LocalApi {
    /// Finds the running server of the configured data folder, or opens the folder itself.
    ///
    /// # Errors
    /// When neither is possible.
    pub async fn open(context: &Context) -> Result<Self, Failure> {
        let config = &context.config;
        match DataFolder::lock(&config.data_dir) {
            Ok(folder) => {
                let app = App::open(config.clone(), Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
                let router = operator_router(&app);
                Ok(Self(Way::InProcess { app, router, _folder: folder }))
            }
            Err(DataFolderError::InUse { .. }) => Ok(Self(Way::Socket(socket_path(&config.data_dir)))),
            Err(error) => Err(anyhow::Error::from(error).into()),
        }
    }

    /// Sends a request as it is; bodies stream both ways, and every status is an answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: Request<Body>) -> Result<Response, Failure> {
        match &self.0 {
            Way::Socket(path) => Ok(send_over_socket(path, request).await?),
            Way::InProcess { router, .. } => router.clone().oneshot(request).await.map_err(|never| match never {}),
        }
    }

    /// Sends a request, and JSON where there is any; a problem in answer becomes the command's failure.
    ///
    /// # Errors
    /// When there is no answer, or it is a problem or not what was expected.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Some(json) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(json.to_string())),
            None => request.body(Body::empty()),
        };
        let response = self.send(request.context("could not make the request")?).await?;
        read_answer(response).await
    }

    /// Reads what is at `path`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Sends JSON to `path`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Closes the data where this process opened it.
    pub async fn close(self) {
        if let Way::InProcess { app, .. } = self.0 {
            app.close().await;
        }
    }
}

/// Makes sure that an answer is a success; what is not becomes the command's failure.
///
/// # Errors
/// The problem that was answered.
pub async fn expect_success(response: Response) -> Result<Response, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let bytes = read_bytes(response).await?;
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => Err(Failure::answered(problem)),
        Err(_) => Err(anyhow::anyhow!("the server answered {status} without saying why").into()),
    }
}

/// Reads a whole answer as JSON; an empty one as `null`.
///
/// # Errors
/// As [`expect_success`], and when the answer is not what was expected.
pub async fn read_answer<T: DeserializeOwned>(response: Response) -> Result<T, Failure> {
    let response = expect_success(response).await?;
    let bytes = if response.status() == StatusCode::NO_CONTENT {
        b"null".as_slice().into()
    } else {
        read_bytes(response).await?
    };
    Ok(serde_json::from_slice(&bytes).context("the server's answer is not the JSON that this command reads")?)
}

async fn read_bytes(response: Response) -> Result<bytes::Bytes, Failure> {
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_LIMIT_BYTES);
    let collected =
        body.collect().await.map_err(|error| anyhow::anyhow!("could not read the server's answer: {error}"))?;
    Ok(collected.to_bytes())
}

async fn send_over_socket(path: &std::path::Path, mut request: Request<Body>) -> anyhow::Result<Response> {
    let attempt = || {
        format!(
            "could not reach the server that works on this data folder over {}: wait until it has started, or run this command as the server's user",
            path.display()
        )
    };
    let stream = UnixStream::connect(path).await.with_context(attempt)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(attempt)?;
    // It ends with the answer's body; its errors come out there.
    tokio::spawn(connection);
    request.headers_mut().entry(header::HOST).or_insert(header::HeaderValue::from_static("localhost"));
    let response = sender.send_request(request).await.with_context(attempt)?;
    Ok(response.map(Body::new))
}
