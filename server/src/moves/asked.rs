//! Moves that somebody asked for: each record as if she had changed it herself.

use std::sync::Arc;

use crm::model::Language;
use crm::rules::Gaps;
use sqlx::AssertSqlSafe;
use sync_protocol::id::RecordId;
use sync_protocol::wire::MutationKind;
use uuid::Uuid;

use super::job::{MoveJob, Step};
use super::{MoveError, Mover};
use crate::live::Snapshot;
use crate::record::read::{ReadError, Reader};
use crate::record::write::{Author, Change, Decision, WriteError};
use crate::user::rights::Rights;

/// Moves a batch of the move that was asked for first; nothing when none is open.
pub(super) async fn work_off(mover: &Mover) -> Result<Option<usize>, MoveError> {
    let mut connection = mover.db.readers().acquire().await?;
    let Some(job) = MoveJob::next(&mut connection).await? else { return Ok(None) };
    let snapshot = mover.live.snapshot();
    let Some(author) = author(&job, &snapshot) else {
        return stop(mover, &job, "the user who asked for it may no longer sign in").await;
    };
    let reader = Reader::new(snapshot.catalogue.clone(), author.rights.clone(), job.asked_ms);
    let found = match reader.writable(&job.entity, &job.condition) {
        Ok(condition) => {
            let rows: Result<Vec<(i64, Uuid)>, _> = sqlx::query_as(AssertSqlSafe(format!(
                "SELECT r.num, r.id FROM record r WHERE {condition} AND r.num > $1 AND r.created_seq <= $2
                 ORDER BY r.num LIMIT $3"
            )))
            .persistent(false)
            .bind(job.position)
            .bind(job.asked_seq)
            .bind(i64::try_from(mover.batch).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await;
            rows.map_err(ReadError::from)
        }
        Err(error) => Err(error),
    };
    drop(connection);
    let rows = match found {
        Ok(rows) => rows,
        Err(error @ ReadError::Database(_)) => return Err(error.into()),
        // The model, or what records hold, is no longer what it was when this was asked for.
        Err(error) => return stop(mover, &job, &error.to_string()).await,
    };

    let is_last = rows.len() < mover.batch;
    let count = rows.len();
    let position = rows.last().map_or(job.position, |(num, _)| *num);
    let changes = rows.into_iter().map(|(_, id)| change(&job, RecordId(id))).collect();
    let mut bulk = mover.writer.bulk(author, Gaps::Refuse).await?;
    let decisions = match bulk.write(changes).await {
        Ok(decisions) => decisions,
        Err(WriteError::NoRights) => {
            bulk.rollback();
            return stop(mover, &job, "the user who asked for it may no longer sign in").await;
        }
        Err(error) => return Err(error.into()),
    };
    let (refused, moved): (Vec<_>, Vec<_>) = decisions.into_iter().partition(Decision::is_rejected);
    let reason = refused.iter().find_map(|decision| decision.reason.as_ref());
    let count_of = |decisions: &[_]| i64::try_from(decisions.len()).unwrap_or(i64::MAX);
    let step = Step {
        position,
        moved: count_of(&moved),
        refused: count_of(&refused),
        problem: reason.map(|reason| reason.message.clone()),
        state: if is_last { "done" } else { "open" },
    };
    let id = job.id;
    bulk.run(move |connection| Box::pin(MoveJob::advance(id, step, connection))).await?;
    bulk.commit().await?;
    Ok(Some(count))
}

/// Whoever asked, with the rights of today.
fn author(job: &MoveJob, snapshot: &Snapshot) -> Option<Author> {
    let rights = match job.who {
        Some(user) => snapshot.rights_of(user.0)?,
        None => Arc::new(Rights::of_operator(&snapshot.catalogue)),
    };
    let language = job.who.and_then(|user| snapshot.directory.user(user.0)?.language);
    Some(Author { user: job.who, device: 0, rights, language: language.unwrap_or(Language::Es) })
}

fn change(job: &MoveJob, record: RecordId) -> Change {
    Change {
        kind: MutationKind::Update,
        entity: job.entity.clone(),
        record,
        base: None,
        set: job.set.clone(),
        ops: Vec::new(),
    }
}

async fn stop(mover: &Mover, job: &MoveJob, problem: &str) -> Result<Option<usize>, MoveError> {
    tracing::warn!(job.id = %job.id, problem, "a move was stopped");
    let step = Step { position: job.position, problem: Some(problem.to_owned()), state: "stopped", ..Step::default() };
    let mut tx = mover.db.write().await?;
    MoveJob::advance(job.id, step, &mut tx).await?;
    tx.commit().await?;
    Ok(Some(0))
}
