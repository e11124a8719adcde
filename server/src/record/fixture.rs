//! A small company on a real database with the real writer, for the tests of the record store.
//!
//! | user | role | team | territory |
//! |---|---|---|---|
//! | ana, aitor | `sales_rep` | Bilbao | Norte |
//! | bea | `sales_rep` | Oviedo | Norte |
//! | carla | `sales_rep` | Sevilla | Sur |
//! | mar | `sales_manager` | manages Bilbao | Norte |
//! | root | `admin` | none | none |

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::{Extension, Router};
use crm::Fields;
use crm::model::Language;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{MutationKind, Verdict};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::app::App;
use crate::platform::auth::{LocalOperator, Sessions};
use crate::platform::clock::ManualClock;
use crate::platform::config::Config;
use crate::platform::entropy::SeededEntropy;
use crate::record::read::Reader;
use crate::record::write::{Author, Change, Decision};
use crate::user::rights::Rights;

/// 2026-11-22, noon.
pub const NOW_MS: i64 = 1_795_348_800_000;

/// The company.
pub struct World {
    pub app: App,
    router: Router,
    /// Records by the name that tests know them by.
    named: HashMap<String, RecordId>,
    made: AtomicU64,
    _folder: TempDir,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `null` where there is no body.
    pub body: Value,
}

