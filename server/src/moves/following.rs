//! Children that follow their parents.

use std::sync::Arc;

use crm::Fields;
use crm::model::Language;
use crm::rules::Gaps;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sqlx::types::Json;
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::{MoveError, Mover};
use crate::record::write::decide::ParentMove;
use crate::record::write::{Author, Following};
use crate::user::rights::Rights;

/// A parent that moved, as it was written down.
#[derive(sqlx::FromRow)]
struct Waiting {
    num: i64,
    parent: Uuid,
    was: Json<Fields>,
    became: Json<Fields>,
    who: Option<Uuid>,
    /// The last child that has followed.
    position: Option<Uuid>,
}

/// How far a batch brings the parents.
#[derive(Default)]
struct Progress {
    /// All their children have followed.
    done: Vec<i64>,
    /// This one's up to that child.
    reached: Option<(i64, Uuid)>,
}

/// Lets a batch of children follow, in the order in which their parents moved; nothing when none is left.
pub(super) async fn work_off(mover: &Mover) -> Result<Option<usize>, MoveError> {
    let catalogue = mover.live.snapshot().catalogue;
    let links = json!(catalogue.parent_links()).to_string();
    let mut connection = mover.db.readers().acquire().await?;
    let parents: Vec<Waiting> =
        sqlx::query_as("SELECT num, parent, was, became, who, position FROM move_follow ORDER BY num LIMIT $1")
            .bind(i64::try_from(mover.batch).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await?;
    if parents.is_empty() {
        return Ok(None);
    }
    let mut left = mover.batch;
    let mut following = Vec::new();
    let mut progress = Progress::default();
    for parent in parents {
        if left == 0 {
            break;
        }
        let children = children(&parent, &links, left, &mut connection).await?;
        match children.last() {
            Some(last) if children.len() == left => progress.reached = Some((parent.num, last.0)),
            _ => progress.done.push(parent.num),
        }
        left -= children.len();
        let moved =
            ParentMove { parent: RecordId(parent.parent), was: parent.was.0, became: parent.became.0, who: parent.who };
        following.push(Following { moved, children });
    }
    drop(connection);

    let rights = Arc::new(Rights::of_operator(&catalogue));
    let author = Author { user: None, device: 0, rights, language: Language::En };
    let mut bulk = mover.writer.bulk(author, Gaps::Keep).await?;
    bulk.follow(following).await?;
    bulk.run(move |connection| Box::pin(store(progress, connection))).await?;
    bulk.commit().await?;
    Ok(Some(mover.batch - left))
}

/// The next children of a parent, in the order of their ids.
async fn children(
    parent: &Waiting,
    links: &str,
    limit: usize,
    connection: &mut SqliteConnection,
) -> Result<Vec<RecordId>, sqlx::Error> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(include_str!("sql/children.sql"))
        .bind(parent.parent)
        .bind(parent.position.map_or(Vec::new(), |position| position.as_bytes().to_vec()))
        .bind(links)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|(id,)| RecordId(id)).collect())
}

async fn store(progress: Progress, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let done: Vec<Value> = progress.done.into_iter().map(Value::from).collect();
    sqlx::query("DELETE FROM move_follow WHERE num IN (SELECT value FROM json_each($1))")
        .bind(Value::Array(done).to_string())
        .execute(&mut *connection)
        .await?;
    if let Some((num, position)) = progress.reached {
        sqlx::query("UPDATE move_follow SET position = $2 WHERE num = $1")
            .bind(num)
            .bind(position)
            .execute(connection)
            .await?;
    }
    Ok(())
}
