//! A server as an orchestrator runs it: what it is entitled to, who may ask how it is and who is its first administrator
//! lie in folders that change while it runs, in the way of Kubernetes' volumes.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use cartera_server::app::operator_router;
use cartera_server::platform::clock::SystemClock;
use cartera_server::platform::config::Config;
use cartera_server::platform::entropy::SystemEntropy;
use cartera_server::serve::{self, Running};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::{self, Answer, PASSWORD};

pub const TOKEN: &str = "a-token-of-the-operator";

/// All modules, no limit.
pub const EVERYTHING: [&str; 3] = ["leads", "sales", "catalogue"];

/// A running server and the folders that it follows.
pub struct Tenancy {
    pub server: Running,
    folder: TempDir,
    versions: AtomicUsize,
}

impl Tenancy {
    /// Starts with these entitlements, the operator's token, and nobody in it.
    pub async fn start(entitlements: &Value) -> Self {
        Self::start_with(entitlements, |_| {}).await
    }

    /// With another configuration.
    pub async fn start_with(entitlements: &Value, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = support::config(&folder);
        config.telemetry.listen = Some(([127, 0, 0, 1], 0).into());
        config.operator.entitlements_file = Some(folder.path().join("entitlements/entitlements.json"));
        config.operator.token_dir = Some(folder.path().join("internal"));
        config.operator.first_administrator_dir = Some(folder.path().join("first-administrator"));
        config.operator.look_every = Duration::from_millis(20);
        change(&mut config);
        let versions = AtomicUsize::new(0);
        put(&folder, &versions, "entitlements", &[("entitlements.json", &entitlements.to_string())]);
        put(&folder, &versions, "internal", &[("token", TOKEN), ("previous", "")]);
        let server = serve::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).await.expect("it starts");
        Self { server, folder, versions }
    }

    /// Puts files in the place of those of a folder, all at once.
    pub fn put(&self, folder: &str, files: &[(&str, &str)]) {
        put(&self.folder, &self.versions, folder, files);
    }

    /// Entitles the tenant to something else, and waits until the server says that it obeys.
    pub async fn entitle(&self, entitlements: &Value) {
        let text = entitlements.to_string();
        let mut hash = String::new();
        for byte in Sha256::digest(&text) {
            write!(hash, "{byte:02x}").expect("writing into a string does not fail");
        }
        self.put("entitlements", &[("entitlements.json", &text)]);
        self.until("the new entitlements", async || self.health().await["entitlements_sha256"] == hash).await;
    }

    /// How the server says it is.
    pub async fn health(&self) -> Value {
        self.ask_health(Some(TOKEN)).await.expect(200)
    }

    /// Asks for it with that token.
    pub async fn ask_health(&self, token: Option<&str>) -> Answer {
        let address = self.server.telemetry_address().expect("it was asked for");
        ask(format!("http://{address}/internal/health"), Method::GET, token, Body::Nothing).await
    }

    /// Asks the main address over HTTP.
    pub async fn ask(&self, token: Option<&str>, method: Method, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { Body::Nothing } else { Body::Json(body.to_string()) };
        ask(format!("{}{path}", self.server.url()), method, token, body).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(Some(token), Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask(Some(token), Method::POST, path, body).await
    }

    /// Sends the bytes of a file.
    pub async fn put_file(&self, token: &str, path: &str, bytes: &str) -> Answer {
        ask(format!("{}{path}", self.server.url()), Method::PUT, Some(token), Body::File(bytes.to_owned())).await
    }

    /// Asks as the operator of the machine.
    pub async fn as_operator(&self, method: Method, path: &str, body: Value) -> Answer {
        support::send(&operator_router(self.server.app()), method, path, None, body).await
    }

    /// Adds a user with [`PASSWORD`] and signs her in; the token.
    pub async fn person(&self, email: &str, role: &str) -> String {
        let person = json!({ "email": email, "role": role, "password": PASSWORD });
        self.as_operator(Method::POST, "/api/v1/users", person).await.expect(201);
        self.sign_in(email, PASSWORD).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> String {
        let body = json!({ "email": email, "password": password });
        let session = self.ask(None, Method::POST, "/api/v1/sessions", body).await.expect(201);
        session["token"].as_str().expect("a token").to_owned()
    }

    /// Tries to enrol a device with [`PASSWORD`]; `device` is the id of one that was enrolled before.
    pub async fn try_enrol(&self, email: &str, device: &Value) -> Answer {
        let mut body = json!({ "email": email, "password": PASSWORD, "name": "Móvil", "platform": "test" });
        if !device.is_null() {
            body["device"] = device.clone();
        }
        self.ask(None, Method::POST, "/api/v1/devices", body).await
    }

    /// Enrols a device; its token.
    pub async fn enrol(&self, email: &str) -> String {
        let enrolled = self.try_enrol(email, &Value::Null).await.expect(201);
        enrolled["token"].as_str().expect("a token").to_owned()
    }

    /// A new record's id.
    pub fn new_id(&self) -> String {
        let app = self.server.app();
        app.entropy().uuid_v7(app.clock().now_ms()).to_string()
    }

    /// Waits for a state that the server comes to by itself.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let comes = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), comes).await.unwrap_or_else(|_| panic!("{what} does not come"));
    }
}

/// As a volume does it: a new folder with the files, then one link in the place of another, which every file is read by.
fn put(parent: &TempDir, versions: &AtomicUsize, folder: &str, files: &[(&str, &str)]) {
    let folder = parent.path().join(folder);
    let version = PathBuf::from(format!("..{}", versions.fetch_add(1, Ordering::SeqCst)));
    std::fs::create_dir_all(folder.join(&version)).expect("the folder is ours");
    for (name, text) in files {
        std::fs::write(folder.join(&version).join(name), text).expect("the folder is ours");
        if folder.join(name).symlink_metadata().is_err() {
            symlink(PathBuf::from("..data").join(name), folder.join(name)).expect("the folder is ours");
        }
    }
    symlink(&version, folder.join("..new")).expect("the folder is ours");
    std::fs::rename(folder.join("..new"), folder.join("..data")).expect("the folder is ours");
}

enum Body {
    Nothing,
    Json(String),
    File(String),
}

async fn ask(url: String, method: Method, token: Option<&str>, body: Body) -> Answer {
    let mut request = axum::http::Request::builder().method(method).uri(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let asked = tokio::task::spawn_blocking(move || {
        // A server that refuses a request before it has read all of it closes the connection: none is used twice.
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_idle_connections(0);
        let agent = config.build().new_agent();
        let answered = match body {
            Body::Nothing => agent.run(request.body(()).expect("a request")),
            Body::Json(text) => {
                agent.run(request.header("content-type", "application/json").body(text).expect("a request"))
            }
            Body::File(text) => {
                agent.run(request.header("content-type", "application/octet-stream").body(text).expect("a request"))
            }
        };
        let mut response = answered.expect("it answers");
        let text = response.body_mut().read_to_string().expect("a whole body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: response.status(), headers: response.headers().clone(), body }
    });
    asked.await.expect("no panic")
}
