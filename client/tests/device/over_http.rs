//! What travels between the commands and a server: headers, compression, problems.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use cartera_client::transport::{HttpTransport, ServerAddress, Transport};
use crm::model::Model;
use serde_json::{Value, json};
use sync_protocol::wire::ManifestRequest;
use sync_protocol::wire::chunk::{ChunkHash, ChunkWriter};

use crate::support::id;

/// A request as it arrived.
#[derive(Debug)]
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        let body = match self.header("content-encoding") {
            Some("zstd") => zstd::stream::decode_all(self.body.as_slice()).expect("is zstd"),
            _ => self.body.clone(),
        };
        serde_json::from_slice(&body).expect("is JSON")
    }
}

/// An answer: status, further headers, body.
type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// Gives these answers, one for each request, and tells what it was asked.
fn serve(answers: Vec<Answer>) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("has an address"));
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("somebody calls");
            let request = receive(&stream);
            respond(&mut stream, &answer);
            if tell.send(request).is_err() {
                break;
            }
        }
    });
    (url, asked)
}

fn receive(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request line");
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("a header");
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { line: line.trim().to_owned(), headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).expect("the whole body");
    request
}

fn respond(stream: &mut TcpStream, (status, headers, body): &Answer) {
    // So many bytes are promised and do not come: the connection breaks.
    let missing =
        headers.iter().find(|(name, _)| *name == MISSING).map_or(0, |(_, count)| count.parse().expect("a number"));
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (headers, length) = (headers.concat(), body.len() + missing);
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("somebody listens");
}

const MISSING: &str = "x-missing";

fn plain(document: &Value) -> Answer {
    (200, Vec::new(), document.to_string().into_bytes())
}

fn packed(document: &Value) -> Answer {
    let body = zstd::stream::encode_all(document.to_string().as_bytes(), 1).expect("compresses");
    (200, vec![("content-encoding", "zstd".into())], body)
}

fn problem(status: u16, code: &str) -> Answer {
    let document = json!({
        "type": format!("urn:cartera:problem:{code}"), "code": code, "title": "No", "status": status, "detail": "Not so."
    });
    (status, vec![("content-type", "application/problem+json".into())], document.to_string().into_bytes())
}

fn enrolment(token: &str) -> Answer {
    let model = Model::core().for_role("sales_rep").hash;
    plain(&json!({"device": id(1), "token": token, "user": id(2), "tenant": id(3), "model": model, "expires_at_ms": 9}))
}

fn model() -> Answer {
    let json = Model::core().for_role("sales_rep").to_json();
    packed(&serde_json::from_str(&json).expect("is JSON"))
}

fn exchange() -> Answer {
    let model = Model::core().for_role("sales_rep").hash;
    let operation = json!({
        "op": "put", "entity": "account", "id": id(9), "seq": 4, "scopes": [1], "set": {"name": "Ácme"}, "new_key": 1
    });
    packed(&json!({
        "protocol": 1, "model": model, "outcomes": [], "operations": [operation], "cursor": "c1", "more": false,
        "head": 4, "server_time_ms": 1
    }))
}

