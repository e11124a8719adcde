//! A move that somebody asked for, as it is stored.

use crm::Fields;
use serde::Serialize;
use sqlx::SqliteConnection;
use sqlx::types::Json;
use sync_protocol::id::RecordId;
use uuid::Uuid;

/// A move, and how far it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MoveJob {
    pub(super) id: Uuid,
    /// `open`, `done` or `stopped`.
    pub(super) state: String,
    pub(super) entity: String,
    /// Which records.
    #[serde(rename = "where")]
    pub(super) condition: String,
    /// Where to.
    pub(super) set: Fields,
    /// Who asked; absent for the operator of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) who: Option<RecordId>,
    /// When, milliseconds since the Unix epoch.
    pub(super) asked_ms: i64,
    /// How many there were to move when it was asked for.
    pub(super) records: i64,
    /// How many were moved.
    pub(super) moved: i64,
    /// How many might not be.
    pub(super) refused: i64,
    /// How many wait; 0 when it has ended.
    pub(super) left: i64,
    /// Why it stopped, or why a record was not moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    /// The last sequence when it was asked for.
    #[serde(skip)]
    pub(super) asked_seq: i64,
    /// Records with a `num` up to this one are done.
    #[serde(skip)]
    pub(super) position: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    who: Option<Uuid>,
    entity: String,
    condition: String,
    change: Json<Fields>,
    asked_ms: i64,
    asked_seq: i64,
    state: String,
    position: i64,
    records: i64,
    moved: i64,
    refused: i64,
    problem: Option<String>,
}

impl From<Row> for MoveJob {
    fn from(row: Row) -> Self {
        let left = if row.state == "open" { (row.records - row.moved - row.refused).max(0) } else { 0 };
        Self {
            id: row.id,
            state: row.state,
            entity: row.entity,
            condition: row.condition,
            set: row.change.0,
            who: row.who.map(RecordId),
            asked_ms: row.asked_ms,
            records: row.records,
            moved: row.moved,
            refused: row.refused,
            left,
            problem: row.problem,
            asked_seq: row.asked_seq,
            position: row.position,
        }
    }
}

/// What a batch did for a move.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// The new position.
    pub(super) position: i64,
    pub(super) moved: i64,
    pub(super) refused: i64,
    pub(super) problem: Option<String>,
    /// `done` and `stopped` end it.
    pub(super) state: &'static str,
}

const COLUMNS: &str =
    "id, who, entity, condition, change, asked_ms, asked_seq, state, position, records, moved, refused, problem";

impl MoveJob {
    /// Stores a new one.
    pub(super) async fn insert(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("sql/insert_job.sql"))
            .bind(self.id)
            .bind(self.who.map(|who| who.0))
            .bind(&self.entity)
            .bind(&self.condition)
            .bind(Json(&self.set))
            .bind(self.asked_ms)
            .bind(self.asked_seq)
            .bind(self.records)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// The one that was asked for first among those that have not ended.
    pub(super) async fn next(connection: &mut SqliteConnection) -> Result<Option<Self>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM move_job WHERE state = 'open' ORDER BY asked_ms LIMIT 1");
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_optional(connection).await?;
        Ok(row.map(Self::from))
    }

    /// One of them.
    pub(super) async fn load(id: Uuid, connection: &mut SqliteConnection) -> Result<Option<Self>, sqlx::Error> {
        let sql = format!("SELECT {COLUMNS} FROM move_job WHERE id = $1");
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await?;
        Ok(row.map(Self::from))
    }

    /// The last 200, or those that `who` asked for; the latest first.
    pub(super) async fn list(who: Option<Uuid>, connection: &mut SqliteConnection) -> Result<Vec<Self>, sqlx::Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM move_job WHERE $1 IS NULL OR who = $1 ORDER BY asked_ms DESC LIMIT 200");
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(who).fetch_all(connection).await?;
        Ok(rows.into_iter().map(Self::from).collect())
    }

    /// Notes what a batch did for it.
    pub(super) async fn advance(id: Uuid, step: Step, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE move_job SET position = $2, moved = moved + $3, refused = refused + $4,
                 problem = coalesce($5, problem), state = $6 WHERE id = $1",
        )
        .bind(id)
        .bind(step.position)
        .bind(step.moved)
        .bind(step.refused)
        .bind(step.problem)
        .bind(step.state)
        .execute(connection)
        .await?;
        Ok(())
    }
}
