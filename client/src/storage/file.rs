//! The device's file: where it lies, who may read it, and who holds it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::StorageError;
use super::error::Attempt;

const FILE: &str = "device.db";
const LOCK: &str = "device.lock";
/// The version of `schema.sql`, kept in the file's `user_version`.
const SCHEMA_VERSION: i64 = 1;
/// How long a command waits for another one to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// The device's folder, held by one command at a time until it is dropped, or only visited.
pub struct Home {
    path: PathBuf,
    /// None for a visitor.
    lock: Option<File>,
}

impl Home {
    /// Holds the folder, making it first if need be.
    ///
    /// # Errors
    /// When it cannot be made, or another command does not let go of it.
    #[expect(clippy::disallowed_methods, reason = "measures how long it has waited")]
    pub fn hold(path: &Path) -> Result<Self, StorageError> {
        let open = |source| StorageError::Open { path: path.to_owned(), source };
        make_private_folder(path).map_err(open)?;
        let lock =
            private(OpenOptions::new().write(true).create(true).truncate(false)).open(path.join(LOCK)).map_err(open)?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), lock: Some(lock) }),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => return Err(StorageError::Busy { home: path.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(open(source)),
            }
        }
    }

    /// Only looks at a folder that somebody else may hold.
    #[must_use]
    pub fn visit(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    /// Whether a device was made here.
    #[must_use]
    pub fn has_device(path: &Path) -> bool {
        path.join(FILE).exists()
    }

    pub(super) fn connect(&self) -> Result<Connection, StorageError> {
        let file = self.path.join(FILE);
        if self.lock.is_some() {
            // Made here and not by SQLite, so that nobody else can read it for a moment.
            private(OpenOptions::new().write(true).create(true).truncate(false))
                .open(&file)
                .map_err(|source| StorageError::Open { path: file.clone(), source })?;
        }
        let mut connection = Connection::open(&file).attempting("open")?;
        prepare(&mut connection)?;
        if self.lock.is_none() {
            // One state from the first read to the last, whatever a sync commits meanwhile.
            connection.execute_batch("PRAGMA query_only = ON; BEGIN").attempting("begin to read")?;
        }
        Ok(connection)
    }
}

/// Brings a connection's settings and the schema to what this program expects.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StorageError> {
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8000;",
        )
        .attempting("prepare its file")?;
    connection.set_prepared_statement_cache_capacity(64);
    if version(connection)? != SCHEMA_VERSION {
        make_tables(connection)?;
    }
    Ok(())
}

fn make_tables(connection: &mut Connection) -> Result<(), StorageError> {
    let attempt = "make its tables";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).attempting(attempt)?;
    // Looked at again: another command may have made them just now.
    match version(&transaction)? {
        0 => {
            transaction.execute_batch(include_str!("schema.sql")).attempting(attempt)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION).attempting(attempt)?;
            transaction.commit().attempting(attempt)
        }
        SCHEMA_VERSION => Ok(()),
        found => Err(StorageError::Newer { found, known: SCHEMA_VERSION }),
    }
}

fn version(connection: &Connection) -> Result<i64, StorageError> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).attempting("read its version")
}

#[cfg(unix)]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
pub(super) fn make_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
pub(super) fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}
