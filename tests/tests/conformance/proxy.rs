//! A server that does all but one thing right: a proxy before the real one that breaks a rule on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Map, Value, json};

/// The one mistake that a proxy makes.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// What becomes of a request that is answered; it may ask the real server, as often as it likes.
    Answers(fn(&Upstream, &Request) -> Reply),
    /// What becomes of a part of a stream; without one, the device hears nothing of it.
    Streams(fn(&Upstream, &Request, Part) -> Option<Part>),
}

/// A stream comes part by part.
#[derive(Clone, Debug)]
pub enum Part {
    /// Status and headers, line by line.
    Head(String),
    /// The lines of one event.
    Event(String),
    /// Nothing more comes.
    End,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer as it goes out.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The real server, and what the proxy remembers.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    /// What was sent, each by the session and what it asked for.
    pub sent: Mutex<BTreeMap<(String, String), Reply>>,
    /// Names that came by and mean something when they come again.
    pub known: Mutex<BTreeSet<String>>,
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
        let upstream = Arc::new(Upstream { address: server, sent: Mutex::default(), known: Mutex::default() });
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // While a poll waits, something is written.
                if let Ok(connection) = connection {
                    let upstream = Arc::clone(&upstream);
                    std::thread::spawn(move || serve(&upstream, fault, connection));
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
    let request = Request { line, headers, body };
    if request.is_stream() {
        return stream(upstream, fault, &request, connection);
    }
    let reply = match fault {
        Fault::Answers(change) => change(upstream, &request),
        Fault::Streams(_) => upstream.ask(&request),
    };
    write!(connection, "HTTP/1.1 {}\r\n", reply.status)?;
    for (name, value) in reply.headers.iter().filter(|(name, _)| !is_of_connection(name)) {
        write!(connection, "{name}: {value}\r\n")?;
    }
    write!(connection, "content-length: {}\r\nconnection: close\r\n\r\n", reply.body.len())?;
    connection.write_all(&reply.body)
}

/// Passes a stream on as it comes.
fn stream(upstream: &Upstream, fault: Fault, request: &Request, mut connection: TcpStream) -> std::io::Result<()> {
    let changed = |part| match fault {
        Fault::Streams(change) => change(upstream, request, part),
        Fault::Answers(_) => Some(part),
    };
    let mut reader = BufReader::new(upstream.send(request)?);
    let mut next: fn(String) -> Part = Part::Head;
    loop {
        let block = read_block(&mut reader)?;
        let part = if block.is_empty() { Part::End } else { next(block) };
        let is_over = matches!(part, Part::End);
        match changed(part) {
            Some(Part::Head(lines) | Part::Event(lines)) => write!(connection, "{lines}\r\n")?,
            Some(Part::End) => return Ok(()),
            // The device ends it.
            None if is_over => return connection.read(&mut [0]).map(drop),
            None => {}
        }
        next = Part::Event;
    }
}

/// Lines up to an empty one, which is not among them.
fn read_block(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut block = String::new();
    loop {
        let length = block.len();
        if reader.read_line(&mut block)? == 0 || block[length..].trim().is_empty() {
            block.truncate(length);
            return Ok(block);
        }
    }
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

pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn is_of_connection(name: &str) -> bool {
    matches!(name, "connection" | "content-length" | "transfer-encoding" | "keep-alive")
}

impl Upstream {
    /// Asks the real server. In HTTP/1.0 its answer ends where the connection does.
    pub fn ask(&self, request: &Request) -> Reply {
        self.try_ask(request).expect("the real server answers")
    }

    /// Whether that came by before.
    pub fn knows(&self, name: &str) -> bool {
        self.known.lock().expect("nobody fails while holding it").contains(name)
    }

    /// Remembers that it came by; whether for the first time.
    pub fn learns(&self, name: &str) -> bool {
        self.known.lock().expect("nobody fails while holding it").insert(name.to_owned())
    }

    fn send(&self, request: &Request) -> std::io::Result<TcpStream> {
        let mut connection = TcpStream::connect(self.address)?;
        write!(connection, "{}\r\n", request.line.replace("HTTP/1.1", "HTTP/1.0"))?;
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_of_connection(name)) {
            write!(connection, "{name}: {value}\r\n")?;
        }
        write!(connection, "content-length: {}\r\n\r\n", request.body.len())?;
        connection.write_all(&request.body)?;
        Ok(connection)
    }

    fn try_ask(&self, request: &Request) -> std::io::Result<Reply> {
        let mut reader = BufReader::new(self.send(request)?);
        let (line, headers) = read_head(&mut reader)?;
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        let status = line.split_once(' ').map(|(_, status)| status.to_owned());
        Ok(Reply { status: status.ok_or(std::io::ErrorKind::InvalidData)?, headers, body })
    }
}

impl Request {
    fn is_stream(&self) -> bool {
        self.line.starts_with("GET /sync/v1/live ")
    }

