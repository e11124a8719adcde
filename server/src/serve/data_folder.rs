//! The folder that holds everything the server keeps, and the lock that lets one process at a time work on it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why the folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// It cannot be made, or not written to.
    #[error("could not open the data folder {path}: check that it is a folder which this user may write to")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process works on it.
    #[error(
        "another server already works on the data folder {path}: stop that one first, or choose another folder with --data"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// The locked folder; the lock goes with it.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder where it is missing, for this user alone, and locks it.
    ///
    /// # Errors
    /// [`DataFolderError::InUse`] when another process holds the lock.
    pub fn lock(path: &Path) -> Result<Self, DataFolderError> {
        let unusable = |source| DataFolderError::Unusable { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let own = |name| OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join(name));
        let lock = own("cartera.lock").map_err(unusable)?;
        // SQLite would let everybody read a database that it made, where the folder was there before with open doors.
        own("cartera.db").map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataFolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The socket over which commands on this machine talk to the server that works on the folder.
#[must_use]
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("cartera.sock")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_server_on_the_same_folder_is_told_what_to_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("new/data");
        let first = DataFolder::lock(&path).expect("nobody else has it");
        let mode = std::fs::metadata(&path).expect("it was made").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "what the server keeps is nobody else's to read");
        let error = DataFolder::lock(&path).expect_err("it is held");
        assert!(error.to_string().contains("stop that one first"), "{error}");
        drop(first);
        DataFolder::lock(&path).expect("it is free again");
    }

    #[test]
    fn a_path_that_cannot_be_a_folder_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let error = DataFolder::lock(file.path()).expect_err("a file");
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
