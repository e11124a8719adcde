//! Reading records: one by id, lists, sums, search and history.
//!
//! Every function takes the connection it reads on, so that a caller who asks twice in one transaction sees one state
//! of the database, and carries the same [`visibility`] and the same projection. A field that the caller's role does
//! not see does not exist for any of them: naming it is naming an unknown field.

pub mod get;
pub mod history;
pub mod list;
pub mod page;
pub mod refusal;
pub mod search;
mod sort;
pub mod summary;
pub mod visibility;

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::Fields;
use crm::expr::{Dialect, Expr, ExprError, Type, Variables};
use crm::model::{Entity, Level};
use crm::rules::Projection;
use serde::Serialize;
use serde_json::value::RawValue;
use sync_protocol::id::{RecordId, Sequence};

pub use refusal::ReadError;

use crate::record::catalogue::{Catalogue, EntityCode};
use crate::user::rights::Rights;

/// The dialect that reads are written in.
const DIALECT: Dialect = Dialect::Sqlite;

/// A record as its reader may see it.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Its entity.
    pub entity: String,
    /// The sequence of its last change: the `base` of the next one.
    pub seq: Sequence,
    /// Its fields; an absent one is empty.
    pub fields: Box<RawValue>,
}

impl Record {
    /// The fields, parsed.
    ///
    /// # Errors
    /// When the database holds a body that is not an object.
    pub fn parsed(&self) -> Result<Fields, serde_json::Error> {
        serde_json::from_str(self.fields.get())
    }
}

/// On whose behalf, under which model and when something is read.
#[derive(Clone, Debug)]
pub struct Reader {
    catalogue: Arc<Catalogue>,
    rights: Arc<Rights>,
    now_ms: i64,
}

impl Reader {
    /// Reads as a user with `rights`; `now_ms` is what `today` and `now` mean in expressions.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, rights: Arc<Rights>, now_ms: i64) -> Self {
        Self { catalogue, rights, now_ms }
    }

    /// The entity of that name, if the user's role reads any record of it.
    fn target(&self, entity: &str) -> Result<Target<'_>, ReadError> {
        let unknown = || ReadError::UnknownEntity { entity: entity.to_owned() };
        let (whole, code) = self.catalogue.entity(entity).ok_or_else(unknown)?;
        let seen = self.rights.view.model.entity(entity).ok_or_else(unknown)?;
        let projection = self.rights.projection(entity).ok_or_else(unknown)?;
        let permission = self.rights.permission(entity).ok_or_else(unknown)?;
        if permission.read == Level::None {
            return Err(unknown());
        }
        let visible = visibility::predicate(&self.rights, entity, "r");
        Ok(Target { whole, seen, code, projection, visible, variables: self.variables() })
    }

    /// The records of `entity` that the user may read and change and that meet the condition, as SQL over `record r`.
    ///
    /// # Errors
    /// [`ReadError`] names what is not understood.
    pub fn writable(&self, entity: &str, filter: &str) -> Result<String, ReadError> {
        let wanted = self.target(entity)?.condition(Some(filter))?;
        Ok(format!("{wanted} AND {}", visibility::writable(&self.rights, entity, "r")))
    }

    fn variables(&self) -> Variables {
        Variables { today: self.now_ms.div_euclid(86_400_000), now_ms: self.now_ms, me: Some(self.rights.viewer.user) }
    }
}

/// One entity as one user reads it.
struct Target<'a> {
    /// With every field.
    whole: &'a Entity,
    /// With the fields that the role sees: what names are looked up in.
    seen: &'a Entity,
    code: EntityCode,
    projection: &'a Projection,
    /// The predicate over `record r`.
    visible: String,
    variables: Variables,
}

impl Target<'_> {
    /// Entity, visibility and the caller's own condition, as SQL over `record r`.
    fn condition(&self, filter: Option<&str>) -> Result<String, ReadError> {
        let permitted = format!("r.entity = {} AND {}", self.code, self.visible);
        let Some(filter) = filter.filter(|filter| !filter.trim().is_empty()) else { return Ok(permitted) };
        let refuse = |source: ExprError| ReadError::Filter { source };
        let expr = Expr::compile(filter).map_err(refuse)?;
        if !matches!(expr.result_type(self.seen).map_err(refuse)?, Type::Bool | Type::Null) {
            return Err(ReadError::NoCondition);
        }
        expr.to_sql_within(&permitted, self.seen, DIALECT, "r.body", &self.variables).map_err(refuse)
    }

    /// The fields that a parameter names, each of which the role sees.
    fn fields<'n>(&self, parameter: &'static str, names: &'n str) -> Result<Vec<&'n str>, ReadError> {
        let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        match names.iter().find(|name| self.seen.field(name).is_none()) {
            Some(unknown) => Err(self.unknown_field(parameter, unknown)),
            None => Ok(names),
        }
    }

    fn unknown_field(&self, parameter: &'static str, field: &str) -> ReadError {
        ReadError::UnknownField { entity: self.seen.name.clone(), parameter, field: field.to_owned() }
    }

    /// The record as the user may see it. Where she sees it whole, the stored text goes out as it is.
    fn record(&self, row: Row, selection: Option<&BTreeSet<&str>>) -> Result<Record, ReadError> {
        let damaged = |source| ReadError::Damaged { entity: self.seen.name.clone(), id: row.id, source };
        let fields = if self.projection.is_whole() && selection.is_none() {
            RawValue::from_string(row.body).map_err(damaged)?
        } else {
            let mut fields: Fields = serde_json::from_str(&row.body).map_err(damaged)?;
            self.projection.apply(&mut fields);
            if let Some(selection) = selection {
                fields.retain(|name, _| selection.contains(name.as_str()));
            }
            serde_json::value::to_raw_value(&fields).map_err(damaged)?
        };
        Ok(Record { id: row.id, entity: self.seen.name.clone(), seq: row.seq, fields })
    }
}

/// A record as the database holds it.
struct Row {
    id: RecordId,
    seq: Sequence,
    body: String,
}

#[cfg(test)]
mod tests;
