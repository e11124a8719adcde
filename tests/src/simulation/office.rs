//! The server, who works there, and what its disk holds.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use cartera_client::transport::body::decode;
use cartera_server::app::{App, router};
use cartera_server::model::apply::{ApplyError, apply};
use cartera_server::platform::auth::{CallerDevice, Sessions};
use cartera_server::platform::clock::{Clock as _, ManualClock};
use cartera_server::platform::config::{Config, Durability};
use cartera_server::platform::db::Db;
use cartera_server::platform::entropy::{Entropy, SeededEntropy};
use cartera_server::record::write::{Author, Change as ServerChange, Decision};
use cartera_server::tenant::declare_restored;
use cartera_server::user::rights::Rights;
use crm::Fields;
use crm::model::Language;
use crm::rules::Gaps;
use http_body_util::BodyExt as _;
use rusqlite::Connection;
use serde_json::{Value, json};
use sync_protocol::id::{DeviceId, RecordId, Sequence};
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::change::Intent;
use super::moves::Move;
use super::names::NAMES;
use super::upgrade::Upgrade;

/// The roles that people get.
pub(super) const ROLES: [&str; 3] = ["sales_rep", "sales_manager", "admin"];

const MORNING_MS: i64 = 1_795_330_800_000;
/// Connections that read.
const READERS: u32 = 2;
const DATABASE: &str = "cartera.db";
const LOG: &str = "cartera.db-wal";

/// Who works there, in the order in which stories number them.
#[derive(Clone, Debug, Default)]
pub struct Staff {
    /// Ana, Bea, Carl, Dan and Fay are reps, Dora and Emil managers, Eva is the administrator.
    pub users: Vec<RecordId>,
    /// A and B work in North, C in South.
    pub teams: Vec<RecordId>,
    /// Iberia, North within it, South.
    pub territories: Vec<RecordId>,
}

/// A record as the server's table holds it.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its id.
    pub id: RecordId,
    /// Its entity.
    pub entity: String,
    /// Its last change.
    pub seq: Sequence,
    /// Devices carry it.
    pub is_carried: bool,
    /// Its fields.
    pub fields: Fields,
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// Decoded.
    pub(super) bytes: Vec<u8>,
    /// As they travelled.
    pub(super) encoded: Vec<u8>,
    /// What `Content-Encoding` says.
    pub(super) encoding: Option<String>,
}

/// The server on its disk.
pub struct Office {
    /// The server.
    pub app: App,
    /// Who works there.
    pub staff: Staff,
    router: Router,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    folder: TempDir,
}

/// What a company's disk holds on its first morning; the same for all stories of a process.
struct Morning {
    database: Vec<u8>,
    staff: Staff,
}

fn morning() -> &'static Morning {
    static MORNING: OnceLock<Morning> = OnceLock::new();
    MORNING.get_or_init(|| {
        // In a thread of its own: the caller may be inside a runtime.
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(found())
        })
        .join()
        .expect("a company can be founded")
    })
}

/// Two teams in a territory below another, a third team elsewhere; who is in which is told at [`Staff`].
async fn found() -> Morning {
    let folder = TempDir::new().expect("a temporary folder");
    let mut office = Office::over(folder, Staff::default(), 7).await;
    apply(&office.app, "names", NAMES[0], false).await.expect("a sound overlay");
    for (name, above) in [("Iberia", None), ("North", Some(0)), ("South", None)] {
        let above = above.map(|above: usize| office.staff.territories[above]);
        let id = office.make("territory", json!({"name": name, "parent": above})).await;
        office.staff.territories.push(id);
    }
    for (name, territory) in [("A", 1), ("B", 1), ("C", 2)] {
        let territory = office.staff.territories[territory];
        let id = office.make("team", json!({"name": name, "territory": territory})).await;
        office.staff.teams.push(id);
    }
    let people = [
        ("Ana", 0, Some(0)),
        ("Bea", 0, Some(0)),
        ("Carl", 0, Some(1)),
        ("Dan", 0, Some(2)),
        ("Dora", 1, None),
        ("Emil", 1, Some(2)),
        ("Fay", 0, None),
        ("Eva", 2, None),
    ];
    for (name, role, team) in people {
        let role = office.app.directory().role_by_key(ROLES[role]).map(RecordId);
        let team = team.map(|team: usize| office.staff.teams[team]);
        let id = office.make("user", json!({"name": name, "role": role, "team": team})).await;
        office.staff.users.push(id);
    }
    let (team, manager) = (office.staff.teams[0], office.staff.users[4]);
    office.set("team", team, json!({"manager": manager})).await;
    for (name, owner) in [("Open", None), ("Of Ana", Some(0)), ("Of Carl", Some(2))] {
        let owner = owner.map(|owner: usize| office.staff.users[owner]);
        let account = office.make("account", json!({"name": name, "owner": owner})).await;
        office.make("opportunity", json!({"name": name, "account": account, "owner": owner})).await;
        office.make("contact", json!({"last_name": name, "account": account})).await;
    }
    let Office { app, staff, folder, .. } = office;
    app.close().await;
    let database = std::fs::read(folder.path().join(DATABASE)).expect("the database is whole once it is closed");
    Morning { database, staff }
}

