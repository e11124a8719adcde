//! What a new device fetches in chunks, beside the same bytes from a static file server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use tower_http::services::ServeDir;

use crate::server::Server;

/// Fetches of all chunks, so that one of them is long enough to be timed.
const FETCHES: u32 = 40;

/// A device that fetches chunks and keeps nothing.
pub struct Fetcher {
    agent: ureq::Agent,
    url: String,
    token: String,
}

/// What a manifest names and its chunks hold.
pub struct Snapshot {
    pub rows: u64,
    /// Compressed size of the chunks with contacts, and how many contacts these hold.
    pub contacts: (u64, u64),
    /// The manifest and all its chunks, one after the other.
    pub took: Duration,
    hashes: Vec<String>,
    chunks: Vec<Vec<u8>>,
}

impl Snapshot {
    /// How many fields the contacts of a chunk have, those counted that any of them has.
    pub fn contact_fields(&self) -> Result<usize> {
        for packed in &self.chunks {
            let chunk: Value = serde_json::from_slice(&zstd::decode_all(&packed[..])?)?;
            if chunk["entity"] == "contact" {
                return Ok(chunk["columns"].as_object().map_or(0, serde_json::Map::len));
            }
        }
        bail!("no chunk holds contacts")
    }
}

impl Fetcher {
    pub fn new(server: &Server, token: &str) -> Self {
        Self { agent: agent(), url: server.url.clone(), token: token.to_owned() }
    }

    /// All that a new device fetches.
    pub fn fetch(&self) -> Result<Snapshot> {
        let start = Instant::now();
        let mut answer = self
            .agent
            .post(format!("{}/sync/v1/manifest", self.url))
            .header("Authorization", format!("Bearer {}", self.token))
            .content_type("application/json")
            .send(json!({"protocol": 1}).to_string())?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 200, "no manifest: {text}");
        let manifest: Value = serde_json::from_str(&text)?;
        let entries = manifest["chunks"].as_array().context("a manifest names chunks")?;
        let sum = |entity: Option<&str>, key: &str| -> u64 {
            let of = entries.iter().filter(|entry| entity.is_none_or(|entity| entry["entity"] == entity));
            of.filter_map(|entry| entry[key].as_u64()).sum()
        };
        let hashes: Vec<String> =
            entries.iter().filter_map(|entry| entry["hash"].as_str().map(str::to_owned)).collect();
        let chunks = hashes.iter().map(|hash| self.chunk(hash)).collect::<Result<_>>()?;
        Ok(Snapshot {
            rows: sum(None, "rows"),
            contacts: (sum(Some("contact"), "packed_bytes"), sum(Some("contact"), "rows")),
            took: start.elapsed(),
            hashes,
            chunks,
        })
    }

    fn chunk(&self, hash: &str) -> Result<Vec<u8>> {
        let url = format!("{}/sync/v1/chunk/{hash}", self.url);
        let authorization = format!("Bearer {}", self.token);
        let asking = self.agent.get(url).header("Authorization", authorization).header("Accept-Encoding", "zstd");
        whole(asking.call()?)
    }

    /// Bytes/s of chunks that are there already.
    pub fn warm(&self, snapshot: &Snapshot) -> Result<f64> {
        speed(snapshot, |at| self.chunk(&snapshot.hashes[at]))
    }
}

/// Bytes/s of the same bytes from a static file server, fetched by the same client.
pub fn from_files(snapshot: &Snapshot, folder: &Path) -> Result<f64> {
    for (at, chunk) in snapshot.chunks.iter().enumerate() {
        std::fs::write(folder.join(at.to_string()), chunk)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let files = Router::new().fallback_service(ServeDir::new(folder));
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket takes its options"));
    let serving = runtime.spawn(async move { axum::serve(listener, files).await });
    let agent = agent();
    let speed = speed(snapshot, |at| whole(agent.get(format!("{url}/{at}")).call()?));
    serving.abort();
    speed
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn whole(mut answer: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>> {
    ensure!(answer.status() == 200, "not served: {}", answer.body_mut().read_to_string()?);
    Ok(answer.body_mut().with_config().limit(64 << 20).read_to_vec()?)
}

fn speed(snapshot: &Snapshot, fetch: impl Fn(usize) -> Result<Vec<u8>>) -> Result<f64> {
    let start = Instant::now();
    let mut bytes = 0;
    for _ in 0..FETCHES {
        for (at, chunk) in snapshot.chunks.iter().enumerate() {
            let came = fetch(at)?;
            ensure!(came.len() == chunk.len(), "{} bytes came of {}", came.len(), chunk.len());
            bytes += came.len();
        }
    }
    Ok(bytes as f64 / start.elapsed().as_secs_f64())
}