    pub fn is_exchange(&self) -> bool {
        self.line.starts_with("POST /sync/v1/exchange")
    }

    /// The exchange that it asks for, where it is one in plain JSON.
    pub fn exchange(&self) -> Option<Value> {
        let is_plain = self.is_exchange() && header(&self.headers, "content-encoding").is_none();
        is_plain.then(|| serde_json::from_slice(&self.body).ok()).flatten().filter(Value::is_object)
    }

    /// What its session is known by.
    pub fn session(&self) -> &str {
        header(&self.headers, "authorization").unwrap_or_default()
    }

    pub fn with(&self, exchange: &Value) -> Self {
        Self { body: exchange.to_string().into_bytes(), ..self.clone() }
    }
}

impl Reply {
    pub fn is_ok(&self) -> bool {
        self.status.starts_with("200")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn with(&self, document: &Value) -> Self {
        Self { body: document.to_string().into_bytes(), ..self.clone() }
    }

    /// A refusal.
    pub fn problem(status: &str, code: &str) -> Self {
        let number: u16 = status.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let kind = format!("urn:cartera:problem:{code}");
        let problem = json!({"type": kind, "code": code, "title": "No.", "status": number});
        let headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
        Self { status: status.to_owned(), headers, body: problem.to_string().into_bytes() }
    }

    /// An answer to an exchange that has these outcomes and nothing else.
    pub fn outcomes(outcomes: &[Value]) -> Self {
        let answer = json!({
            "protocol": 1, "model": "m", "outcomes": outcomes, "operations": [], "cursor": "c", "more": false, "head": 1,
            "server_time_ms": 1,
        });
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status: "200 OK".into(), headers, body: answer.to_string().into_bytes() }
    }
}

/// Passes an exchange on as another one; any other request as it is.
pub fn asked_otherwise(upstream: &Upstream, request: &Request, change: impl FnOnce(&mut Value)) -> Reply {
    match request.exchange() {
        Some(mut exchange) => {
            change(&mut exchange);
            upstream.ask(&request.with(&exchange))
        }
        None => upstream.ask(request),
    }
}

/// Passes an exchange on; what came of each of its mutations may be changed.
pub fn decided_otherwise(upstream: &Upstream, request: &Request, mut change: impl FnMut(&Value, &mut Value)) -> Reply {
    let mutations = request.exchange().map(|exchange| exchange["mutations"].clone()).unwrap_or_default();
    changed(upstream, request, |answer| {
        let outcomes = answer.get_mut("outcomes").and_then(Value::as_array_mut).into_iter().flatten();
        for (mutation, outcome) in mutations.as_array().into_iter().flatten().zip(outcomes) {
            change(mutation, outcome);
        }
    })
}

/// The mutations of an exchange.
pub fn mutations(exchange: &mut Value) -> Option<&mut Vec<Value>> {
    exchange.get_mut("mutations")?.as_array_mut()
}

/// What a mutation sets.
pub fn set(mutation: &mut Value) -> Option<&mut Map<String, Value>> {
    mutation.get_mut("set")?.as_object_mut()
}

/// The operations of an answer.
pub fn operations(answer: &mut Value) -> impl Iterator<Item = &mut Value> {
    answer.get_mut("operations").and_then(Value::as_array_mut).into_iter().flatten()
}

/// Leaves operations out of an answer.
pub fn leave_out(answer: &mut Value, is_left_out: impl Fn(&Value) -> bool) {
    if let Some(operations) = answer.get_mut("operations").and_then(Value::as_array_mut) {
        operations.retain(|operation| !is_left_out(operation));
    }
}

/// Passes a request on; what comes back of an exchange may be changed.
pub fn changed(upstream: &Upstream, request: &Request, change: impl FnOnce(&mut Value)) -> Reply {
    changed_at("POST /sync/v1/exchange", upstream, request, change)
}

/// The same with what comes back of requests that begin so.
pub fn changed_at(line: &str, upstream: &Upstream, request: &Request, change: impl FnOnce(&mut Value)) -> Reply {
    let reply = upstream.ask(request);
    let is_plain = header(&reply.headers, "content-encoding").is_none();
    if !(request.line.starts_with(line) && reply.is_ok() && is_plain) {
        return reply;
    }
    let mut answer = reply.json();
    change(&mut answer);
    reply.with(&answer)
}
