//! The server, who works there, and what it holds.

use std::sync::Arc;

use cartera_server::app::App;
use cartera_server::platform::clock::ManualClock;
use cartera_server::platform::config::Config;
use cartera_server::platform::entropy::SeededEntropy;
use cartera_server::record::write::{Author, Change as ServerChange, Decision};
use cartera_server::user::rights::Rights;
use crm::Fields;
use crm::model::Language;
use crm::rules::{Gaps, Place};
use rusqlite::Connection;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldOperation, MutationKind};
use tempfile::TempDir;
use uuid::Uuid;

use crate::steps::{Change, ChangeKind, Move};

const MORNING_MS: i64 = 1_795_330_800_000;

/// A record as the server holds it.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: RecordId,
    pub entity: String,
    pub seq: u64,
    pub fields: Fields,
}

/// The intent of a change, for whoever writes it.
pub struct Intent {
    pub kind: MutationKind,
    pub entity: String,
    pub record: RecordId,
    pub set: Fields,
    pub ops: Vec<FieldOperation>,
}

impl Intent {
    pub fn create(entity: &str, record: RecordId, set: Value) -> Self {
        Self { kind: MutationKind::Create, ..Self::update(entity, record, set) }
    }

    pub fn update(entity: &str, record: RecordId, set: Value) -> Self {
        Self { kind: MutationKind::Update, entity: entity.into(), record, set: fields(set), ops: vec![] }
    }

    pub fn delete(entity: &str, record: RecordId) -> Self {
        Self { kind: MutationKind::Delete, ..Self::update(entity, record, json!({})) }
    }

    fn into_change(self) -> ServerChange {
        let Self { kind, entity, record, set, ops } = self;
        ServerChange { kind, entity, record, base: None, set, ops }
    }
}

pub struct Office {
    pub app: App,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    folder: TempDir,
    pub users: Vec<RecordId>,
    pub teams: Vec<RecordId>,
    pub territories: Vec<RecordId>,
}

