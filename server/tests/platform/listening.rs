//! A device that exchanges and listens, down to the lines of its stream.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::{NOW_MS, World};

/// One event of a stream: its name and its data.
pub type Event = (String, Value);

/// A device with its cursor.
pub struct Phone<'a> {
    world: &'a World,
    pub token: String,
    pub device: String,
    pub cursor: Value,
    pub mutations: u64,
}

impl<'a> Phone<'a> {
    /// Enrols a device and brings it in step.
    pub async fn enrol(world: &'a World, email: &str) -> Self {
        let (device, token) = world.enrol(email).await;
        let mut phone = Self { world, token, device, cursor: Value::Null, mutations: 0 };
        phone.exchange(json!([])).await;
        phone
    }

    pub async fn exchange(&mut self, mutations: Value) -> Value {
        let body = json!({ "protocol": 1, "cursor": self.cursor, "mutations": mutations });
        let answer = self.world.send(Some(&self.token), Method::POST, "/sync/v1/exchange", body).await.expect(200);
        assert_eq!(answer["more"], json!(false));
        self.cursor = answer["cursor"].clone();
        answer
    }

    /// Makes an account of that name; its id.
    pub async fn make_account(&mut self, name: &str) -> String {
        self.mutations += 1;
        let id = self.world.app.entropy().uuid_v7(NOW_MS).to_string();
        let mutation = json!({
            "id": self.mutations, "kind": "create", "entity": "account", "record": id, "set": { "name": name }, "at_ms": 1,
        });
        let answer = self.exchange(json!([mutation])).await;
        assert_eq!(answer["outcomes"][0]["verdict"], "applied", "{answer}");
        id
    }

    pub async fn listen(&self) -> Stream {
        let request = Request::get("/sync/v1/live")
            .header("authorization", format!("Bearer {}", self.token))
            .header("last-event-id", self.cursor.as_str().unwrap_or_default());
        let response = self.world.open_stream(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Stream { body: response.into_body(), text: String::new() };
        stream.greeting().await;
        stream
    }

    pub async fn poll(&self, wait_secs: u64) -> Value {
        let request = Request::get(format!("/sync/v1/live?wait={wait_secs}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("last-event-id", self.cursor.as_str().unwrap_or_default());
        let response = self.world.open_stream(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), 200);
        let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
        serde_json::from_slice(&bytes).expect("JSON")
    }
}

pub struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    /// What stands between two empty lines; `None` is the end.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let frame = tokio::time::timeout(Duration::from_secs(20), self.body.frame());
            let frame = frame.await.expect("something comes within 20 s")?.expect("no error on the way");
            let data = frame.into_data().expect("no trailers");
            self.text.push_str(std::str::from_utf8(&data).expect("UTF-8"));
        }
    }

    async fn greeting(&mut self) {
        let greeting = self.block().await.expect("the stream begins");
        assert!(greeting.starts_with(": connected\nretry: "), "{greeting}");
    }

    /// The next event, signs of life aside.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                let data: Value = serde_json::from_str(data).expect("data are JSON");
                assert_eq!(field("id: "), data["cursor"].as_str(), "the id is the cursor");
                return Some((name.to_owned(), data));
            }
        }
    }

    pub async fn expect(&mut self, name: &str) -> Value {
        let (came, data) = self.next().await.expect("an event, not the end");
        assert_eq!(came, name, "{data}");
        data
    }
}
