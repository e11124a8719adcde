//! What is known without asking the database, as new as the database.

use std::sync::Arc;

use sync_protocol::id::Sequence;

use super::pull::PullError;
use crate::app::App;
use crate::live::Snapshot;
use crate::platform::auth::Caller;
use crate::platform::http::problem::{self, ApiError};
use crate::user::rights::Rights;

/// What a page is cut with, or a comparison made.
pub(super) struct Known {
    /// The last sequence, read before `snapshot`.
    pub(super) head: Sequence,
    /// Model, people and scopes.
    pub(super) snapshot: Snapshot,
    /// The caller's.
    pub(super) rights: Arc<Rights>,
}

/// Has `look` look into the database with what is known, until that is as new as what it sees there.
///
/// # Errors
/// When the caller may no longer sign in, or the database cannot be read.
pub(super) async fn with_known<T, F>(app: &App, caller: &Caller, look: impl Fn(Known) -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, PullError>>,
{
    loop {
        let head = app.live().head();
        let snapshot = app.live().snapshot();
        let rights = snapshot
            .rights_of(caller.user.0)
            .ok_or_else(|| ApiError::new(problem::UNAUTHENTICATED).detail("This user may no longer sign in."))?;
        match look(Known { head, snapshot, rights }).await {
            // The commit is about to be made known.
            Err(PullError::SnapshotBehind) => tokio::task::yield_now().await,
            found => return found.map_err(ApiError::internal),
        }
    }
}