fn run(home: &std::path::Path, arguments: &[&str], password: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartera-device"));
    command.env_clear().arg("--home").arg(home).args(arguments).args(["--json", "--lang", "es"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("runs");
    // A command that does not ask for it may be gone already.
    let _ = writeln!(child.stdin.take().expect("is piped"), "{password}");
    child.wait_with_output().expect("ends")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON document")
}

#[test]
fn a_device_enrols_syncs_and_renews_its_session() {
    let home = tempfile::tempdir().expect("a folder");
    let (url, asked) = serve(vec![
        enrolment("first"),
        model(),
        problem(404, "unknown-route"),
        exchange(),
        (204, Vec::new(), Vec::new()),
        problem(401, "unauthorised"),
        enrolment("second"),
        model(),
        exchange(),
    ]);
    let enrol = ["enrol", url.as_str(), "--user", "ana@example.com", "--name", "phone"];

    let enrolled = document(&run(home.path(), &enrol, "secret word"));
    assert_eq!((&enrolled["device"], &enrolled["server"]), (&json!(id(1)), &json!(url)));
    let request = asked.recv().expect("came");
    assert_eq!(request.line, "POST /api/v1/devices HTTP/1.1");
    let sent = request.json();
    assert_eq!((&sent["email"], &sent["password"]), (&json!("ana@example.com"), &json!("secret word")));
    assert_eq!((&sent["name"], sent.get("device")), (&json!("phone"), None));
    let request = asked.recv().expect("came");
    assert!(request.line.starts_with("GET /sync/v1/model/"), "{}", request.line);
    assert_eq!(request.header("authorization"), Some("Bearer first"));

    let report = document(&run(home.path(), &["sync"], ""));
    assert_eq!((&report["in_step"], &report["received"]), (&json!(true), &json!(1)));
    assert_eq!(asked.recv().expect("came").line, "POST /sync/v1/manifest HTTP/1.1");
    let request = asked.recv().expect("came");
    assert_eq!(request.line, "POST /sync/v1/exchange HTTP/1.1");
    assert_eq!(request.header("accept-encoding"), Some("zstd, gzip"));
    assert_eq!(request.header("accept-language"), Some("es"));
    assert_eq!((&request.json()["protocol"], &request.json()["language"]), (&json!(1), &json!("es")));
    let request = asked.recv().expect("came");
    assert_eq!(request.line, "POST /sync/v1/report HTTP/1.1");
    let said = request.json();
    assert_eq!(
        (&said["waiting"], &said["model"], &said["attention"]),
        (&json!(0), &json!(Model::core().for_role("sales_rep").hash), &json!(0))
    );
    assert!(said["storage_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{said}");
    let listed = document(&run(home.path(), &["list", "account"], ""));
    assert_eq!(listed["records"][0]["title"], "Ácme");

    document(&run(home.path(), &["new", "account", "name=Beta"], ""));
    let ended = run(home.path(), &["sync"], "");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(document(&ended)["code"], "unauthorised");
    assert!(document(&ended)["detail"].as_str().is_some_and(|detail| detail.contains("Da de alta otra vez")));
    assert_eq!(asked.recv().expect("came").json()["cursor"], "c1");

    document(&run(home.path(), &enrol, "secret word"));
    assert_eq!(asked.recv().expect("came").json()["device"], json!(id(1)));
    asked.recv().expect("the model was asked for");
    document(&run(home.path(), &["sync"], ""));
    let request = asked.recv().expect("came");
    assert_eq!(request.header("authorization"), Some("Bearer second"));
    assert_eq!(request.json()["mutations"][0]["set"]["name"], "Beta");
}

#[test]
fn a_chunk_that_was_cut_goes_on_from_there_in_the_next_try() {
    let mut writer = ChunkWriter::new(1, "account");
    writer.push(id(9), 4, r#"{"name":"Ácme"}"#, |_| true).expect("an object");
    let bytes = writer.finish();
    let hash = ChunkHash::of(&bytes).to_string();
    let packed_bytes = zstd::bulk::compress(&bytes, 1).expect("compresses");
    let manifest = json!({
        "protocol": 1, "model": Model::core().for_role("sales_rep").hash, "cursor": "m1", "head": 4, "server_time_ms": 1,
        "chunks": [{
            "hash": hash, "entity": "account", "scope": 1, "rows": 1, "bytes": bytes.len(),
            "packed_bytes": packed_bytes.len(), "as_of": 4, "priority": 1
        }]
    });
    let head = |more: &[(&'static str, String)]| {
        [&[("content-encoding", "zstd".to_owned()), ("etag", "\"tag\"".to_owned())], more].concat()
    };
    let cut = 20;
    let (begin, rest) = packed_bytes.split_at(cut);
    let (url, asked) = serve(vec![
        packed(&manifest),
        (200, head(&[(MISSING, rest.len().to_string())]), begin.to_vec()),
        (206, head(&[]), rest.to_vec()),
    ]);
    let address = ServerAddress::parse(&url, false).expect("an address");
    let transport = HttpTransport::new(address, None, "es").expect("a transport").with_token("secret".to_owned());
    let chunks = transport.manifest(&ManifestRequest { protocol: 1 }).expect("a manifest").chunks;
    asked.recv().expect("came");
    assert!(transport.chunks(&chunks).expect_err("it was cut").is_retryable());
    assert_eq!(asked.recv().expect("came").header("range"), None);
    let came = transport.chunks(&chunks).expect("the rest comes");
    let request = asked.recv().expect("came");
    assert_eq!(request.line, format!("GET /sync/v1/chunk/{hash} HTTP/1.1"));
    assert_eq!((request.header("range"), request.header("if-range")), (Some("bytes=20-"), Some("\"tag\"")));
    assert_eq!(came, [std::sync::Arc::from(bytes)]);
}

#[test]
fn somebody_elses_folder_is_not_taken_over() {
    let home = tempfile::tempdir().expect("a folder");
    let (url, _asked) = serve(vec![enrolment("first"), model()]);
    document(&run(home.path(), &["enrol", &url, "--user", "ana@example.com"], "x"));
    let other = document(&run(home.path(), &["enrol", &url, "--user", "beto@example.com"], "x"));
    assert_eq!(other["code"], "already-enrolled");
}

#[test]
fn what_is_no_answer_is_told_apart() {
    let home = tempfile::tempdir().expect("a folder");
    let cut = (200, Vec::new(), b"{\"protocol\": 1".to_vec());
    let elsewhere = (302, vec![("location", "http://localhost:1/".into())], Vec::new());
    let (url, asked) = serve(vec![
        problem(401, "wrong-password"),
        enrolment("first"),
        model(),
        (404, Vec::new(), b"<html>".to_vec()),
        (404, Vec::new(), b"<html>".to_vec()),
        elsewhere,
        cut,
    ]);
    let enrol = ["enrol", url.as_str(), "--user", "ana@example.com"];
    assert_eq!(document(&run(home.path(), &enrol, "x"))["code"], "wrong-password");
    assert_eq!(document(&run(home.path(), &["status"], ""))["code"], "not-enrolled");
    document(&run(home.path(), &enrol, "x"));
    for code in ["unexpected-answer", "unexpected-answer", "transport"] {
        let failed = run(home.path(), &["sync"], "");
        assert_eq!((failed.status.code(), &document(&failed)["code"]), (Some(1), &json!(code)));
    }
    assert_eq!(asked.try_iter().count(), 7, "nothing was asked twice, no redirect followed");
}
