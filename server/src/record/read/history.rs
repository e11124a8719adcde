//! What became of a record, latest first.

use crm::model::Level;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AssertSqlSafe, SqliteConnection};
use sync_protocol::id::{DeviceId, RecordId, Sequence};
use uuid::Uuid;

use super::page::Position;
use super::{ReadError, Reader, Target};

/// Entries of a page.
const PAGE_ENTRIES: usize = 200;

/// Where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// The `next` of the page before.
    pub page: Option<String>,
}

/// A page of a record's history.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// Latest first.
    pub items: Vec<Entry>,
    /// Asks for what came before; absent when nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One thing that happened to one field, or to the record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// At which sequence.
    pub seq: Sequence,
    /// `made`, `changed`, `lost` (`new` is the value that a merge did not take, `old` the one that stood) or `deleted`.
    pub kind: String,
    /// Which; absent for what happened to the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The value before, or the last fields of a record that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// The user; absent for the server's own doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Uuid>,
    /// The device that the user did it on; absent for the web and programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// When the server took it, milliseconds since the Unix epoch.
    pub at_ms: i64,
}

type HistoryRow = (i64, i64, String, String, Option<String>, Option<String>, Option<Uuid>, Option<Uuid>, i64);

impl Reader {
    /// A page of the record's history, without the entries of fields that the user does not see.
    ///
    /// Of a deleted record there is no place left to judge by: its history is for those who read every record of its
    /// entity.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] for a record that the user may not read, or the database's own.
    pub async fn history(
        &self,
        connection: &mut SqliteConnection,
        entity: &str,
        id: RecordId,
        query: &HistoryQuery,
    ) -> Result<History, ReadError> {
        let target = self.target(entity)?;
        if !self.sees(connection, entity, id).await? && !self.sees_deleted(connection, &target, id).await? {
            return Err(ReadError::NotFound { entity: entity.to_owned(), id });
        }
        let id_text = id.to_string();
        let identity = ["history", entity, &id_text];
        let before = match &query.page {
            Some(token) => Position::from_token(token, &identity, 1)?.values[0].as_i64().unwrap_or_default(),
            None => i64::MAX,
        };
        let rows: Vec<HistoryRow> = sqlx::query_as(
            "SELECT h.num, h.seq, h.kind, h.field, h.old, h.new, h.who, d.id, h.at_ms
             FROM history h LEFT JOIN device d ON d.num = h.device
             WHERE h.record = $1 AND h.num < $2 ORDER BY h.num DESC LIMIT $3",
        )
        .bind(id.0)
        .bind(before)
        .bind(i64::try_from(PAGE_ENTRIES + 1).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
        let next = rows
            .get(PAGE_ENTRIES)
            .and_then(|_| rows.get(PAGE_ENTRIES - 1))
            .map(|last| Position::new(&identity, vec![last.0.into()], id.0).to_token());
        let items = rows.into_iter().take(PAGE_ENTRIES).filter_map(|row| entry(&target, row)).collect();
        Ok(History { items, next })
    }

    async fn sees_deleted(
        &self,
        connection: &mut SqliteConnection,
        target: &Target<'_>,
        id: RecordId,
    ) -> Result<bool, ReadError> {
        if self.rights.permission(&target.seen.name).is_none_or(|permission| permission.read < Level::All) {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM tombstone WHERE id = $1 AND entity = $2";
        let found: Option<(i64,)> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).bind(target.code).fetch_optional(connection).await?;
        Ok(found.is_some())
    }
}

/// `None` for what happened to a field that the user does not see.
fn entry(target: &Target<'_>, row: HistoryRow) -> Option<Entry> {
    let (_, seq, kind, field, old, new, who, device, at_ms) = row;
    // What was written under a former name is told under the present one.
    let field = target.whole.now_called(&field).map_or(field.clone(), str::to_owned);
    let is_own_loss = kind == "lost" && who.is_some() && who == target.variables.me;
    let is_own_word = is_own_loss && target.whole.removed.contains(&field);
    if !(field.is_empty() || target.projection.shows(&field) || is_own_word) {
        return None;
    }
    let value = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let mut old: Option<Value> = value(old);
    if let (true, Some(Value::Object(fields))) = (field.is_empty(), &mut old) {
        let named = std::mem::take(fields).into_iter();
        let now = |name: String| target.whole.now_called(&name).map_or(name.clone(), str::to_owned);
        fields.extend(named.map(|(name, value)| (now(name), value)).filter(|(name, _)| target.projection.shows(name)));
    }
    Some(Entry {
        seq: seq.cast_unsigned(),
        kind,
        field: Some(field).filter(|field| !field.is_empty()),
        old,
        new: value(new),
        who,
        device: device.map(DeviceId),
        at_ms,
    })
}
