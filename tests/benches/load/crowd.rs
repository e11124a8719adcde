//! Many devices at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::device::{Device, asked_to_wait};
use crate::server::Server;
use crate::snapshot::Fetcher;

/// First syncs of many small devices, all begun at once, each over a connection of its own; how long each took, sorted.
pub fn first_syncs(server: &Server, tokens: &[String]) -> Result<Vec<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = std::sync::Arc::new(Barrier::new(tokens.len()));
    runtime.block_on(async {
        let mut devices = Vec::with_capacity(tokens.len());
        for token in tokens {
            let (address, token, begin) = (server.address(), token.clone(), begin.clone());
            devices.push(tokio::spawn(async move {
                begin.wait().await;
                let start = Instant::now();
                first_sync(&address, &token).await?;
                anyhow::Ok(start.elapsed())
            }));
        }
        let mut took = Vec::with_capacity(devices.len());
        for device in devices {
            took.push(device.await??);
        }
        took.sort_unstable();
        Ok(took)
    })
}

/// What a device does that has nothing: the manifest, its chunks, and the exchange that brings what happened since.
async fn first_sync(address: &str, token: &str) -> Result<()> {
    let mut phone = Phone::connect(address, token).await?;
    let manifest: Value = serde_json::from_slice(&phone.post("manifest", &json!({"protocol": 1})).await?)?;
    let entries = manifest["chunks"].as_array().context("a manifest names chunks")?;
    let hashes: Vec<&Value> = entries.iter().map(|entry| &entry["hash"]).collect();
    let expected: u64 = entries.iter().filter_map(|entry| entry["packed_bytes"].as_u64()).sum();
    let came = phone.post("chunks", &json!({"chunks": hashes})).await?.len();
    ensure!(came as u64 == expected, "{came} bytes of chunks came, of {expected}");
    let request = json!({"protocol": 1, "cursor": manifest["cursor"], "model": manifest["model"]});
    let page: Value = serde_json::from_slice(&phone.post("exchange", &request).await?)?;
    ensure!(page["more"] == json!(false), "a first sync has not ended with its exchange");
    Ok(())
}

/// A device with the connection that it keeps.
struct Phone {
    address: String,
    token: String,
    connection: SendRequest<Full<Bytes>>,
}

impl Phone {
    async fn connect(address: &str, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(Self { address: address.to_owned(), token: token.to_owned(), connection })
    }

    /// The answer as it came; a server that has too much to do is asked again when it says.
    async fn post(&mut self, endpoint: &str, body: &Value) -> Result<Bytes> {
        let body = Bytes::from(body.to_string());
        loop {
            let mut request = Request::post(format!("/sync/v1/{endpoint}"))
                .header("Host", &self.address)
                .header("Authorization", format!("Bearer {}", self.token))
                .header("Content-Type", "application/json");
            // Chunks alone are left as they came: the load costs little of what it measures.
            if endpoint == "chunks" {
                request = request.header("Accept-Encoding", "zstd");
            }
            self.connection.ready().await?;
            let answer = self.connection.send_request(request.body(Full::new(body.clone()))?).await?;
            let (head, answer) = answer.into_parts();
            let answer = answer.collect().await?.to_bytes();
            if let Some(pause) = asked_to_wait(head.status, &head.headers) {
                tokio::time::sleep(pause).await;
                continue;
            }
            ensure!(head.status == StatusCode::OK, "{endpoint} was refused: {}", String::from_utf8_lossy(&answer));
            return Ok(answer);
        }
    }
}

/// Whole pulls at once, each read to its end; rows/s of all together.
pub fn whole_pulls(server: &Server, devices: usize) -> Result<f64> {
    let devices: Vec<Device> =
        (0..devices).map(|number| Device::with_token(server, crate::fleet::token(number))).collect();
    together(&devices, |device| Ok(device.pull_all()?.rows))
}

/// The same by chunks.
pub fn whole_fetches(server: &Server, tokens: &[String]) -> Result<f64> {
    let devices: Vec<Fetcher> = tokens.iter().map(|token| Fetcher::new(server, token)).collect();
    together(&devices, |device| Ok(usize::try_from(device.fetch()?.rows)?))
}

/// Rows/s of devices that fetch their rows at the same time.
fn together<Device: Sync>(devices: &[Device], fetch: impl Fn(&Device) -> Result<usize> + Sync) -> Result<f64> {
    let (start, fetch) = (Instant::now(), &fetch);
    let rows: usize = std::thread::scope(|scope| {
        let fetches: Vec<_> = devices.iter().map(|device| scope.spawn(move || fetch(device))).collect();
        fetches.into_iter().map(|rows| rows.join().ok().context("a fetch panicked")?).sum::<Result<usize>>()
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rows = rows as f64;
    Ok(rows / start.elapsed().as_secs_f64())
}
