//! Requests as a check wants them, down to their headers, and answers as they came.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sync_protocol::wire::Problem;
use ureq::http::{HeaderMap, Method, Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, AsSendBody, Body};

use crate::check::{Unmet, broken};
use crate::target::{Target, TargetError};

const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// No answer of the protocol is larger.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Sends requests to one server.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`, without its parameters.
    pub media_type: String,
    /// `Content-Encoding`, where there is one.
    pub encoding: Option<String>,
    /// As it travelled, but for gzip.
    pub bytes: Vec<u8>,
    headers: HeaderMap,
}

impl Client {
    /// For the target's server.
    pub fn new(target: &Target) -> Result<Self, TargetError> {
        let tls = match &target.ca_file {
            Some(file) => TlsConfig::builder().root_certs(read_roots(file)?).build(),
            None => TlsConfig::default(),
        };
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("cartera-conformance/", env!("CARGO_PKG_VERSION")))
            // Checks say themselves what they accept, and look at what came before it is decoded.
            .accept_encoding("")
            .accept("application/json, application/problem+json")
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .build()
            .new_agent();
        Ok(Self { agent, base: target.url().to_owned() })
    }

    /// Sends bytes with these headers.
    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Unmet> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answered = if body.is_empty() { self.run(request.body(())) } else { self.run(request.body(body)) };
        answered.or_else(|reason| broken(format!("{url} gave no answer: {reason}")))
    }

    /// Sends a `GET` whose answer is read as it comes, for at most that long.
    pub fn open(
        &self,
        path: &str,
        accept: &str,
        headers: &[(&str, &str)],
        most: Duration,
    ) -> Result<Response<Body>, String> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).header("accept", accept);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.config().timeout_recv_body(Some(most)).build().call().map_err(|error| error.to_string())
    }

    fn run(&self, request: Result<Request<impl AsSendBody>, ureq::http::Error>) -> Result<Answer, String> {
        let request = request.map_err(|error| error.to_string())?;
        let (head, body) = self.agent.run(request).map_err(|error| error.to_string())?.into_parts();
        let mut bytes = Vec::new();
        body.into_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Answer {
            status: head.status.as_u16(),
            media_type: media_type(&head.headers),
            encoding: header(&head.headers, "content-encoding"),
            bytes,
            headers: head.headers,
        })
    }
}

/// `Content-Type`, without its parameters.
pub fn media_type(headers: &HeaderMap) -> String {
    let whole = header(headers, "content-type").unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

impl Answer {
    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        header(&self.headers, name).unwrap_or_default()
    }

    /// Whether it is a success.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, decoded as its header says.
    pub fn decoded(&self) -> Result<Vec<u8>, Unmet> {
        let mut plain = Vec::new();
        let decoded = match self.encoding.as_deref() {
            // gzip was decoded where it came in.
            None | Some("identity" | "gzip") => return Ok(self.bytes.clone()),
            Some("zstd") => zstd::stream::copy_decode(&self.bytes[..], &mut plain),
            Some(other) => return broken(format!("the answer has the encoding {other}, which was not accepted")),
        };
        match decoded {
            Ok(()) => Ok(plain),
            Err(error) => broken(format!("the answer is not what its Content-Encoding says: {error}")),
        }
    }

    /// The body of a success, as JSON.
    pub fn ok(&self) -> Result<Value, Unmet> {
        if !self.is_ok() {
            return broken(format!("a success was expected, this came: {}", self.shown()));
        }
        let bytes = self.decoded()?;
        serde_json::from_slice(&bytes).or_else(|error| broken(format!("the answer is not JSON: {error}")))
    }

    /// The problem that a refusal is, if its status and code are these.
    pub fn refused(&self, status: u16, code: &str) -> Result<Problem, Unmet> {
        let problem = self.problem()?;
        if self.status == status && problem.code == code {
            return Ok(problem);
        }
        broken(format!("{status} {code} was expected, this came: {}", self.shown()))
    }

    /// The problem that it is.
    pub fn problem(&self) -> Result<Problem, Unmet> {
        if self.is_ok() {
            return broken(format!("a refusal was expected, this came: {}", self.shown()));
        }
        let bytes = self.decoded()?;
        serde_json::from_slice(&bytes)
            .or_else(|error| broken(format!("{} is no problem (RFC 9457): {error}", self.shown())))
    }

    /// In one line, for people.
    pub fn shown(&self) -> String {
        const MOST: usize = 300;
        let bytes = self.decoded().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut shown: String = text.chars().take(MOST).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        format!("{} {shown}", self.status)
    }
}

fn read_roots(file: &Path) -> Result<RootCerts, TargetError> {
    let refuse = |reason: String| TargetError::Certificates { file: file.display().to_string(), reason };
    let pem = fs::read(file).map_err(|error| refuse(error.to_string()))?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| refuse(error.to_string()))? {
            roots.push(certificate);
        }
    }
    if roots.is_empty() {
        return Err(refuse("it has no certificate in PEM form".into()));
    }
    Ok(RootCerts::from(roots))
}
