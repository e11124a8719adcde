use std::path::PathBuf;

use crm::model::Label;

use crate::message::say;

/// Why the device's data could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The folder or the file could not be made or opened.
    #[error("{} cannot be opened", path.display())]
    Open {
        /// The folder or the file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another command holds the device.
    #[error("another command is at work in {}", home.display())]
    Busy {
        /// The device's folder.
        home: PathBuf,
    },
    /// The file was written by a later version of this program.
    #[error("the device's file has version {found}, and this program reads version {known}")]
    Newer {
        /// The version of the file.
        found: i64,
        /// The version that this program knows.
        known: i64,
    },
    /// A statement failed.
    #[error("the device's database failed to {attempt}")]
    Database {
        /// What was to be done.
        attempt: &'static str,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// A condition cannot be asked, or gives no answer for some record.
    #[error("the condition `{expression}` cannot be evaluated: {}", reason.en)]
    Condition {
        /// As it was written.
        expression: String,
        /// What is wrong with it.
        reason: Label,
    },
    /// A stored value is not what it should be. It is left as it is.
    #[error("{what} in the device's database cannot be read: {reason}")]
    Unreadable {
        /// Table, column, row.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StorageError {
    /// What happened, and what to do about it.
    #[must_use]
    pub fn sentence(&self) -> Label {
        match self {
            Self::Open { path, source } => say(
                format!("No se puede abrir {}: {source}.", path.display()),
                format!("{} cannot be opened: {source}.", path.display()),
            ),
            Self::Busy { home } => say(
                format!("Otra orden está usando {}; espera a que termine.", home.display()),
                format!("Another command is using {}; wait until it has finished.", home.display()),
            ),
            Self::Newer { found, known } => say(
                format!(
                    "El fichero del dispositivo es de una versión posterior ({found}, aquí {known}); actualiza cartera-device."
                ),
                format!("The device's file is of a later version ({found}, here {known}); upgrade cartera-device."),
            ),
            Self::Database { attempt, source } => say(
                format!("La base de datos del dispositivo ha fallado ({attempt}): {source}."),
                format!("The device's database failed to {attempt}: {source}."),
            ),
            Self::Condition { expression, reason } => say(
                format!("La condición «{expression}» no se puede evaluar: {}.", reason.es),
                format!("The condition “{expression}” cannot be evaluated: {}.", reason.en),
            ),
            Self::Unreadable { what, reason } => say(
                format!("No se puede leer {what} en la base de datos del dispositivo: {reason}."),
                format!("{what} in the device's database cannot be read: {reason}."),
            ),
        }
    }
}

/// Names what was attempted when a statement fails.
pub(super) trait Attempt<T> {
    /// `attempt` completes the sentence “the device's database failed to …”.
    fn attempting(self, attempt: &'static str) -> Result<T, StorageError>;
}

impl<T> Attempt<T> for Result<T, rusqlite::Error> {
    fn attempting(self, attempt: &'static str) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Database { attempt, source })
    }
}
