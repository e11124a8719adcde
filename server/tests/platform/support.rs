use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use cartera_server::app::{App, operator_router, router};
use cartera_server::platform::clock::ManualClock;
use cartera_server::platform::config::Config;
use cartera_server::platform::entropy::SeededEntropy;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

pub const PASSWORD: &str = "una contraseña larga";
pub const NOW_MS: i64 = 1_790_000_000_000;

/// The configuration of tests: hashing costs as little as is allowed.
pub fn config(folder: &TempDir) -> Config {
    let mut config = Config::with_data_dir(folder.path().join("data"));
    config.auth.password_memory_kib = 19_456;
    config.auth.password_passes = 2;
    config.listen = ([127, 0, 0, 1], 0).into();
    config
}

/// A server without a network, on a clock that stands still.
pub struct World {
    pub app: App,
    pub clock: Arc<ManualClock>,
    pub folder: TempDir,
    network: Router,
    operator: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("(no problem)")
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With another configuration than that of the other tests.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("data")).expect("the folder is ours");
        let mut config = config(&folder);
        change(&mut config);
        Self::open(folder, config, NOW_MS, 1).await
    }

    /// The same data, in a server that was started anew.
    pub async fn restart(self) -> Self {
        let now_ms = cartera_server::platform::clock::Clock::now_ms(self.clock.as_ref());
        self.app.close().await;
        let config = self.app.config().clone();
        Self::open(self.folder, config, now_ms, 2).await
    }

    async fn open(folder: TempDir, config: Config, now_ms: i64, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::at(now_ms));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let app = App::open(config, clock.clone(), entropy).await.expect("an empty folder opens");
        Self { network: router(&app), operator: operator_router(&app), app, clock, folder }
    }

    pub async fn as_operator(&self, method: Method, path: &str, body: Value) -> Answer {
        send(&self.operator, method, path, None, body).await
    }

    pub async fn send(&self, token: Option<&str>, method: Method, path: &str, body: Value) -> Answer {
        send(&self.network, method, path, token, body).await
    }

    /// An answer whose body goes on.
    pub async fn open_stream(&self, request: Request<Body>) -> Response {
        self.network.clone().oneshot(request).await.expect("a router does not fail")
    }

    /// The same as the operator.
    pub async fn as_operator_raw(&self, request: Request<Body>) -> Response {
        self.operator.clone().oneshot(request).await.expect("a router does not fail")
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(Some(token), Method::GET, path, Value::Null).await
    }

    /// Adds a user with [`PASSWORD`]; her record's id.
    pub async fn add_user(&self, email: &str, role: &str) -> String {
        let person = json!({ "email": email, "role": role, "password": PASSWORD });
        let added = self.as_operator(Method::POST, "/api/v1/users", person).await.expect(201);
        added["user"].as_str().expect("an id").to_owned()
    }

    /// Tries to sign in from a client at that address, with what proxies say of it.
    pub async fn try_sign_in_from(&self, address: &str, forwarded: &str, email: &str, password: &str) -> Answer {
        let peer: SocketAddr = format!("{address}:40000").parse().expect("an IPv4 address");
        let request = Request::post("/api/v1/sessions")
            .header("content-type", "application/json")
            .header("x-forwarded-for", forwarded)
            .extension(ConnectInfo(peer))
            .body(Body::from(json!({ "email": email, "password": password }).to_string()));
        ask(&self.network, request.expect("a request")).await
    }

    pub async fn try_sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.send(None, Method::POST, "/api/v1/sessions", body).await
    }

    /// Signs in with [`PASSWORD`]; the token.
    pub async fn sign_in(&self, email: &str) -> String {
        let session = self.try_sign_in(email, PASSWORD).await.expect(201);
        session["token"].as_str().expect("a token").to_owned()
    }

    /// Enrols a device with [`PASSWORD`]; its id and token.
    pub async fn enrol(&self, email: &str) -> (String, String) {
        let body = json!({ "email": email, "password": PASSWORD, "name": "Móvil de Ana", "platform": "test" });
        let enrolled = self.send(None, Method::POST, "/api/v1/devices", body).await.expect(201);
        let text = |key: &str| enrolled[key].as_str().expect("text").to_owned();
        (text("device"), text("token"))
    }
}

pub async fn send(router: &Router, method: Method, path: &str, token: Option<&str>, body: Value) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = match body {
        Value::Null => request.body(Body::empty()),
        body => request.header("content-type", "application/json").body(Body::from(body.to_string())),
    };
    ask(router, request.expect("a request")).await
}

async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("a router does not fail");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status: parts.status, headers: parts.headers, body }
}
