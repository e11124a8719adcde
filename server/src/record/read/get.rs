//! One record by its id.

use sqlx::{AssertSqlSafe, SqliteConnection};
use sync_protocol::id::RecordId;

use super::{ReadError, Reader, Record, Row};

impl Reader {
    /// The record, if there is one that the user may read.
    ///
    /// # Errors
    /// [`ReadError::UnknownEntity`], [`ReadError::NotFound`], or the database's own.
    pub async fn get(
        &self,
        connection: &mut SqliteConnection,
        entity: &str,
        id: RecordId,
    ) -> Result<Record, ReadError> {
        let target = self.target(entity)?;
        let sql = format!("SELECT r.seq, r.body FROM record r WHERE r.id = $1 AND {}", target.condition(None)?);
        let row: Option<(i64, String)> =
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).bind(id.0).fetch_optional(connection).await?;
        let Some((seq, body)) = row else {
            return Err(ReadError::NotFound { entity: entity.to_owned(), id });
        };
        target.record(Row { id, seq: seq.cast_unsigned(), body }, None)
    }

    /// A record that the user may read and whose field names the blob of that hash, if the user sees the field and there
    /// is one.
    ///
    /// # Errors
    /// As [`Self::get`], but that there is none is no error.
    pub async fn first_naming_blob(
        &self,
        connection: &mut SqliteConnection,
        entity: &str,
        field: &str,
        hash: &[u8; 32],
    ) -> Result<Option<Record>, ReadError> {
        let target = match self.target(entity) {
            Ok(target) if target.seen.field(field).is_some() => target,
            Ok(_) | Err(ReadError::UnknownEntity { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let sql = format!(
            "SELECT r.id, r.seq, r.body FROM record r
             WHERE r.id IN (SELECT record FROM blob_use WHERE hash = $1 AND field = $2) AND {} LIMIT 1",
            target.condition(None)?
        );
        let row: Option<(uuid::Uuid, i64, String)> = sqlx::query_as(AssertSqlSafe(sql))
            .persistent(false)
            .bind(&hash[..])
            .bind(field)
            .fetch_optional(connection)
            .await?;
        row.map(|(id, seq, body)| target.record(Row { id: RecordId(id), seq: seq.cast_unsigned(), body }, None))
            .transpose()
    }

    /// Whether there is such a record that the user may read.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn sees(
        &self,
        connection: &mut SqliteConnection,
        entity: &str,
        id: RecordId,
    ) -> Result<bool, ReadError> {
        let target = self.target(entity)?;
        let sql = format!("SELECT 1 FROM record r WHERE r.id = $1 AND {}", target.condition(None)?);
        let found: Option<(i64,)> =
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).bind(id.0).fetch_optional(connection).await?;
        Ok(found.is_some())
    }
}