impl Office {
    /// Two teams in a territory below another, a third team elsewhere; two reps in the first team, one in the second, the
    /// first team's manager, an administrator.
    pub async fn open() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let clock = Arc::new(ManualClock::at(MORNING_MS));
        let entropy = Arc::new(SeededEntropy::new(7));
        let app = open_app(&folder, &clock, &entropy).await;
        let mut office = Self { app, clock, entropy, folder, users: vec![], teams: vec![], territories: vec![] };
        for (name, above) in [("Iberia", None), ("North", Some(0)), ("South", None)] {
            let above = above.map(|above: usize| office.territories[above]);
            let id = office.make("territory", json!({"name": name, "parent": above})).await;
            office.territories.push(id);
        }
        for (name, territory) in [("A", 1), ("B", 1), ("C", 2)] {
            let territory = office.territories[territory];
            let id = office.make("team", json!({"name": name, "territory": territory})).await;
            office.teams.push(id);
        }
        let people = [
            ("Ana", "sales_rep", Some(0)),
            ("Bea", "sales_rep", Some(0)),
            ("Carl", "sales_rep", Some(1)),
            ("Dora", "sales_manager", None),
            ("Eva", "admin", None),
        ];
        for (name, role, team) in people {
            let role = office.app.directory().role_by_key(role).map(RecordId);
            let team = team.map(|team: usize| office.teams[team]);
            let id = office.make("user", json!({"name": name, "role": role, "team": team})).await;
            office.users.push(id);
        }
        let (team, manager) = (office.teams[0], office.users[3]);
        office.set("team", team, json!({"manager": manager})).await;
        for (name, owner) in [("Open", None), ("Of Ana", Some(0)), ("Of Carl", Some(2))] {
            let owner = owner.map(|owner: usize| office.users[owner]);
            let account = office.make("account", json!({"name": name, "owner": owner})).await;
            office.make("opportunity", json!({"name": name, "account": account, "owner": owner})).await;
            office.make("contact", json!({"last_name": name, "account": account})).await;
        }
        office
    }

    pub async fn restart(&mut self) {
        self.app.close().await;
        self.app = open_app(&self.folder, &self.clock, &self.entropy).await;
    }

    /// A new device of a user: its number.
    pub fn enrol(&self, user: usize) -> i64 {
        let database = self.database();
        database
            .execute(
                "INSERT INTO device (id, user, name, platform, enrolled_ms, seen_ms, last_mutation, acknowledged)
                 VALUES (?1, ?2, 'phone', 'test', 0, 0, 0, 0)",
                (self.new_id().as_bytes(), self.users[user].as_bytes()),
            )
            .expect("a device row");
        database.last_insert_rowid()
    }

    pub fn new_id(&self) -> RecordId {
        RecordId(self.app.entropy().uuid_v7(self.now_ms()))
    }

    pub fn now_ms(&self) -> i64 {
        self.app.clock().now_ms()
    }

    pub fn rights(&self, user: RecordId) -> Arc<Rights> {
        self.app.live().snapshot().rights_of(user.0).expect("every user here may sign in")
    }

    /// Every record that there is.
    pub fn records(&self) -> Vec<Held> {
        let database = self.database();
        let mut statement = database
            .prepare("SELECT r.id, e.name, r.seq, r.body FROM record AS r JOIN entity AS e ON e.code = r.entity")
            .expect("a statement");
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, row.get::<_, String>(3)?))
        });
        rows.expect("a query")
            .map(|row| row.expect("a row"))
            .map(|(id, entity, seq, body)| Held {
                id: RecordId(Uuid::from_slice(&id).expect("16 bytes")),
                entity,
                seq: u64::try_from(seq).expect("a sequence"),
                fields: serde_json::from_str(&body).expect("a body"),
            })
            .collect()
    }

    /// The records that a user may see, with the fields that she may see of them.
    pub fn visible(&self, user: RecordId) -> Vec<Held> {
        let rights = self.rights(user);
        let mut records = self.records();
        records.retain(|record| rights.reach(&record.entity, &Place::of(&record.fields), |permission| permission.read));
        for record in &mut records {
            let projection = rights.projection(&record.entity).expect("she reads the entity");
            projection.apply(&mut record.fields);
        }
        records
    }

    /// Somebody's change on the server; a refusal is an answer too.
    pub async fn write(&self, change: &Change, at: usize) {
        self.clock.advance(1_000);
        if let Some(intent) = self.intent(change, &self.ids(), at) {
            self.change(intent).await;
        }
    }

    /// Several in one transaction.
    pub async fn write_together(&self, changes: &[Change], at: usize) {
        self.clock.advance(1_000);
        let ids = self.ids();
        self.bulk(changes.iter().filter_map(|change| self.intent(change, &ids, at)).collect()).await;
    }

    /// One transaction, in two portions.
    pub async fn bulk(&self, intents: Vec<Intent>) {
        let changes: Vec<ServerChange> = intents.into_iter().map(Intent::into_change).collect();
        let (first, second) = changes.split_at(changes.len() / 2);
        let mut bulk = self.app.writer().bulk(self.operator(), Gaps::Keep).await.expect("a transaction");
        for portion in [first, second] {
            bulk.write(portion.to_vec()).await.expect("written");
        }
        bulk.commit().await.expect("committed");
    }

    fn ids(&self) -> Vec<(RecordId, String)> {
        self.records().into_iter().map(|record| (record.id, record.entity)).collect()
    }

    pub async fn reorganise(&self, moved: Move) {
        let (entity, record, set) = match moved {
            Move::Joins { user, team } => {
                ("user", self.users[usize::from(user)], json!({"team": self.teams[usize::from(team)]}))
            }
            Move::Works { team, territory } => {
                ("team", self.teams[usize::from(team)], json!({"territory": self.territories[usize::from(territory)]}))
            }
            Move::Leads { team, user } => {
                ("team", self.teams[usize::from(team)], json!({"manager": self.users[usize::from(user)]}))
            }
            Move::Becomes { user, role } => {
                let role = ["sales_rep", "sales_manager", "admin"][usize::from(role)];
                let role = self.app.directory().role_by_key(role).map(RecordId);
                ("user", self.users[usize::from(user)], json!({"role": role}))
            }
            Move::Lies { territory, above } => {
                let above = above.map(|above| self.territories[usize::from(above)]);
                ("territory", self.territories[usize::from(territory)], json!({"parent": above}))
            }
        };
        self.set(entity, record, set).await;
    }

    /// What a change means among `records`; `None` where it means nothing.
    pub fn intent(&self, change: &Change, records: &[(RecordId, String)], at: usize) -> Option<Intent> {
        let nth = |entities: &[&str], n: u8| {
            let mut fitting: Vec<&(RecordId, String)> =
                records.iter().filter(|(_, entity)| entities.contains(&entity.as_str())).collect();
            fitting.sort_unstable();
            fitting.get(usize::from(n) % fitting.len().max(1)).map(|(id, entity)| (*id, entity.clone()))
        };
        let any = || nth(&["account", "opportunity", "contact", "activity"], change.record);
        let user = |n: u8| self.users[usize::from(n)];
        let update = |(record, entity): (RecordId, String), set| Intent::update(&entity, record, set);
        let operation = |target, op| Intent { ops: vec![op], ..update(target, json!({})) };
        let create = |entity, set| Intent::create(entity, self.new_id(), set);
        let tag = |n: u8| vec![json!(format!("t{n}"))];
        Some(match change.kind {
            ChangeKind::MakeAccount { owner } => {
                let mut intent = create("account", json!({"name": format!(" Account {at}")}));
                intent.set.extend(owner.map(|owner| ("owner".to_owned(), json!(user(owner)))));
                intent
            }
            ChangeKind::MakeOpportunity { team } => {
                let (account, _) = nth(&["account"], change.record)?;
                let mut intent = create("opportunity", json!({"name": format!("Deal {at}"), "account": account}));
                intent.set.extend(team.map(|team| ("team".to_owned(), json!(self.teams[usize::from(team)]))));
                intent
            }
            ChangeKind::MakeActivity => {
                let (id, entity) = nth(&["account", "opportunity"], change.record)?;
                let about = json!({"entity": entity, "id": id});
                create("activity", json!({"subject": format!("Call {at}"), "type": "call", "about": about}))
            }
            ChangeKind::Delete => {
                let (record, entity) = any()?;
                Intent::delete(&entity, record)
            }
            ChangeKind::Text(n) => {
                let target = any()?;
                let field = text_field(&target.1);
                update(target, json!({field: format!(" text {n} ")}))
            }
            ChangeKind::ClearText => {
                let target = any()?;
                let field = text_field(&target.1);
                update(target, json!({field: null}))
            }
            ChangeKind::Cost(minor) => {
                update(nth(&["opportunity"], change.record)?, json!({"cost": {"minor": minor, "currency": "eur"}}))
            }
            ChangeKind::Stage(n) => {
                let stage = ["prospecting", "qualification", "proposal", "negotiation", "won", "lost"][usize::from(n)];
                let mut set = json!({"stage": stage});
                if !at.is_multiple_of(3) {
                    set["amount"] = json!({"minor": at * 100, "currency": "EUR"});
                    set["close_date"] = json!("2027-01-31");
                    set["close_reason"] = json!("price");
                }
                update(nth(&["opportunity"], change.record)?, set)
            }
            ChangeKind::Owner(n) => update(any()?, json!({"owner": user(n)})),
            ChangeKind::Team(n) => update(any()?, json!({"team": self.teams[usize::from(n)]})),
            ChangeKind::NoPlace => update(any()?, json!({"owner": null, "team": null, "territory": null})),
            ChangeKind::Tag(n) => operation(any()?, FieldOperation::Add { field: "tags".into(), values: tag(n) }),
            ChangeKind::Untag(n) => operation(any()?, FieldOperation::Remove { field: "tags".into(), values: tag(n) }),
            ChangeKind::Tags(n) => update(any()?, json!({"tags": ["z", " a", format!("t{n}")]})),
            ChangeKind::Log => {
                let entry = json!({"at": self.now_ms(), "text": format!("entry {at} {}", self.new_id())});
                operation(
                    nth(&["account"], change.record)?,
                    FieldOperation::Append { field: "key_dates".into(), values: vec![entry] },
                )
            }
            ChangeKind::Contacts(n) => {
                let (contact, _) = nth(&["contact"], n)?;
                update(nth(&["opportunity"], change.record)?, json!({"contacts": [contact]}))
            }
        })
    }

    async fn make(&self, entity: &str, set: Value) -> RecordId {
        let record = self.new_id();
        let mut intent = Intent::create(entity, record, set);
        intent.set.retain(|_, value| !value.is_null());
        let decision = self.change(intent).await;
        assert!(!decision.is_rejected(), "{decision:?}");
        record
    }

    pub async fn set(&self, entity: &str, record: RecordId, set: Value) {
        let decision = self.change(Intent::update(entity, record, set)).await;
        assert!(!decision.is_rejected(), "{decision:?}");
    }

    async fn change(&self, intent: Intent) -> Decision {
        let written = self.app.writer().write(self.operator(), vec![intent.into_change()], false).await;
        let mut decisions = written.expect("a commit");
        decisions.pop().expect("one decision for one change")
    }

    fn operator(&self) -> Author {
        let rights = Arc::new(Rights::of_operator(&self.app.catalogue()));
        Author { user: None, device: 0, rights, language: Language::En }
    }

    pub fn database(&self) -> Connection {
        Connection::open(self.folder.path().join("cartera.db")).expect("the database")
    }
}

fn text_field(entity: &str) -> &'static str {
    match entity {
        "account" | "activity" => "notes",
        "contact" => "job_title",
        _ => "next_step",
    }
}

fn fields(set: Value) -> Fields {
    serde_json::from_value(set).expect("an object")
}

async fn open_app(folder: &TempDir, clock: &Arc<ManualClock>, entropy: &Arc<SeededEntropy>) -> App {
    let config = Config::with_data_dir(folder.path());
    App::open(config, clock.clone(), entropy.clone()).await.expect("the folder opens")
}
