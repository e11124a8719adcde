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

use crm::Fields;
use crm::model::{Language, Model};
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{MutationKind, Verdict};
use tempfile::TempDir;
use uuid::Uuid;

use crate::live::{Live, Snapshot};
use crate::platform::clock::{Clock, ManualClock};
use crate::platform::db::Db;
use crate::platform::entropy::SystemEntropy;
use crate::record::read::Reader;
use crate::record::schema;
use crate::record::write::{Author, Change, Decision, Writer};
use crate::user::rights::Rights;

/// 2026-11-22, noon.
pub const NOW_MS: i64 = 1_795_348_800_000;

/// The company.
pub struct World {
    pub db: Db,
    pub live: Arc<Live>,
    pub writer: Writer,
    /// Records by the name that tests know them by.
    named: HashMap<String, RecordId>,
    _folder: TempDir,
}

impl World {
    /// The company with the core model.
    pub async fn new() -> Self {
        Self::with(Model::core()).await
    }

    /// The company with that model.
    pub async fn with(model: Arc<Model>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let db = Db::open(&folder.path().join("cartera.db"), 4).await.expect("a new database");
        let mut transaction = db.write().await.expect("nobody else writes");
        sqlx::query(
            "INSERT INTO tenant (only_row, id, epoch, head, cursor_key, created_ms) VALUES (1, $1, 1, 0, $1, 0)",
        )
        .bind(Uuid::nil())
        .execute(&mut *transaction)
        .await
        .expect("an empty tenant table");
        let snapshot = Snapshot::load(model, &mut transaction).await.expect("an empty database");
        schema::apply(&snapshot.catalogue, &mut transaction).await.expect("views of a checked model");
        transaction.commit().await.expect("a commit");
        let live = Arc::new(Live::new(snapshot, 0));
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW_MS));
        let writer = Writer::start(
            db.clone(),
            live.clone(),
            clock,
            Arc::new(SystemEntropy),
            crate::platform::telemetry::metrics::Metrics::new(),
        )
        .await
        .expect("a writer");
        let mut world = Self { db, live, writer, named: HashMap::new(), _folder: folder };
        world.people().await;
        world
    }

    async fn people(&mut self) {
        for role in ["admin", "sales_manager", "sales_rep"] {
            self.make("role", role, json!({ "name": role, "key": role })).await;
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

    /// The record that tests know as `name`.
    pub fn id(&self, name: &str) -> RecordId {
        self.named[name]
    }

    /// Makes a record as the operator and remembers it as `name`.
    pub async fn make(&mut self, entity: &str, name: &str, fields: Value) -> RecordId {
        let id = RecordId(next_id());
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
        let rights = Arc::new(Rights::of_operator(&self.live.snapshot().catalogue));
        let author = Author { user: None, device: 0, rights, language: Language::En };
        let change = Change { kind, entity: entity.to_owned(), record, base: None, set, ops: Vec::new() };
        let mut decisions = self.writer.write(author, vec![change], true).await.expect("the writer is up");
        decisions.pop().expect("one change has one decision")
    }

    /// What the user of that name may do.
    pub fn rights(&self, user: &str) -> Arc<Rights> {
        self.live.snapshot().rights_of(self.id(user).0).expect("the user may sign in")
    }

    /// Reads as the user of that name.
    pub fn reader(&self, user: &str) -> Reader {
        Reader::new(self.live.snapshot().catalogue, self.rights(user), NOW_MS)
    }

    /// A connection to read on.
    pub async fn connection(&self) -> PoolConnection<Sqlite> {
        self.db.readers().acquire().await.expect("a reader")
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

/// Ids that ascend in the order in which they are made, as those of one clock do.
fn next_id() -> Uuid {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    uuid::Builder::from_unix_timestamp_millis(NOW_MS.unsigned_abs() + number, &[7; 10]).into_uuid()
}