impl World {
    /// The company with the core model.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With another configuration than that of the other tests.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let mut config = Config::with_data_dir(folder.path());
        // Nothing happens but what a test does: children stay where they are.
        config.moves.records_per_second = 0;
        change(&mut config);
        let app = App::open(config, clock, Arc::new(SeededEntropy::new(7))).await.expect("an empty folder opens");
        let router = crate::app::router(&app);
        let mut world = Self { app, router, named: HashMap::new(), made: AtomicU64::new(0), _folder: folder };
        world.people().await;
        world
    }

    /// The same company on a server that was started again.
    pub async fn reopen(self) -> Self {
        self.app.close().await;
        let (config, clock) = (self.app.config().clone(), Arc::new(ManualClock::at(NOW_MS)));
        let app = App::open(config, clock, Arc::new(SeededEntropy::new(8))).await.expect("the folder opens again");
        let router = crate::app::router(&app);
        Self { app, router, ..self }
    }

    /// Lays an overlay over the model.
    pub async fn overlay(&self, yaml: &str) {
        crate::model::apply::apply(&self.app, "test", yaml, false).await.expect("a sound overlay");
    }

    /// Asks over HTTP: as the user of that name, or as the operator where it is empty.
    pub async fn ask(&self, who: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.ask_with(who, method, path, body, &[]).await
    }

    /// Asks with more headers.
    pub async fn ask_with(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let router = if who.is_empty() {
            self.router.clone().layer(Extension(LocalOperator::new()))
        } else {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(who).await));
            self.router.clone()
        };
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let answer = router.oneshot(request.body(body).expect("a request")).await.expect("routers answer");
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn token(&self, who: &str) -> String {
        let mut transaction = self.app.db().write().await.expect("nobody else writes");
        let auth = &self.app.config().auth;
        let session = Sessions::open(&mut transaction, self.id(who), None, auth, NOW_MS, self.app.entropy()).await;
        transaction.commit().await.expect("a commit");
        session.expect("a session").token
    }

    async fn people(&mut self) {
        for role in ["admin", "sales_manager", "sales_rep"] {
            let id = self.app.directory().role_by_key(role).expect("a core role");
            self.named.insert(role.to_owned(), RecordId(id));
        }
        self.make("territory", "Iberia", json!({ "name": "Iberia" })).await;
        for area in ["Norte", "Sur"] {
            self.make("territory", area, json!({ "name": area, "parent": self.id("Iberia") })).await;
        }
        for (team, area) in [("Bilbao", "Norte"), ("Oviedo", "Norte"), ("Sevilla", "Sur")] {
            self.make("team", team, json!({ "name": team, "territory": self.id(area) })).await;
        }
        let users = [
            ("ana", "sales_rep", "Bilbao"),
            ("aitor", "sales_rep", "Bilbao"),
            ("bea", "sales_rep", "Oviedo"),
            ("carla", "sales_rep", "Sevilla"),
        ];
        for (name, role, team) in users {
            let fields = json!({ "name": name, "role": self.id(role), "team": self.id(team) });
            self.make("user", name, fields).await;
        }
        for (name, role) in [("mar", "sales_manager"), ("root", "admin")] {
            self.make("user", name, json!({ "name": name, "role": self.id(role) })).await;
        }
        self.change("Bilbao", "team", json!({ "manager": self.id("mar") })).await;
        self.make("account", "Acme", json!({ "name": "Acme" })).await;
    }

    /// An id that no record has; later ones are larger.
    pub fn new_id(&self) -> RecordId {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let id = uuid::Builder::from_unix_timestamp_millis(NOW_MS.unsigned_abs() + number, &[7; 10]).into_uuid();
        RecordId(id)
    }

    /// The record that tests know as `name`.
    pub fn id(&self, name: &str) -> RecordId {
        self.named[name]
    }

    /// Makes a record as the operator and remembers it as `name`.
    pub async fn make(&mut self, entity: &str, name: &str, fields: Value) -> RecordId {
        let id = self.new_id();
        let decision = self.write(MutationKind::Create, entity, id, fields).await;
        assert_eq!(decision.verdict, Verdict::Applied, "{entity} {name}: {:?}", decision.reason);
        self.named.insert(name.to_owned(), id);
        id
    }

    /// Makes an opportunity for an owner; the operator decides where an open one stands: nowhere.
    pub async fn deal(&mut self, name: &str, owner: Option<&str>, more: Value) -> RecordId {
        let mut fields = json!({ "name": name, "account": self.id("Acme") });
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(owner.map(|owner| ("owner".to_owned(), json!(self.id(owner)))));
            fields.extend(more);
        }
        self.make("opportunity", name, fields).await
    }

    /// Changes a record as the operator.
    pub async fn change(&self, name: &str, entity: &str, set: Value) -> Decision {
        let decision = self.write(MutationKind::Update, entity, self.id(name), set).await;
        assert_eq!(decision.verdict, Verdict::Applied, "{entity} {name}: {:?}", decision.reason);
        decision
    }

    /// Deletes a record as the operator.
    pub async fn delete(&self, name: &str, entity: &str) {
        let decision = self.write(MutationKind::Delete, entity, self.id(name), json!({})).await;
        assert_eq!(decision.verdict, Verdict::Applied, "{entity} {name}: {:?}", decision.reason);
    }

    async fn write(&self, kind: MutationKind, entity: &str, record: RecordId, set: Value) -> Decision {
        let set: Fields = serde_json::from_value(set).expect("an object");
        let rights = Arc::new(Rights::of_operator(&self.app.catalogue()));
        let author = Author { user: None, device: 0, rights, language: Language::En };
        let change = Change { kind, entity: entity.to_owned(), record, base: None, set, ops: Vec::new() };
        let mut decisions = self.app.writer().write(author, vec![change], true).await.expect("the writer is up");
        decisions.pop().expect("one change has one decision")
    }

    /// What the user of that name may do.
    pub fn rights(&self, user: &str) -> Arc<Rights> {
        self.app.live().snapshot().rights_of(self.id(user).0).expect("the user may sign in")
    }

    /// Reads as the user of that name.
    pub fn reader(&self, user: &str) -> Reader {
        Reader::new(self.app.catalogue(), self.rights(user), NOW_MS)
    }

    /// A connection to read on.
    pub async fn connection(&self) -> PoolConnection<Sqlite> {
        self.app.db().readers().acquire().await.expect("a reader")
    }

    /// The one value that a statement gives, as text.
    pub async fn value(&self, sql: &'static str) -> String {
        let mut connection = self.connection().await;
        value(&mut connection, sql).await
    }
}

async fn value(connection: &mut SqliteConnection, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("one value")
}
