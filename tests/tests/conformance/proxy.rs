//! A server that does all but one thing right: a proxy before the real one that breaks a rule on the way.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// What a fault does with a request; it may ask the real server, as often as it likes.
pub type Fault = fn(&Upstream, &Request) -> Reply;

/// Each with the one check that must see it.
pub const FAULTS: &[(&str, Fault)] = &[
    ("unknown-keys-are-skipped", refuse_unknown_keys),
    ("answers-are-compressed", never_compress),
    ("an-altered-cursor-is-refused", start_over_in_silence),
    ("pages-by-byte-budget", send_everything_at_once),
    ("own-writes-are-acknowledged", send_back_own_writes),
    ("head-is-the-last-sequence", forget_the_head),
    ("exits-reach-who-loses-a-record", tell_of_no_exit),
    ("a-gap-is-refused", take_gaps),
    ("outcomes-are-repeated", decide_anew),
    ("lww", overwrite_in_silence),
    ("uploads-go-on-by-offset", forget_how_far_uploads_are),
    ("blobs-are-fetched-by-range", send_files_whole),
    ("blobs-are-never-run", show_files_in_place),
    ("problems-are-rfc-9457", answer_problems_as_json),
];

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer as it goes out.
#[derive(Clone, Debug)]
pub struct Reply {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The real server, and what the proxy remembers.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    /// Mutations that were answered, each with the session that sent it.
    answered: Mutex<BTreeSet<(String, u64)>>,
}

/// The proxy; it ends with this value.
pub struct Proxy {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub fn start(server: SocketAddr, fault: Fault) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let upstream = Upstream { address: server, answered: Mutex::default() };
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // The suite asks one thing after the other.
                if let Ok(connection) = connection {
                    drop(serve(&upstream, fault, connection));
                }
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it, so that it sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(upstream: &Upstream, fault: Fault, mut connection: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let (line, headers) = read_head(&mut reader)?;
    let length = header(&headers, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let reply = fault(upstream, &Request { line, headers, body });
    write!(connection, "HTTP/1.1 {}\r\n", reply.status)?;
    for (name, value) in reply.headers.iter().filter(|(name, _)| !is_of_connection(name)) {
        write!(connection, "{name}: {value}\r\n")?;
    }
    write!(connection, "content-length: {}\r\nconnection: close\r\n\r\n", reply.body.len())?;
    connection.write_all(&reply.body)
}

fn read_head(reader: &mut impl BufRead) -> std::io::Result<(String, Vec<(String, String)>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut lines = lines.into_iter();
    let first = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Ok((first, headers.collect()))
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn is_of_connection(name: &str) -> bool {
    matches!(name, "connection" | "content-length" | "transfer-encoding" | "keep-alive")
}

impl Upstream {
    /// Asks the real server. In HTTP/1.0 its answer ends where the connection does.
    fn ask(&self, request: &Request) -> Reply {
        self.try_ask(request).expect("the real server answers")
    }

    fn try_ask(&self, request: &Request) -> std::io::Result<Reply> {
        let mut connection = TcpStream::connect(self.address)?;
        write!(connection, "{}\r\n", request.line.replace("HTTP/1.1", "HTTP/1.0"))?;
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_of_connection(name)) {
            write!(connection, "{name}: {value}\r\n")?;
        }
        write!(connection, "content-length: {}\r\n\r\n", request.body.len())?;
        connection.write_all(&request.body)?;
        let mut reader = BufReader::new(connection);
        let (line, headers) = read_head(&mut reader)?;
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        let status = line.split_once(' ').map(|(_, status)| status.to_owned());
        Ok(Reply { status: status.ok_or(std::io::ErrorKind::InvalidData)?, headers, body })
    }
}

impl Request {
    fn is_exchange(&self) -> bool {
        self.line.starts_with("POST /sync/v1/exchange")
    }

    /// The exchange that it asks for, where it is one in plain JSON.
    fn exchange(&self) -> Option<Value> {
        let is_plain = self.is_exchange() && header(&self.headers, "content-encoding").is_none();
        is_plain.then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    fn with(&self, exchange: &Value) -> Self {
        Self { body: exchange.to_string().into_bytes(), ..self.clone() }
    }
}

impl Reply {
    fn is_ok(&self) -> bool {
        self.status.starts_with("200")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    fn with(&self, document: &Value) -> Self {
        Self { body: document.to_string().into_bytes(), ..self.clone() }
    }
}

/// Passes a request on; what comes back of an exchange may be changed.
fn changed(upstream: &Upstream, request: &Request, change: impl FnOnce(&mut Value)) -> Reply {
    let reply = upstream.ask(request);
    let is_plain = header(&reply.headers, "content-encoding").is_none();
    if !(request.is_exchange() && reply.is_ok() && is_plain) {
        return reply;
    }
    let mut answer = reply.json();
    change(&mut answer);
    reply.with(&answer)
}

fn forget_how_far_uploads_are(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    if request.line.starts_with("HEAD /sync/v1/blob/") {
        reply.headers.retain(|(name, _)| name != "upload-offset");
    }
    reply
}

fn send_files_whole(upstream: &Upstream, request: &Request) -> Reply {
    let mut request = request.clone();
    request.headers.retain(|(name, _)| name != "range");
    upstream.ask(&request)
}

fn show_files_in_place(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    reply.headers.retain(|(name, _)| name != "content-disposition");
    reply
}

fn refuse_unknown_keys(upstream: &Upstream, request: &Request) -> Reply {
    let is_unknown = request.exchange().is_some_and(|exchange| exchange.get("from_the_future").is_some());
    if !is_unknown {
        return upstream.ask(request);
    }
    let problem =
        json!({"type": "urn:cartera:problem:invalid-body", "code": "invalid-body", "title": "No.", "status": 422});
    let headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
    Reply { status: "422 Unprocessable Content".into(), headers, body: problem.to_string().into_bytes() }
}

fn never_compress(upstream: &Upstream, request: &Request) -> Reply {
    let mut request = request.clone();
    request.headers.retain(|(name, _)| name != "accept-encoding");
    upstream.ask(&request)
}

fn start_over_in_silence(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    match request.exchange() {
        Some(mut exchange) if reply.code() == "cursor-forged" => {
            exchange.as_object_mut().map(|exchange| exchange.remove("cursor"));
            upstream.ask(&request.with(&exchange))
        }
        _ => reply,
    }
}

fn send_everything_at_once(upstream: &Upstream, request: &Request) -> Reply {
    match request.exchange() {
        Some(mut exchange) if exchange["limit_bytes"].as_u64().is_some_and(|limit| limit > 0) => {
            exchange["limit_bytes"] = json!(4 << 20);
            upstream.ask(&request.with(&exchange))
        }
        _ => upstream.ask(request),
    }
}

fn send_back_own_writes(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        for operation in answer["operations"].as_array_mut().into_iter().flatten() {
            if operation["op"] == "acknowledged" {
                operation["op"] = json!("put");
                operation["partial"] = json!(true);
                operation["entity"] = json!("account");
                operation["set"] = json!({});
            }
        }
    })
}

fn forget_the_head(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| answer["head"] = json!(0))
}

fn tell_of_no_exit(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        if let Some(operations) = answer["operations"].as_array_mut() {
            operations.retain(|operation| operation["op"] != "exit");
        }
    })
}

