//! Imports as people see them: what was asked, how far it is, what it came to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::mapping::Mapping;
use super::read::FileFacts;
use super::report::{Counts, ProblemGroup};

/// Imports that wait for their files or run; more than these are not taken in.
const MAX_OPEN: usize = 32;

/// A request to import a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// What each row of the file is.
    pub entity: String,
    /// The file's name.
    pub file_name: String,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// What the sender says about the file.
    #[serde(default)]
    pub mapping: Mapping,
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The file has not come yet.
    Waiting,
    /// It is being read.
    Running,
    /// It was a dry run without errors.
    Checked,
    /// The file has errors: nothing was imported.
    Refused,
    /// The server failed: nothing was imported.
    Failed,
    /// It is imported.
    Done,
    /// It was taken back.
    Undone,
}

/// An import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportJob {
    /// Its id.
    pub id: Uuid,
    /// Where it stands.
    pub state: State,
    /// What each row is.
    pub entity: String,
    /// The file's name.
    pub file_name: String,
    /// Whether it only says what would happen.
    pub dry_run: bool,
    /// Who asked for it; absent: the operator of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<RecordId>,
    /// When it was asked for, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// How far it is.
    pub progress: Progress,
    /// About the file, once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileReport>,
    /// Rows and records.
    pub counts: Counts,
    /// Where each column goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnReport>,
    /// Why the file as a whole could not be imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// What is to be known about rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemGroup>,
    /// What taking it back came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoReport>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Rows in the file, once they were counted.
    pub rows_total: u64,
    /// Rows that were handled.
    pub rows_done: u64,
}

/// The file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Its size.
    pub bytes: u64,
    /// Lowercase hex SHA-256.
    pub sha256: String,
    /// What it turned out to be.
    #[serde(flatten)]
    pub facts: FileFacts,
}

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnReport {
    /// Its heading.
    pub column: String,
    /// Fields; none: it is not imported.
    pub targets: Vec<String>,
}

/// Why a file as a whole is not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable and machine-readable.
    pub code: String,
    /// Where in the file, when it is in one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// What taking an import back came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoReport {
    /// Records that the import had made and that are gone.
    pub deleted: u64,
    /// Records that the import had changed and that are as before.
    pub restored: u64,
    /// What stays, and why.
    pub kept: Vec<Kept>,
}

/// What an undo leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The record's entity.
    pub entity: String,
    /// The record.
    pub id: RecordId,
    /// What people call it.
    pub title: String,
    /// The field, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why.
    pub reason: String,
}

impl ImportJob {
    /// An import that was just asked for.
    #[must_use]
    pub fn new(id: Uuid, request: &ImportRequest, who: Option<RecordId>, created_ms: i64) -> Self {
        Self {
            id,
            state: State::Waiting,
            entity: request.entity.clone(),
            file_name: request.file_name.clone(),
            dry_run: request.dry_run,
            who,
            created_ms,
            progress: Progress::default(),
            file: None,
            counts: Counts::default(),
            columns: Vec::new(),
            refusals: Vec::new(),
            problems: Vec::new(),
            undo: None,
        }
    }

    /// Stores it, now that it ended; its rows in `history` lie after `from`, up to `to`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn store(&self, from: i64, to: i64, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let document = serde_json::to_string(self).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query(
            "INSERT INTO import_job (id, entity, file_name, state, who, created_ms, history_from, history_to, document)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document",
        )
        .bind(self.id)
        .bind(&self.entity)
        .bind(&self.file_name)
        .bind(self.state.name())
        .bind(self.who.map(|user| user.0))
        .bind(self.created_ms)
        .bind(from)
        .bind(to)
        .bind(document)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// An import that ended, with the bounds of its rows in `history`.
    ///
    /// # Errors
    /// When the database does not answer, or holds no such document.
    pub async fn load(id: Uuid, connection: &mut SqliteConnection) -> Result<Option<(Self, i64, i64)>, sqlx::Error> {
        let row: Option<(String, i64, i64)> =
            sqlx::query_as("SELECT document, history_from, history_to FROM import_job WHERE id = $1")
                .bind(id)
                .fetch_optional(connection)
                .await?;
        let Some((document, from, to)) = row else { return Ok(None) };
        let job = serde_json::from_str(&document).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Some((job, from, to)))
    }
}

impl State {
    /// As it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Checked => "checked",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }
}

/// How far a running import is, written by the import and read by whoever asks.
#[derive(Debug, Default)]
pub struct Meter {
    total: AtomicU64,
    done: AtomicU64,
}

impl Meter {
    /// So many rows there are.
    pub fn expect(&self, rows: u64) {
        self.total.store(rows, Ordering::Relaxed);
    }

    /// So many more are handled.
    pub fn advance(&self, rows: u64) {
        self.done.fetch_add(rows, Ordering::Relaxed);
    }

    /// How far it is.
    #[must_use]
    pub fn read(&self) -> Progress {
        Progress { rows_total: self.total.load(Ordering::Relaxed), rows_done: self.done.load(Ordering::Relaxed) }
    }
}

/// Imports that have not ended: they live in memory, for an import that the server does not survive leaves nothing.
#[derive(Clone, Debug, Default)]
pub struct OpenImports {
    open: Arc<Mutex<HashMap<Uuid, OpenImport>>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct OpenImport {
    /// The import as it was asked for.
    pub job: ImportJob,
    /// What was asked.
    pub request: ImportRequest,
    /// How far it is.
    pub meter: Arc<Meter>,
}

impl OpenImports {
    /// Takes an import in, unless too many wait or run: then it makes room by forgetting the oldest that never got its
    /// file, and says `false` when all are running.
    #[must_use]
    pub fn admit(&self, import: OpenImport) -> bool {
        let mut open = self.lock();
        if open.len() >= MAX_OPEN {
            let waiting = open.values().filter(|import| import.job.state == State::Waiting);
            let Some(oldest) = waiting.min_by_key(|import| import.job.created_ms).map(|import| import.job.id) else {
                return false;
            };
            open.remove(&oldest);
        }
        open.insert(import.job.id, import);
        true
    }

    /// The import as it stands now.
    #[must_use]
    pub fn find(&self, id: Uuid) -> Option<OpenImport> {
        let mut import = self.lock().get(&id).cloned()?;
        import.job.progress = import.meter.read();
        Some(import)
    }

    /// Marks a waiting import as running and returns it; `None` when it is not waiting.
    #[must_use]
    pub fn start(&self, id: Uuid) -> Option<OpenImport> {
        let mut open = self.lock();
        let import = open.get_mut(&id).filter(|import| import.job.state == State::Waiting)?;
        import.job.state = State::Running;
        Some(import.clone())
    }

    /// Lets a running import wait for its file again: the upload broke off.
    pub fn wait_again(&self, id: Uuid) {
        if let Some(import) = self.lock().get_mut(&id) {
            import.job.state = State::Waiting;
        }
    }

    /// Forgets an import: it ended, and is in the database.
    pub fn close(&self, id: Uuid) {
        self.lock().remove(&id);
    }

    /// All of them, newest first.
    #[must_use]
    pub fn all(&self) -> Vec<ImportJob> {
        let mut jobs: Vec<ImportJob> = self.lock().values().map(|import| import.job.clone()).collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.created_ms));
        jobs
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, OpenImport>> {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
