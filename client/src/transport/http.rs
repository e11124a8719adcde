use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sync_protocol::wire::chunk::ChunkHash;
use sync_protocol::wire::{
    ChunkEntry, ChunksRequest, DigestRequest, DigestResponse, ExchangeRequest, ExchangeResponse, ManifestRequest,
    ManifestResponse, Problem, Report,
};
use ureq::http::{Response, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, RequestBuilder};

use super::chunk::{self, Partial};
use super::{EnrolRequest, Enrolment, Transport, TransportError, body};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The server may have to decide a thousand mutations before it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// A slow line is no reason to give up, a silent one is.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a server is, and how to know that it is the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    base: String,
}

impl ServerAddress {
    /// Reads `https://host[:port][/path]`. Plain `http` would show password and records to everybody on the way, so
    /// it is taken only for this machine itself, or where `plain_http` says that the way is known to be safe.
    ///
    /// # Errors
    /// When it is not such an address.
    pub fn parse(address: &str, plain_http: bool) -> Result<Self, TransportError> {
        let refuse = |reason: &str| TransportError::Address { address: address.to_owned(), reason: reason.to_owned() };
        let uri: Uri = address.trim().parse().map_err(|_| refuse("write it as https://host:port"))?;
        let host = uri.host().ok_or_else(|| refuse("the host is missing; write it as https://host:port"))?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if plain_http || is_this_machine(host) => {}
            Some("http") => {
                return Err(refuse("without TLS anybody on the way reads the password; use https, or --plain-http"));
            }
            _ => return Err(refuse("it must begin with https://")),
        }
        if uri.query().is_some() || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refuse("it may have neither a query nor a user; write it as https://host:port"));
        }
        Ok(Self { base: address.trim().trim_end_matches('/').to_owned() })
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.base
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The transport over HTTP.
pub struct HttpTransport {
    pub(super) agent: Agent,
    server: ServerAddress,
    /// None until the device is enrolled.
    pub(super) token: Option<String>,
    language: &'static str,
    partial: RefCell<Partial>,
}

impl HttpTransport {
    /// Speaks to `server`, trusting the certificate authorities that browsers trust or, when given, only those in the
    /// PEM file `trusted`.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn new(server: ServerAddress, trusted: Option<&Path>, language: &'static str) -> Result<Self, TransportError> {
        let tls = match trusted {
            Some(file) => TlsConfig::builder().root_certs(read_roots(file)?).build(),
            None => TlsConfig::default(),
        };
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // A redirect would carry the token to wherever it points.
            .max_redirects(0)
            .user_agent(concat!("cartera-device/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("zstd, gzip")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_per_read(Some(ANSWER_TIMEOUT))
            .timeout_per_write(Some(SILENCE_TIMEOUT))
            .build()
            .new_agent();
        Ok(Self { agent, server, token: None, language, partial: RefCell::default() })
    }

    /// Shows `token` with every request from now on.
    #[must_use]
    pub fn with_token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// Makes this installation a device of the person who gives her password.
    ///
    /// # Errors
    /// As [`Transport::exchange`]; a wrong password is a refusal with the code `unauthorised`.
    pub fn enrol(&self, request: &EnrolRequest) -> Result<Enrolment, TransportError> {
        self.post("/api/v1/devices", request)
    }

    /// A request without a body, and its address.
    pub(super) fn get(&self, path: &str) -> (String, RequestBuilder<WithoutBody>) {
        let url = format!("{}{path}", self.server.base);
        let mut asking = self.agent.get(&url);
        if let Some(token) = &self.token {
            asking = asking.header("Authorization", format!("Bearer {token}"));
        }
        (url, asking)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.base)
    }