impl Office {
    /// A company on its first morning.
    pub async fn open(seed: u64) -> Self {
        let morning = morning();
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join(DATABASE), &morning.database).expect("the folder takes the database");
        Self::over(folder, morning.staff.clone(), seed).await
    }

    async fn over(folder: TempDir, staff: Staff, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::at(MORNING_MS));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let app = start(&folder, &clock, &entropy).await;
        Self { router: router(&app), app, staff, clock, entropy, folder }
    }

    /// Stops the server and starts it again.
    pub async fn restart(&mut self) {
        self.app.close().await;
        self.app = start(&self.folder, &self.clock, &self.entropy).await;
        self.router = router(&self.app);
    }

    /// What the disk holds at this moment, a commit under way included or not.
    pub(super) fn photograph(&self) -> TempDir {
        Self::copy(self.folder.path())
    }

    /// A disk of its own with what this one holds.
    pub(super) fn copy(disk: &Path) -> TempDir {
        let folder = TempDir::new().expect("a temporary folder");
        for file in [DATABASE, LOG] {
            let from = disk.join(file);
            if from.exists() {
                std::fs::copy(&from, folder.path().join(file)).expect("the disk can be copied");
            }
        }
        folder
    }

    /// Says of a disk that no server works on that it comes from a backup.
    pub(super) async fn declare_restored(disk: &Path, now_ms: i64, entropy: &dyn Entropy) {
        let config = config(disk);
        let db = Db::open(&disk.join(DATABASE), &config.database).await.expect("the folder opens");
        declare_restored(&db, now_ms, entropy).await.expect("it was served");
        db.close().await;
    }

    /// The server dies between two requests, and another one starts.
    pub(super) async fn die(&mut self) {
        self.rise_from(self.photograph()).await;
    }

    /// The server is gone; another one starts on what the disk held when it died.
    pub(super) async fn rise_from(&mut self, photograph: TempDir) {
        self.app.close().await;
        self.folder = photograph;
        self.app = start(&self.folder, &self.clock, &self.entropy).await;
        self.router = router(&self.app);
    }

    /// A new device of a user: its number, and the token of its session.
    pub(super) async fn enrol(&self, user: RecordId) -> (i64, String) {
        let now_ms = self.now_ms();
        let id = DeviceId(self.entropy.uuid_v7(now_ms));
        // Through the server's own connection: a rollback that it still owes would keep any other from writing, and does
        // not come while a test waits without giving way.
        let mut tx = self.app.db().write().await.expect("a transaction");
        let sql = "INSERT INTO device (id, user, name, platform, enrolled_ms, seen_ms, last_mutation, acknowledged)
                   VALUES ($1, $2, 'phone', 'simulation', 0, 0, 0, 0) RETURNING num";
        let made = sqlx::query_scalar(sql).bind(id.0).bind(user.0).fetch_one(&mut *tx).await;
        let num: i64 = made.expect("a device row");
        let device = CallerDevice { id, num };
        let config = &self.app.config().auth;
        let session = Sessions::open(&mut tx, user, Some(device), config, now_ms, self.entropy.as_ref()).await;
        tx.commit().await.expect("a commit");
        (num, session.expect("a session row").token)
    }

    /// Asks as a device does, and waits for the whole answer.
    pub(super) async fn ask(&self, request: Request<Body>) -> Reply {
        let answer = self.router.clone().oneshot(request).await.expect("routers answer");
        let (parts, body) = answer.into_parts();
        let encoded = body.collect().await.expect("a whole body").to_bytes().to_vec();
        let encoding = parts.headers.get(header::CONTENT_ENCODING);
        let encoding = encoding.map(|encoding| encoding.to_str().expect("text").to_owned());
        let bytes = decode(&encoded[..], encoding.as_deref()).expect("a body as its header says");
        Reply { status: parts.status, bytes, encoded, encoding }
    }

    /// Takes every connection that reads: who wants one waits until these are dropped.
    pub(super) async fn hold_readers(&self) -> Vec<impl Sized + use<>> {
        let mut held = Vec::new();
        for _ in 0..READERS {
            held.push(self.app.db().readers().acquire().await.expect("a connection"));
        }
        held
    }

    /// Lets whoever waits for the database go first.
    pub(super) async fn read_something(&self) {
        drop(self.app.writer().pause().await.expect("the writer runs"));
        drop(self.hold_readers().await);
    }

    /// The server's clock.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Time passes.
    pub fn wait_ms(&self, ms: i64) {
        self.clock.advance(ms);
    }

    /// An id of the server's making.
    #[must_use]
    pub fn new_id(&self) -> RecordId {
        RecordId(self.entropy.uuid_v7(self.now_ms()))
    }

    /// Every record that there is, by id.
    #[must_use]
    pub fn records(&self) -> Vec<Held> {
        let database = self.database();
        let sql = "SELECT r.id, e.name, r.seq, r.carried, r.body FROM record r JOIN entity e ON e.code = r.entity ORDER BY r.id";
        let mut statement = database.prepare(sql).expect("a statement");
        let rows = statement.query_map([], |row| {
            Ok(Held {
                id: RecordId(Uuid::from_slice(&row.get::<_, Vec<u8>>(0)?).expect("16 bytes")),
                entity: row.get(1)?,
                seq: row.get::<_, i64>(2)?.cast_unsigned(),
                is_carried: row.get(3)?,
                fields: serde_json::from_str(&row.get::<_, String>(4)?).expect("a body"),
            })
        });
        rows.expect("a query").map(|row| row.expect("a row")).collect()
    }

    /// Changes on the server itself, in one commit; a refusal is an answer too.
    pub async fn write(&self, intents: Vec<Intent>) -> Vec<Decision> {
        let changes: Vec<ServerChange> = intents.into_iter().map(Intent::into_change).collect();
        self.app.writer().write(self.operator(), changes, false).await.expect("a commit")
    }

    /// The same as an import does it: one transaction, in two portions.
    pub async fn bulk(&self, intents: Vec<Intent>) -> Vec<Decision> {
        let changes: Vec<ServerChange> = intents.into_iter().map(Intent::into_change).collect();
        let (first, second) = changes.split_at(changes.len() / 2);
        let mut bulk = self.app.writer().bulk(self.operator(), Gaps::Keep).await.expect("a transaction");
        let mut decisions = Vec::new();
        for portion in [first, second] {
            decisions.extend(bulk.write(portion.to_vec()).await.expect("written"));
        }
        bulk.commit().await.expect("committed");
        decisions
    }

    /// Makes a record; `set` is an object.
    pub async fn make(&self, entity: &str, set: Value) -> RecordId {
        let record = self.new_id();
        self.expect(Intent::create(entity, record, set)).await;
        record
    }

    /// Sets fields of a record; `set` is an object.
    pub async fn set(&self, entity: &str, record: RecordId, set: Value) {
        self.expect(Intent::update(entity, record, set)).await;
    }

    async fn expect(&self, intent: Intent) {
        let decisions = self.write(vec![intent]).await;
        assert!(decisions.iter().all(|decision| !decision.is_rejected()), "{decisions:?}");
    }

    /// Lets a batch of children follow their parents; whether there was any.
    pub async fn follow(&self) -> bool {
        self.app.moves().turn().await.expect("a batch").is_some()
    }

    /// Settles a batch of what devices carry by the sync rules; how many records came or went.
    pub async fn settle_carried(&self) -> usize {
        self.app.sync_rules().turn().await.expect("a batch").unwrap_or_default()
    }

    /// People and teams change their places.
    pub async fn reorganise(&self, moved: Move) {
        let Staff { users, teams, territories } = &self.staff;
        let nth = |of: &[RecordId], n: u8| of[usize::from(n) % of.len()];
        let (entity, record, set) = match moved {
            Move::Joins { user, team } => {
                ("user", nth(users, user), json!({"team": team.map(|team| nth(teams, team))}))
            }
            Move::Works { team, territory } => {
                ("team", nth(teams, team), json!({"territory": nth(territories, territory)}))
            }
            Move::Leads { team, user } => ("team", nth(teams, team), json!({"manager": nth(users, user)})),
            Move::Becomes { user, role } => {
                let role = self.app.directory().role_by_key(ROLES[usize::from(role) % ROLES.len()]).map(RecordId);
                ("user", nth(users, user), json!({"role": role}))
            }
            Move::Lies { territory, above } => {
                let above = above.map(|above| nth(territories, above));
                ("territory", nth(territories, territory), json!({"parent": above}))
            }
            Move::Signs { user, may } => ("user", nth(users, user), json!({"active": may})),
        };
        self.set(entity, record, set).await;
    }

    /// Lays an overlay over the model; whether the server took it.
    pub async fn upgrade(&self, upgrade: Upgrade) -> bool {
        let (name, yaml) = upgrade.layer();
        match apply(&self.app, name, yaml, false).await {
            Ok(_) => true,
            Err(ApplyError::Refused(_)) => false,
            Err(error) => panic!("the overlay {name}: {error}"),
        }
    }

    /// The database, beside the server.
    #[must_use]
    pub fn database(&self) -> Connection {
        Connection::open(self.folder.path().join(DATABASE)).expect("the database")
    }

    fn operator(&self) -> Author {
        let rights = Arc::new(Rights::of_operator(&self.app.catalogue()));
        Author { user: None, device: 0, rights, language: Language::En }
    }
}

async fn start(folder: &TempDir, clock: &Arc<ManualClock>, entropy: &Arc<SeededEntropy>) -> App {
    App::open(config(folder.path()), clock.clone(), entropy.clone()).await.expect("the folder opens")
}

fn config(folder: &Path) -> Config {
    let mut config = Config::with_data_dir(folder);
    config.database.readers = READERS;
    // Power is never lost here; what that takes is shown over a disk that loses it.
    config.database.durability = Durability::Handed;
    config.auth.device_session = Duration::from_hours(10 * 365 * 24);
    config.http.request_timeout = Duration::from_mins(10);
    // What is done in the background is done when a story says so, a few records at a time.
    config.moves.records_per_second = 0;
    config.moves.batch_records = 3;
    config
}
