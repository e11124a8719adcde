//! Lists: filtered, sorted, page by page.

use std::collections::BTreeSet;

use crm::model::Label;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AssertSqlSafe, SqliteConnection};
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::page::Position;
use super::sort::{Order, bind_values};
use super::{ReadError, Reader, Record, Row};

/// The most records of one page.
pub const MAX_LIMIT: u32 = 500;

/// Records of a page when nothing else is asked for.
pub const DEFAULT_LIMIT: u32 = 50;

/// Which records of an entity, in which order, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// An expression; all records when absent.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// `name,-close_date`; by id, which is the order of creation, when absent.
    pub sort: Option<String>,
    /// Only these fields, comma-separated; all when absent.
    pub fields: Option<String>,
    /// Records of a page, at most [`MAX_LIMIT`]; [`DEFAULT_LIMIT`] when absent.
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub page: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// The records, in the order asked for.
    pub items: Vec<Record>,
    /// Asks for the page behind this one; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Reader {
    /// One page of the entity's records that the user may read.
    ///
    /// # Errors
    /// [`ReadError`] names the parameter that is not understood, or the database's own.
    pub async fn list(
        &self,
        connection: &mut SqliteConnection,
        entity: &str,
        query: &ListQuery,
    ) -> Result<Page, ReadError> {
        let target = self.target(entity)?;
        let limit = limit(query.limit)?;
        let selection = match &query.fields {
            Some(names) => Some(target.fields("fields", names)?.into_iter().collect::<BTreeSet<&str>>()),
            None => None,
        };
        let (filter, sort) = (query.filter.as_deref().unwrap_or(""), query.sort.as_deref().unwrap_or(""));
        let order = Order::parse(&target, sort)?;
        let identity = [entity, filter, sort];
        let position = match &query.page {
            Some(token) => Some(Position::from_token(token, &identity, order.key_count())?),
            None => None,
        };

        let wanted = target.condition(query.filter.as_deref())?;
        let condition = match &position {
            Some(position) => format!("{wanted} AND {}", order.behind(position)),
            None => wanted,
        };
        let sql = format!(
            "SELECT r.id, r.seq, r.body, {} FROM record r WHERE {condition} ORDER BY {} LIMIT {}",
            order.values(),
            order.by(),
            limit + 1
        );
        let mut statement = sqlx::query_as::<_, (Uuid, i64, String, String)>(AssertSqlSafe(sql)).persistent(false);
        if let Some(position) = &position {
            statement = bind_values(statement.bind(position.id), &position.values);
        }
        let mut rows = statement.fetch_all(connection).await?;

        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let next = match rows.last() {
            Some((id, _, _, values)) if !is_last => {
                let values: Vec<Value> = serde_json::from_str(values).map_err(|source| ReadError::Damaged {
                    entity: entity.to_owned(),
                    id: RecordId(*id),
                    source,
                })?;
                Some(Position::new(&identity, values, *id).to_token())
            }
            _ => None,
        };
        let items = rows
            .into_iter()
            .map(|(id, seq, body, _)| {
                target.record(Row { id: RecordId(id), seq: seq.cast_unsigned(), body }, selection.as_ref())
            })
            .collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }
}

fn limit(asked: Option<u32>) -> Result<usize, ReadError> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit as usize),
        _ => Err(ReadError::Parameter {
            parameter: "limit",
            reason: Label { es: format!("de 1 a {MAX_LIMIT}"), en: format!("1 to {MAX_LIMIT}") },
        }),
    }
}
