//! Many devices at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::device::Device;
use crate::server::Server;

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

async fn first_sync(address: &str, token: &str) -> Result<()> {
    const BODY: &str = r#"{"protocol":1,"limit_bytes":2097152}"#;
    loop {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "POST /sync/v1/exchange HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nAccept-Encoding: zstd\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
            BODY.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let head = String::from_utf8_lossy(&answer[..answer.len().min(512)]).into_owned();
        if let Some(pause) = asked_to_wait(&head) {
            tokio::time::sleep(pause).await;
            continue;
        }
        ensure!(head.starts_with("HTTP/1.1 200"), "a first sync was refused: {head}");
        return Ok(());
    }
}

/// What a server that has too much to do asks for.
fn asked_to_wait(head: &str) -> Option<Duration> {
    if !head.starts_with("HTTP/1.1 429") && !head.starts_with("HTTP/1.1 503") {
        return None;
    }
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("retry-after:"))?;
    Some(Duration::from_secs(line.split_once(':')?.1.trim().parse().ok()?))
}

/// Whole pulls at once, each read to its end; rows/s of all together.
pub fn whole_pulls(server: &Server, devices: usize) -> Result<f64> {
    let devices: Vec<Device> =
        (0..devices).map(|number| Device::with_token(server, crate::fleet::token(number))).collect();
    let start = Instant::now();
    let rows: usize = std::thread::scope(|scope| {
        let pulls: Vec<_> = devices.iter().map(|device| scope.spawn(|| device.pull_all())).collect();
        pulls.into_iter().map(|pull| Ok(pull.join().ok().context("a pull panicked")??.rows)).sum::<Result<usize>>()
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rows = rows as f64;
    Ok(rows / start.elapsed().as_secs_f64())
}
