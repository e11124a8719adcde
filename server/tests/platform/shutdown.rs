use std::sync::Arc;
use std::time::Duration;

use cartera_server::platform::clock::SystemClock;
use cartera_server::platform::entropy::SystemEntropy;
use cartera_server::serve::{self, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::config;

const BODY: &str = r#"{"email":"nobody@example.com","password":"wrong password"}"#;

async fn start(folder: &tempfile::TempDir, shutdown: Duration) -> Running {
    let mut config = config(folder);
    config.http.shutdown_timeout = shutdown;
    serve::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).await.expect("it starts")
}

/// A request of which everything but the last byte has arrived.
async fn begin_request(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
    let head = format!(
        "POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    // That it asks for the body says that the handler runs.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.expect("it answers");
    assert!(asked.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&asked));
    stream.write_all(&BODY.as_bytes()[..BODY.len() - 1]).await.expect("it reads");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_when_the_server_stops_gets_its_answer_and_no_new_one_comes_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&folder, Duration::from_secs(30)).await;
    let address = server.address();
    let mut running = begin_request(&server).await;
    let stopping = tokio::spawn(server.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished(), "it waits for the request");
    running.write_all(&BODY.as_bytes()[BODY.len() - 1..]).await.expect("it still reads");
    let mut answer = String::new();
    running.read_to_string(&mut answer).await.expect("it answers and closes");
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("wrong-credentials"), "{answer}");
    stopping.await.expect("no panic").expect("stopped");
    assert!(!folder.path().join("data/cartera.sock").exists());
    start(&folder, Duration::ZERO).await.stop().await.expect("the folder is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_does_not_keep_the_server_alive() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&folder, Duration::from_millis(50)).await;
    let mut stuck = begin_request(&server).await;
    server.stop().await.expect("stopped");
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "it was cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_folder_and_a_taken_address_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&folder, Duration::ZERO).await;
    let second = serve::start(config(&folder), Arc::new(SystemClock), Arc::new(SystemEntropy)).await;
    let error = second.err().expect("refused").to_string();
    assert!(error.contains("stop that one first"), "{error}");

    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let mut taken = config(&elsewhere);
    taken.listen = server.address();
    let refused = serve::start(taken, Arc::new(SystemClock), Arc::new(SystemEntropy)).await;
    let error = refused.err().expect("refused").to_string();
    assert!(error.contains("choose another address with listen"), "{error}");
    server.stop().await.expect("stopped");
}
