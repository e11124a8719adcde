//! Phones that stay connected: what one of them does, the others have at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use cartera_tests::{Company, Device, Server, product};
use serde_json::{Value, json};

/// A `cartera-device sync --follow`; it ends with this value.
struct Following {
    process: Child,
    lines: Receiver<Value>,
}

impl Following {
    fn start(device: &Device) -> Self {
        let mut command = product("cartera-device");
        command.arg("--home").arg(device.home()).args(["--lang", "en", "--json", "sync", "--follow"]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the command starts");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let document = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
                if sender.send(document).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    /// The next document for which that holds.
    #[track_caller]
    fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(30)) {
                Ok(document) if holds(&document) => return document,
                Ok(document) => seen.push(document),
                Err(error) => panic!("{what} did not come ({error}); this did: {seen:#?}"),
            }
        }
    }

    #[track_caller]
    fn connected(&self) {
        self.wait_for("a connection", |document| document["event"] == "connected");
    }

    #[track_caller]
    fn received(&self, title: &str) -> Value {
        self.wait_for(title, |document| {
            let records = document["records"].as_array();
            records.is_some_and(|records| records.iter().any(|record| record["title"] == title))
        })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn what_is_done_on_one_phone_arrives_on_the_other_without_an_exchange() {
    let server = Server::start();
    let company = Company::found(&server);
    let (phone, tablet) = (server.device(Company::ANA), server.device(Company::ANA));
    // The first record of a kind that somebody owns opens a scope, which is fetched and not told.
    let _ = server.person(Company::ANA).create("account", &json!({"name": "Primera"}));
    let (on_phone, on_tablet) = (Following::start(&phone), Following::start(&tablet));
    on_phone.connected();
    on_tablet.connected();

    let made = phone.run(&["new", "account", "name=Conservas Norte"]).ok();
    let sent = on_phone.wait_for("the push", |document| document["sent"] == 1);
    assert_eq!(sent["applied"], 1, "what another command queued is sent by the one that follows");
    let came = on_tablet.received("Conservas Norte");
    assert_eq!((&came["exchanges"], &came["records"][0]["id"]), (&json!(0), &made["id"]), "{came}");
    assert_eq!(tablet.run(&["list", "account"]).ok()["count"], 3, "and it is there");
    drop(company);
}

/// What some proxies are: a stream of events gets no further than this, everything else does.
fn line_without_streams(server: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    // Ends with the test's process.
    std::thread::spawn(move || {
        for device in listener.incoming() {
            let device = device.expect("a connection");
            std::thread::spawn(move || pass_on(device, server));
        }
    });
    url
}

fn pass_on(mut device: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut beginning = [0; 64];
    let count = device.read(&mut beginning)?;
    if beginning[..count].starts_with(b"GET /sync/v1/live ") {
        return device.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(&beginning[..count])?;
    let mut back = (upstream.try_clone()?, device.try_clone()?);
    std::thread::spawn(move || {
        drop(std::io::copy(&mut back.0, &mut back.1));
        drop(back.1.shutdown(Shutdown::Both));
    });
    std::io::copy(&mut device, &mut upstream)?;
    upstream.shutdown(Shutdown::Write)
}

#[test]
fn a_phone_behind_a_proxy_that_lets_no_stream_through_asks_instead() {
    let server = Server::start();
    let _company = Company::found(&server);
    let ana = server.person(Company::ANA);
    let _ = ana.create("account", &json!({"name": "Primera"}));
    let phone = Device::enrol(&line_without_streams(server.address()), Company::ANA);
    let following = Following::start(&phone);
    for stream in ["the first", "the second"] {
        following.wait_for(stream, |document| document["event"] == "disconnected");
    }
    let _ = ana.create("account", &json!({"name": "Por preguntas"}));
    following.wait_for("an answer", |document| document["event"] == "connected" && document["by"] == "poll");
    following.received("Por preguntas");
}

#[test]
fn a_phone_that_follows_comes_back_when_the_server_does_and_stops_when_it_is_revoked() {
    let mut server = Server::start();
    let company = Company::found(&server);
    let ana = server.person(Company::ANA);
    let _ = ana.create("account", &json!({"name": "Primera"}));
    let phone = server.device(Company::ANA);
    let mut following = Following::start(&phone);
    following.connected();
    server.restart();
    following.wait_for("the loss", |document| document["event"] == "disconnected");
    following.connected();
    let _ = ana.create("account", &json!({"name": "Después"}));
    following.received("Después");

    let listed = company.admin.get("/api/v1/devices").ok();
    let device = listed["devices"][0]["id"].as_str().expect("the only device").to_owned();
    assert_eq!(company.admin.delete(&format!("/api/v1/devices/{device}")).status, 204);
    following.wait_for("the end", |document| document["code"] == "unauthenticated");
    assert_eq!(following.process.wait().expect("it ends").code(), Some(1));
}
