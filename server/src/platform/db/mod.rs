//! The tenant's database: one writing connection, many reading ones, migrations.

pub mod dialect;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

use super::config::{Database, Durability};

/// A write-ahead log that grew past this is copied back into the database file in the background. A copy touches each
/// changed page once, however often it changed, so a longer log means less to copy; a shorter one means less disk.
const CHECKPOINT_AFTER_BYTES: u64 = 16 << 20;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file could not be opened as a database.
    #[error("could not open the database {path}")]
    Connect {
        /// The file.
        path: String,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// The file is a database, but of a newer release, or damaged.
    #[error("could not bring the database {path} to this release's schema")]
    Migrate {
        /// The file.
        path: String,
        /// Which migration, and why.
        source: MigrateError,
    },
}

/// Handle to the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    writer: SqlitePool,
    readers: SqlitePool,
    file: Arc<PathBuf>,
    log: Arc<PathBuf>,
}

impl Db {
    /// Opens or creates the database file and brings it to this release's schema.
    ///
    /// # Errors
    /// [`OpenError`] names the file and what went wrong with it.
    pub async fn open(path: &Path, config: &Database) -> Result<Self, OpenError> {
        let synchronous = match config.durability {
            Durability::Synced => SqliteSynchronous::Full,
            Durability::Handed => SqliteSynchronous::Off,
        };
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .synchronous(synchronous)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .pragma("temp_store", "MEMORY")
            .collation("reading_order", dialect::reading_order);
        if let Some(vfs) = config.vfs {
            options = options.vfs(vfs);
        }
        let connect = |source| OpenError::Connect { path: path.display().to_string(), source };
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_mins(10))
            .connect_with(
                options
                    .clone()
                    // Checkpoints run on a connection of their own, so that no commit waits for one.
                    .pragma("wal_autocheckpoint", "0")
                    .pragma("cache_size", "-8192"),
            )
            .await
            .map_err(connect)?;
        sqlx::migrate!("../migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|source| OpenError::Migrate { path: path.display().to_string(), source })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(config.readers)
            .max_lifetime(None)
            .connect_with(options.pragma("query_only", "ON").pragma("cache_size", "-2048"))
            .await
            .map_err(connect)?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self { writer, readers, file: Arc::new(path.to_owned()), log: Arc::new(log.into()) })
    }

    /// Connections that read a snapshot and never wait for the writer.
    #[must_use]
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The one writing transaction; waits until no other holds it. Dropping it without commit rolls back.
    ///
    /// # Errors
    /// When the database cannot begin one.
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Copies the write-ahead log back into the database file when it has grown; readers and writer go on meanwhile.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn checkpoint_when_due(&self) -> Result<(), sqlx::Error> {
        let length = std::fs::metadata(self.log.as_path()).map_or(0, |log| log.len());
        if length > CHECKPOINT_AFTER_BYTES {
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&self.readers).await?;
        }
        Ok(())
    }

    /// The size of the database and its write-ahead log.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let files = [self.file.as_path(), self.log.as_path()];
        files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).sum()
    }

    /// Closes every connection, the log copied back.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
