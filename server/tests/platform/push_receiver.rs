//! A push service within the test: it takes what it is asked, answers as it is told, and can tell whether a request came
//! from whom the device subscribed to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A request that came.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

type Answers = Arc<Mutex<VecDeque<Response>>>;

pub struct PushReceiver {
    pub origin: String,
    answers: Answers,
    asked: UnboundedReceiver<Asked>,
}

impl PushReceiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = Answers::default();
        let (sender, asked) = unbounded_channel();
        let router = Router::new().fallback(take).with_state((answers.clone(), sender));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { origin, answers, asked }
    }

    /// What it answers next; without this, it takes the request.
    pub fn answer_next(&self, answer: impl IntoResponse) {
        self.answers.lock().expect("nobody panics").push_back(answer.into_response());
    }

    /// The next request, which comes soon.
    pub async fn next(&mut self) -> Asked {
        let asked = tokio::time::timeout(Duration::from_mins(1), self.asked.recv()).await;
        asked.expect("a request within a minute").expect("the receiver runs")
    }

    /// Whether nothing came that was not looked at.
    pub fn is_quiet(&self) -> bool {
        self.asked.is_empty()
    }
}

async fn take(
    State((answers, sender)): State<(Answers, UnboundedSender<Asked>)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = answers.lock().expect("nobody panics").pop_front();
    sender.send(Asked { method, path: uri.path().to_owned(), headers, body }).expect("the test listens");
    answer.unwrap_or_else(|| StatusCode::CREATED.into_response())
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} in {:?}", self.headers)).to_str().expect("text")
    }

    /// The claims of its token, where that is signed with the key that the header names and the server announced.
    pub fn claims(&self, announced: &str) -> Value {
        let authorization = self.header("authorization").strip_prefix("vapid ").expect("the scheme vapid");
        let part = |name: &str| {
            let parts = authorization.split(',').map(str::trim);
            parts.into_iter().find_map(|part| part.strip_prefix(name)).expect("both parts").to_owned()
        };
        let (token, key) = (part("t="), part("k="));
        assert_eq!(key, announced);
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url without padding");
        let (signed, signature) = token.rsplit_once('.').expect("a signature");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(&key))
            .verify(signed.as_bytes(), &decode(signature))
            .expect("the signature is that of the announced key");
        let (header, claims) = signed.split_once('.').expect("a header and claims");
        let read = |part: &str| serde_json::from_slice::<Value>(&decode(part)).expect("JSON");
        assert_eq!(read(header), serde_json::json!({ "typ": "JWT", "alg": "ES256" }));
        read(claims)
    }
}
