//! Connected devices: how soon they know of a commit, and what ten thousand idle ones cost.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::device::Device;
use crate::server::Server;

/// In the environment of a process of this benchmark that only holds connections: to which server, how many.
pub const IDLE_LOAD: &str = "CARTERA_BENCH_IDLE_LOAD";
/// Commits of which the median counts.
const COMMITS: usize = 100;
const NAME: &[u8] = b"event: ";

/// From the request of a change until the last of all who listen knows, and from its answer on: the medians.
pub fn fan_out(server: &Server, tokens: &[String], record: &(String, u64)) -> Result<(Duration, Duration)> {
    let writer = Device::enrol(server, "writer of the live changes")?;
    writer.pull_all()?;
    let cursor = writer.cursor().context("no cursor came")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (send, mut told) = unbounded_channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let address = server.address();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (tokens, count) = (tokens.to_vec(), tokens.len());
    let listeners = std::thread::spawn(move || {
        runtime.block_on(async move {
            for token in tokens {
                let stream = connect(&address, &token, Some(&cursor)).await?;
                tokio::spawn(count_events(stream, send.clone()));
            }
            ready.send(())?;
            // Whoever waits for it may be gone already.
            drop(stopped.await);
            anyhow::Ok(())
        })
    });
    is_ready.recv().context("not every device could connect")?;
    let (mut since_request, mut since_answer) = (Vec::new(), Vec::new());
    for _ in 0..COMMITS {
        let request = Instant::now();
        writer.change(record)?;
        let answer = Instant::now();
        let mut last = answer;
        for _ in 0..count {
            last = last.max(told.blocking_recv().context("a connection was lost")?);
        }
        since_request.push(last - request);
        since_answer.push(last - answer);
    }
    drop(stop);
    listeners.join().expect("the listeners do not panic")?;
    Ok((median(since_request), median(since_answer)))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn connect(address: &str, token: &str, cursor: Option<&str>) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let cursor = cursor.map(|cursor| format!("Last-Event-ID: {cursor}\r\n")).unwrap_or_default();
    let request =
        format!("GET /sync/v1/live HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{cursor}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 1024];
    let read = stream.read(&mut head).await?;
    let text = String::from_utf8_lossy(&head[..read]).into_owned();
    ensure!(text.starts_with("HTTP/1.1 200"), "the stream was refused: {text}");
    Ok(stream)
}

/// Says when each event came; ends with the connection.
async fn count_events(mut stream: TcpStream, told: UnboundedSender<Instant>) {
    let mut buffer = vec![0; 8192];
    let mut kept = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer[kept..]).await {
        let length = kept + read;
        let events = buffer[..length].windows(NAME.len()).filter(|window| *window == NAME).count();
        for _ in 0..events {
            if told.send(Instant::now()).is_err() {
                return;
            }
        }
        // An event's name may be cut in two; what is kept is shorter than one, so that none counts twice.
        kept = length.min(NAME.len() - 1);
        buffer.copy_within(length - kept..length, 0);
    }
}

/// A process of its own that holds idle connections, so that the server's memory is the server's alone.
pub struct IdleLoad(Child);

impl IdleLoad {
    pub fn start(server: &Server, count: usize) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .env(IDLE_LOAD, format!("{} {count}", server.address()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut line)?;
        ensure!(line.trim() == "connected", "the idle connections could not be made: {line}");
        Ok(Self(process))
    }
}

impl Drop for IdleLoad {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What that process does: connects, says so, and holds on until its input closes.
pub fn hold_idle(task: &str) -> Result<()> {
    let (address, count) = task.split_once(' ').context("an address and a count")?;
    let count: usize = count.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let streams: Vec<TcpStream> = runtime.block_on(async {
        let mut streams = Vec::with_capacity(count);
        for number in 0..count {
            streams.push(connect(address, &crate::fleet::token(number), None).await?);
        }
        anyhow::Ok(streams)
    })?;
    {
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        writeln!(out, "connected")?;
        out.flush()?;
    }
    let mut end = Vec::new();
    std::io::stdin().read_to_end(&mut end)?;
    drop(streams);
    Ok(())
}
