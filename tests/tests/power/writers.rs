//! Writers who push to a server in this process, and what they were told is done.

use std::fmt;
use std::sync::{Arc, Mutex};

use cartera_server::app::App;

use cartera_server::record::write::Author;
use cartera_server::user::rights::Rights;
use crm::model::Language;
use rusqlite::Connection;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{Mutation, MutationKind, Outcome, Verdict};
use tokio::task::JoinSet;
use uuid::Uuid;

/// A mutation that was acknowledged, by which device, with its outcome.
pub type Acknowledged = (i64, Mutation, Outcome);

const WRITERS: usize = 8;

/// Writers at work.
pub struct Writers {
    tasks: JoinSet<()>,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
}

fn author(app: &App, device: i64) -> Author {
    let rights = Arc::new(Rights::of_operator(&app.catalogue()));
    Author { user: None, device, rights, language: Language::En }
}

/// Pushes the same again.
pub async fn push(app: &App, device: i64, mutations: Vec<Mutation>) -> Option<Vec<Outcome>> {
    app.writer().push(author(app, device), mutations, 0, None).await.ok()
}

async fn enrol(app: &App) -> i64 {
    let mut tx = app.db().write().await.expect("a transaction");
    let sql = "INSERT INTO device (id, user, name, platform, enrolled_ms, seen_ms, last_mutation, acknowledged)
               VALUES ($1, $2, 'writer', 'test', 0, 0, 0, 0) RETURNING num";
    let row = sqlx::query_scalar(sql).bind(app.entropy().uuid_v7(0)).bind(Uuid::nil());
    let num = row.fetch_one(&mut *tx).await.expect("a device row");
    tx.commit().await.expect("a commit");
    num
}

/// Makes an account and changes it, a few times over.
fn batch(app: &App, first: u64) -> Vec<Mutation> {
    let make = |at: u64| {
        let record = RecordId(app.entropy().uuid_v7(app.clock().now_ms()));
        let mutation = |id: u64, kind, set: Value| Mutation {
            id,
            kind,
            entity: "account".into(),
            record,
            base: 0,
            set: serde_json::from_value(set).expect("an object"),
            ops: vec![],
            group: None,
            depends_on: None,
            at_ms: 0,
            model: None,
        };
        let id = first + 2 * at;
        let (made, changed) = (json!({"name": format!("Account {id}")}), json!({"notes": format!("note {id}")}));
        [mutation(id, MutationKind::Create, made), mutation(id + 1, MutationKind::Update, changed)]
    };
    (0..3).flat_map(make).collect()
}

impl Writers {
    /// They push one batch after the other, each from a device of its own, until they are dropped.
    pub async fn start(app: &App) -> Self {
        let mut tasks = JoinSet::new();
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..WRITERS {
            let (app, device, acknowledged) = (app.clone(), enrol(app).await, acknowledged.clone());
            tasks.spawn(async move {
                let mut next = 1;
                loop {
                    let mutations = batch(&app, next);
                    next += mutations.len() as u64;
                    let Some(outcomes) = push(&app, device, mutations.clone()).await else { return };
                    let told = mutations.into_iter().zip(outcomes);
                    let told = told.map(|(mutation, outcome)| (device, mutation, outcome));
                    acknowledged.lock().expect("nobody panics with it").extend(told);
                }
            });
        }
        Self { tasks, acknowledged }
    }

    /// What they have been told up to now.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().expect("nobody panics with it").clone()
    }

    /// How much that is.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().expect("nobody panics with it").len()
    }

    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// How a server that lost its power is not as it must be.
#[derive(Debug)]
pub enum Wrong {
    /// What was acknowledged is not there, is otherwise, or cannot be read any more: SQLite's own check finds damage.
    Lost(String),
    /// Something else, for which no missing sync is needed: it does not start again on what the disk holds, or a mutation that
    /// is right came to something else than `applied`.
    Other(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Lost(what) | Self::Other(what)) = self;
        formatter.write_str(what)
    }
}

/// What is wrong with a database that is to hold all that was acknowledged.
pub fn what_is_wrong(database: &Connection, acknowledged: &[Acknowledged]) -> Result<(), Wrong> {
    let said = database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    match said {
        Ok(said) if said == "ok" => {}
        Ok(said) => return Err(Wrong::Lost(said)),
        Err(error) => return Err(Wrong::Lost(error.to_string())),
    }
    acknowledged.iter().try_for_each(|one| is_kept(database, one))
}

fn is_kept(database: &Connection, (device, mutation, outcome): &Acknowledged) -> Result<(), Wrong> {
    let what = format!("mutation {} of {device}", mutation.id);
    if outcome.verdict != Verdict::Applied {
        return Err(Wrong::Other(format!("{what}: {outcome:?}")));
    }
    let sql = "SELECT r.body, o.body FROM record r, outcome o WHERE r.id = ?1 AND o.device = ?2 AND o.mutation = ?3";
    let key = (mutation.record.0.as_bytes(), device, mutation.id.cast_signed());
    let row = database.query_row(sql, key, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let (body, stored) = row.map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Wrong::Lost(format!("{what} is not there")),
        error => Wrong::Lost(format!("{what}: {error}")),
    })?;
    let damaged = |error: serde_json::Error| Wrong::Lost(format!("{what}: {error}"));
    let body: Value = serde_json::from_str(&body).map_err(damaged)?;
    let stored: Outcome = serde_json::from_str(&stored).map_err(damaged)?;
    let stands = mutation.set.iter().all(|(field, value)| body.get(field) == Some(value));
    if stands && stored == *outcome { Ok(()) } else { Err(Wrong::Lost(format!("{what}: {body} {stored:?}"))) }
}
