//! What the server tells about itself, as seen from outside the process.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use serde_json::Value;

use crate::command::{ask, serve, signal};

const TOKEN: &str = "a-token-that-nobody-may-read";

/// A collector that answers every request and hands on what it was sent.
fn collect() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let request = read_request(&mut stream.expect("a connection"));
            if send.send(request).is_err() {
                return;
            }
        }
    });
    (url, received)
}

fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).expect("it sends");
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let body_bytes: usize = length.and_then(|length| length.trim().parse().ok()).expect("a length");
        // Lossy reading changes lengths only after the head, which is plain text.
        if request.len() >= head + 4 + body_bytes {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("it reads");
            return request;
        }
    }
}

#[test]
fn every_request_is_a_trace_that_reaches_the_collector_before_the_server_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (collector, received) = collect();
    let endpoint = format!("telemetry.otlp_endpoint={collector}");
    let (mut server, started) = serve(folder.path(), &["--set", &endpoint]);
    assert_eq!(ask(&started, "/api/v1/me", Some(TOKEN)), 401);
    signal(&server, "-TERM");
    assert!(server.wait().expect("it ends").success());
    let sent: Vec<u8> = received.try_iter().flatten().collect();
    let text = String::from_utf8_lossy(&sent);
    assert!(text.starts_with("POST /v1/traces "), "{text}");
    for word in ["GET /api/v1/me", "http.route", "http.response.status_code"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
    assert!(!text.contains(TOKEN));
}

#[test]
fn the_log_is_one_json_document_for_each_line_and_holds_no_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, started) = serve(folder.path(), &["--set", "telemetry.log_format=json"]);
    ask(&started, "/api/v1/me?secret=1", Some(TOKEN));
    signal(&server, "-TERM");
    let mut log = String::new();
    server.stderr.take().expect("it is piped").read_to_string(&mut log).expect("UTF-8");
    server.wait().expect("it ends");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let refused = lines.iter().find(|line| line["message"] == "refused").expect("a line for the request");
    assert_eq!((&refused["problem.code"], &refused["status"]), (&"unauthenticated".into(), &401.into()));
    assert_eq!(refused["span"]["http.route"], "/api/v1/me");
    assert!(refused["span"]["request.id"].as_str().is_some_and(|id| id.len() == 32));
    assert!(!log.contains(TOKEN) && !log.contains("secret=1"), "{log}");
}
