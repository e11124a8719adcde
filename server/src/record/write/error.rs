//! Why the writer did not write.

use std::sync::Arc;

use sync_protocol::id::MutationId;

/// Why nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The database refused; nothing of the commit is stored.
    #[error("could not write to the database")]
    Database(#[source] Arc<sqlx::Error>),
    /// The author lost the right to sign in since the request came.
    #[error("the user may no longer sign in")]
    NoRights,
    /// Too much waits already; nothing was tried.
    #[error("too many changes wait to be written")]
    Busy,
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Stopped,
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Why a push was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// Nothing could be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The ids do not go on from what was decided last.
    #[error("mutation {got} came where {expected} was expected")]
    Gap {
        /// The id that should have come.
        expected: MutationId,
        /// The id that came.
        got: MutationId,
    },
    /// The outcome was acknowledged, so it is no longer kept.
    #[error("the outcome of mutation {0} was acknowledged and is no longer kept")]
    Forgotten(MutationId),
    /// The device acknowledges what was never decided.
    #[error("mutation {0} was acknowledged but never decided")]
    AcknowledgedAhead(MutationId),
    /// No such device is enrolled.
    #[error("the device is not enrolled")]
    UnknownDevice,
}
