use crm::rules::Place;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};
use sync_protocol::id::Sequence;
use uuid::Uuid;

use crate::record::catalogue::EntityCode;

/// A record with what decides how it is told.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) entity: EntityCode,
    pub(super) seq: Sequence,
    pub(super) created_seq: Sequence,
    pub(super) created_by_device: i64,
    pub(super) place: Place,
    /// Devices carry it.
    pub(super) is_carried: bool,
    pub(super) body: String,
    pub(super) field_seq: String,
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            entity: row.try_get("entity")?,
            seq: row.try_get::<i64, _>("seq")?.cast_unsigned(),
            created_seq: row.try_get::<i64, _>("created_seq")?.cast_unsigned(),
            created_by_device: row.try_get("created_by_device")?,
            place: Place {
                owner: row.try_get("owner")?,
                team: row.try_get("team")?,
                territory: row.try_get("territory")?,
                shared: row.try_get::<Option<Json<Vec<Uuid>>>, _>("shared")?.map(|ids| ids.0).unwrap_or_default(),
            },
            is_carried: row.try_get("carried")?,
            body: row.try_get("body")?,
            field_seq: row.try_get("field_seq")?,
        })
    }
}

pub(super) const COLUMNS: &str = "r.id, r.entity, r.seq, r.created_seq, r.created_by_device, r.owner, r.team, r.territory, r.shared, r.carried, r.body, r.field_seq";