fn ids(exchange: &Value) -> Vec<u64> {
    let mutations = exchange["mutations"].as_array().into_iter().flatten();
    mutations.filter_map(|mutation| mutation["id"].as_u64()).collect()
}

fn take_gaps(upstream: &Upstream, request: &Request) -> Reply {
    let reply = upstream.ask(request);
    let ids = request.exchange().map(|exchange| ids(&exchange)).unwrap_or_default();
    if reply.code() != "mutation-gap" || !ids.is_sorted_by(|one, next| one < next) {
        return reply;
    }
    let outcomes: Vec<Value> = ids.iter().map(|id| json!({"mutation": id, "verdict": "applied", "seq": 1})).collect();
    let answer = json!({
        "protocol": 1, "model": "m", "outcomes": outcomes, "operations": [], "cursor": "c", "more": false, "head": 1,
        "server_time_ms": 1,
    });
    Reply { status: "200 OK".into(), ..reply.with(&answer) }
}

fn decide_anew(upstream: &Upstream, request: &Request) -> Reply {
    let token = header(&request.headers, "authorization").unwrap_or_default().to_owned();
    changed(upstream, request, |answer| {
        let mut answered = upstream.answered.lock().expect("nobody fails while holding it");
        for outcome in answer["outcomes"].as_array_mut().into_iter().flatten() {
            let id = outcome["mutation"].as_u64().unwrap_or(0);
            if !answered.insert((token.clone(), id)) {
                outcome["seq"] = json!(outcome["seq"].as_u64().unwrap_or(0) + 1);
            }
        }
    })
}

fn overwrite_in_silence(upstream: &Upstream, request: &Request) -> Reply {
    changed(upstream, request, |answer| {
        for outcome in answer["outcomes"].as_array_mut().into_iter().flatten() {
            if outcome["verdict"] == "merged" {
                outcome["verdict"] = json!("applied");
            }
        }
    })
}

fn answer_problems_as_json(upstream: &Upstream, request: &Request) -> Reply {
    let mut reply = upstream.ask(request);
    for (name, value) in &mut reply.headers {
        if name == "content-type" && value == "application/problem+json" {
            "application/json".clone_into(value);
        }
    }
    reply
}