    fn post<A: DeserializeOwned>(&self, path: &str, request: &impl serde::Serialize) -> Result<A, TransportError> {
        let (url, bytes) = self.send(path, request)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| TransportError::Unintelligible { url, reason: error.to_string() })
    }

    /// Posts JSON; the address and the bytes of a success.
    fn send(&self, path: &str, request: &impl serde::Serialize) -> Result<(String, Vec<u8>), TransportError> {
        let url = format!("{}{path}", self.server.base);
        let unsendable = |reason: String| TransportError::Unintelligible { url: url.clone(), reason };
        let json = serde_json::to_vec(request).map_err(|error| unsendable(error.to_string()))?;
        let (body, encoding) = body::encode(json).map_err(|error| unsendable(error.to_string()))?;
        let mut sending = self
            .agent
            .post(&url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, application/problem+json")
            .header("Accept-Language", self.language);
        if let Some(token) = &self.token {
            sending = sending.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(encoding) = encoding {
            sending = sending.header("Content-Encoding", encoding);
        }
        let answer = sending.send(&body[..]).map_err(|source| no_answer(&url, source))?;
        let bytes = read(&url, answer)?;
        Ok((url, bytes))
    }

    /// One chunk, from where the connection broke the last time.
    fn chunk(&self, hash: ChunkHash) -> Result<Vec<Arc<[u8]>>, TransportError> {
        let url = format!("{}/sync/v1/chunk/{hash}", self.server.base);
        let mut partial = self.partial.borrow_mut();
        let mut asking = self.agent.get(&url).header("Accept-Encoding", "zstd");
        if let Some(token) = &self.token {
            asking = asking.header("Authorization", format!("Bearer {token}"));
        }
        if let Some((from, tag)) = partial.from(hash) {
            asking = asking.header("Range", format!("bytes={from}-")).header("If-Range", tag);
        }
        let answer = asking.call().map_err(|source| no_answer(&url, source))?;
        if !answer.status().is_success() {
            *partial = Partial::default();
            return read(&url, answer).map(|_| Vec::new());
        }
        let is_rest = answer.status().as_u16() == 206;
        let (head, body) = answer.into_parts();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = partial
            .read(hash, is_rest, header("etag"), body.into_reader())
            .map_err(|error| no_answer(&url, ureq::Error::Io(error)))?;
        chunk::lines(&bytes, header("content-encoding").as_deref())
            .map_err(|error| TransportError::Unintelligible { url, reason: error.to_string() })
    }
}

impl Transport for HttpTransport {
    fn exchange(&self, request: &ExchangeRequest) -> Result<ExchangeResponse, TransportError> {
        self.post("/sync/v1/exchange", request)
    }

    fn report(&self, report: &Report) -> Result<(), TransportError> {
        let (_, answer) = self.send("/sync/v1/report", report)?;
        drop(answer);
        Ok(())
    }

    fn manifest(&self, request: &ManifestRequest) -> Result<ManifestResponse, TransportError> {
        self.post("/sync/v1/manifest", request)
    }

    fn chunks(&self, chunks: &[ChunkEntry]) -> Result<Vec<Arc<[u8]>>, TransportError> {
        if let [chunk] = chunks {
            return self.chunk(chunk.hash);
        }
        let request = ChunksRequest { chunks: chunks.iter().map(|chunk| chunk.hash).collect() };
        let (url, plain) = self.send("/sync/v1/chunks", &request)?;
        chunk::lines(&plain, None).map_err(|error| TransportError::Unintelligible { url, reason: error.to_string() })
    }

    fn digest(&self, request: &DigestRequest) -> Result<DigestResponse, TransportError> {
        self.post("/sync/v1/digest", request)
    }

    fn model(&self, hash: &str) -> Result<String, TransportError> {
        let (url, asking) = self.get(&format!("/sync/v1/model/{hash}"));
        let asking = asking.header("Accept", "application/json, application/problem+json");
        let answer = asking.call().map_err(|source| no_answer(&url, source))?;
        let bytes = read(&url, answer)?;
        String::from_utf8(bytes).map_err(|_| TransportError::Unintelligible { url, reason: "it is not UTF-8".into() })
    }
}

pub(super) fn no_answer(url: &str, source: ureq::Error) -> TransportError {
    TransportError::Unreachable { url: url.to_owned(), source: Box::new(source) }
}

/// The bytes of a success; everything else becomes the error that it is.
pub(super) fn read(url: &str, answer: Response<Body>) -> Result<Vec<u8>, TransportError> {
    let (head, body) = answer.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let encoding = header("content-encoding").map(str::to_owned);
    let retry_after = header("retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let bytes = body::decode(body.into_reader(), encoding.as_deref()).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => {
            TransportError::Unintelligible { url: url.to_owned(), reason: error.to_string() }
        }
        _ => no_answer(url, ureq::Error::Io(error)),
    })?;
    if head.status.is_success() {
        return Ok(bytes);
    }
    let status = head.status.as_u16();
    let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| unnamed_problem(url, status));
    Err(TransportError::Refused { problem: Box::new(problem), retry_after })
}

/// For what answers without a problem body: a proxy on the way, or no server of ours.
fn unnamed_problem(url: &str, status: u16) -> Problem {
    Problem {
        kind: "urn:cartera:problem:unexpected-answer".into(),
        code: "unexpected-answer".into(),
        title: "The server answered with an error that it did not explain.".into(),
        status,
        detail: Some(format!("{url} answered {status}; is it the address of a Cartera server?")),
        fields: Vec::new(),
        extra: serde_json::Map::<String, Value>::new(),
    }
}

fn read_roots(file: &Path) -> Result<RootCerts, TransportError> {
    let refuse = |reason: String| TransportError::Certificates { file: file.display().to_string(), reason };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_tls_unless_it_is_this_machine() {
        for good in ["https://crm.example.com", "http://localhost:8080", "http://127.0.0.1:9/", "http://[::1]:80"] {
            assert!(ServerAddress::parse(good, false).is_ok(), "{good}");
        }
        for bad in ["http://crm.example.com", "crm.example.com", "ftp://x", "", "https://a@b", "https://a/?q=1"] {
            assert!(ServerAddress::parse(bad, false).is_err(), "{bad}");
        }
        assert!(ServerAddress::parse("http://10.0.0.7:8080", true).is_ok());
    }

    #[test]
    fn an_answer_that_is_no_problem_still_says_where_it_came_from() {
        let problem = unnamed_problem("http://localhost:1/x", 502);
        assert!(problem.detail.expect("a detail").contains("http://localhost:1/x answered 502"));
    }
}
