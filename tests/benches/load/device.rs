use std::io::Read;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::server::{EMAIL, PASSWORD, Server};

/// Bytes of operations that a pull asks for at a time.
const PAGE_BYTES: u64 = 2 << 20;

/// One enrolled device that speaks the protocol and keeps nothing.
pub struct Device {
    agent: ureq::Agent,
    url: String,
    token: String,
    cursor: std::sync::Mutex<Option<String>>,
    next_mutation: AtomicU64,
}

/// What a whole pull brought.
#[derive(Default)]
pub struct Pulled {
    pub rows: usize,
    pub compressed_bytes: usize,
}

impl Device {
    pub fn enrol(server: &Server, name: &str) -> Result<Self> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let body = json!({"email": EMAIL, "password": PASSWORD, "name": name, "platform": "bench"});
        let mut answer = agent
            .post(format!("{}/api/v1/devices", server.url))
            .content_type("application/json")
            .send(body.to_string())?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 201, "could not enrol {name}: {text}");
        let token = serde_json::from_str::<Value>(&text)?["token"].as_str().context("no token came")?.to_owned();
        Ok(Self::with_token(server, token))
    }

    /// A device that is enrolled already.
    pub fn with_token(server: &Server, token: String) -> Self {
        Self {
            agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
            url: format!("{}/sync/v1/exchange", server.url),
            token,
            cursor: std::sync::Mutex::default(),
            next_mutation: AtomicU64::new(1),
        }
    }

    /// The cursor of the last whole pull.
    pub fn cursor(&self) -> Option<String> {
        self.cursor.lock().expect("no panic").clone()
    }

    fn exchange(&self, request: &Value) -> Result<(Value, usize)> {
        let mut answer = self
            .agent
            .post(&self.url)
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Accept-Encoding", "zstd")
            .content_type("application/json")
            .send(request.to_string())?;
        let is_zstd = answer.headers().get("content-encoding").is_some_and(|encoding| encoding == "zstd");
        let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
        let mut text = Vec::new();
        if is_zstd {
            zstd::Decoder::new(bytes.as_slice())?.read_to_end(&mut text)?;
        } else {
            text.clone_from(&bytes);
        }
        ensure!(answer.status() == 200, "the exchange failed: {}", String::from_utf8_lossy(&text));
        Ok((serde_json::from_slice(&text)?, bytes.len()))
    }

    /// Everything from the beginning. Rows are counted in the text, so that the load costs little of what it measures.
    pub fn pull_all(&self) -> Result<Pulled> {
        let mut pulled = Pulled::default();
        let mut cursor: Option<String> = None;
        loop {
            let request = json!({"protocol": 1, "cursor": cursor, "limit_bytes": PAGE_BYTES});
            let mut answer = self
                .agent
                .post(&self.url)
                .header("Authorization", format!("Bearer {}", self.token))
                .header("Accept-Encoding", "zstd")
                .content_type("application/json")
                .send(request.to_string())?;
            if let Some(pause) = asked_to_wait(answer.status(), answer.headers()) {
                std::thread::sleep(pause);
                continue;
            }
            ensure!(answer.status() == 200, "the pull failed: {}", answer.body_mut().read_to_string()?);
            let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
            let text = zstd::decode_all(bytes.as_slice())?;
            pulled.compressed_bytes += bytes.len();
            pulled.rows += memmem_count(&text, b"{\"op\":\"put\"");
            let tail = Tail::of(&text)?;
            cursor = Some(tail.cursor);
            if !tail.more {
                self.cursor.lock().expect("no panic").clone_from(&cursor);
                return Ok(pulled);
            }
        }
    }

    /// A pull that finds nothing new.
    pub fn pull_nothing(&self) -> Result<()> {
        let cursor = self.cursor.lock().expect("no panic").clone();
        let (answer, _) = self.exchange(&json!({"protocol": 1, "cursor": cursor}))?;
        ensure!(answer["operations"] == json!([]), "something new came to an idle pull");
        Ok(())
    }

    /// Changes one field of a record, alone in its exchange; the page that comes with the answer is left where it is.
    pub fn change(&self, (record, base): &(String, u64)) -> Result<()> {
        let id = self.next_mutation.fetch_add(1, Ordering::Relaxed);
        let (answer, _) = self.exchange(&json!({
            "protocol": 1, "acknowledged": id - 1, "limit_bytes": 0, "cursor": self.cursor(),
            "mutations": [{
                "id": id, "kind": "update", "entity": "contact", "record": record, "base": base,
                "set": {"job_title": format!("Título {id}")}, "at_ms": 1_780_000_000_000_u64,
            }],
        }))?;
        ensure!(answer["outcomes"][0]["verdict"] == "applied", "a change was not made: {}", answer["outcomes"]);
        Ok(())
    }

    /// Bytes on the wire of one page with what came since the last whole pull, and how many operations it has.
    pub fn pull_changes(&self) -> Result<(usize, usize)> {
        let (answer, bytes) = self.exchange(&json!({"protocol": 1, "cursor": self.cursor()}))?;
        Ok((bytes, answer["operations"].as_array().context("no operations came")?.len()))
    }

    /// The ids of all contacts, with their sequences.
    pub fn contacts(&self) -> Result<Vec<(String, u64)>> {
        let mut ids = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let (answer, _) = self.exchange(&json!({"protocol": 1, "cursor": cursor, "limit_bytes": PAGE_BYTES}))?;
            let operations = answer["operations"].as_array().context("no operations came")?;
            let contacts = operations.iter().filter(|operation| operation["entity"] == "contact");
            ids.extend(
                contacts.filter_map(|contact| Some((contact["id"].as_str()?.to_owned(), contact["seq"].as_u64()?))),
            );
            cursor = answer["cursor"].clone();
            if answer["more"] == json!(false) {
                return Ok(ids);
            }
        }
    }

    /// Pushes batches of one-field changes, each answered before the next is sent; returns how long the counted ones
    /// took together and each.
    pub fn push_batches(
        &self,
        records: &[(String, u64)],
        batches: usize,
        batch: usize,
        warm_up: usize,
        begin: &Barrier,
    ) -> Result<(Duration, Vec<Duration>)> {
        let mut latencies = Vec::with_capacity(batches);
        let mut counted_from = Instant::now();
        begin.wait();
        for number in 0..batches {
            if number == warm_up {
                counted_from = Instant::now();
            }
            let mutations: Vec<Value> = (0..batch)
                .map(|index| {
                    let id = self.next_mutation.fetch_add(1, Ordering::Relaxed);
                    let (record, base) = &records[(number * batch + index) % records.len()];
                    json!({
                        "id": id, "kind": "update", "entity": "contact", "record": record, "base": base,
                        "set": {"job_title": format!("Título {id}")}, "at_ms": 1_780_000_000_000_u64,
                    })
                })
                .collect();
            let acknowledged = self.next_mutation.load(Ordering::Relaxed) - batch as u64 - 1;
            let start = Instant::now();
            let (answer, _) = self.exchange(&json!({
                "protocol": 1, "acknowledged": acknowledged, "mutations": mutations, "limit_bytes": 0,
                "cursor": self.cursor.lock().expect("no panic").clone(),
            }))?;
            if number >= warm_up {
                latencies.push(start.elapsed());
            }
            let outcomes = answer["outcomes"].as_array().context("no outcomes came")?;
            ensure!(outcomes.len() == batch, "{} outcomes came for {batch} mutations", outcomes.len());
            for outcome in outcomes {
                ensure!(outcome["verdict"] != "rejected", "a mutation without a conflict was rejected: {outcome}");
            }
        }
        Ok((counted_from.elapsed(), latencies))
    }
}

/// What a server that has too much to do asks for.
pub fn asked_to_wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = headers.get("retry-after").filter(|_| is_busy)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.parse().ok()?))
}

/// The keys after the operations, read without parsing those.
#[derive(serde::Deserialize)]
struct Tail {
    cursor: String,
    more: bool,
}

impl Tail {
    fn of(text: &[u8]) -> Result<Self> {
        let start = text.windows(11).rposition(|window| window == b"],\"cursor\":").context("no cursor came")?;
        let mut tail = vec![b'{'];
        tail.extend_from_slice(&text[start + 2..]);
        Ok(serde_json::from_slice(&tail)?)
    }
}

fn memmem_count(text: &[u8], pattern: &[u8]) -> usize {
    text.windows(pattern.len()).filter(|window| *window == pattern).count()
}
