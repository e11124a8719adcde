//! Typed SQL views and expression indexes, generated from the model.
//!
//! Records are rows with a JSON body; whoever writes SQL reads the view `v_<entity>` instead: one column per field (see
//! [`view`]), whatever the model says today. A change of the model re-makes what it changed and rewrites no record.

pub mod index;
pub mod view;

use std::collections::{BTreeMap, HashMap};

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::record::catalogue::Catalogue;

/// What [`apply`] did, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Made, or made anew because the model says otherwise than before.
    pub made: Vec<String>,
    /// No longer in the model.
    pub dropped: Vec<String>,
}

impl Changed {
    /// The database had it all already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.made.is_empty() && self.dropped.is_empty()
    }
}

/// Makes the database's views and indexes those of the catalogue's model.
///
/// Compares with what the database holds, not with an earlier model: so it also repairs what a hand dropped and takes
/// over what a new release generates differently. Runs in the caller's transaction, so that a model and its views come
/// into force together.
///
/// # Errors
/// When the database refuses; then the caller rolls back.
pub async fn apply(catalogue: &Catalogue, connection: &mut SqliteConnection) -> Result<Changed, sqlx::Error> {
    let wanted = wanted(catalogue);
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT name, type, sql FROM sqlite_schema
         WHERE (type = 'view' AND name GLOB 'v_*') OR (type = 'index' AND name GLOB 'x_*')",
    )
    .fetch_all(&mut *connection)
    .await?;
    let present: HashMap<String, (String, String)> =
        rows.into_iter().map(|(name, kind, sql)| (name, (kind, sql))).collect();

    let mut changed = Changed::default();
    for (name, (kind, sql)) in &present {
        if wanted.get(name) == Some(sql) {
            continue;
        }
        let drop = format!("DROP {} {}", kind.to_uppercase(), quote(name));
        sqlx::query(AssertSqlSafe(drop)).execute(&mut *connection).await?;
        if !wanted.contains_key(name) {
            changed.dropped.push(name.clone());
        }
    }
    for (name, sql) in &wanted {
        if present.get(name).is_some_and(|(_, present)| present == sql) {
            continue;
        }
        sqlx::query(AssertSqlSafe(sql.as_str())).execute(&mut *connection).await?;
        changed.made.push(name.clone());
    }
    changed.dropped.sort_unstable();
    Ok(changed)
}

/// Every view and index of the model: name to the statement that makes it, as the database's catalogue will show it.
fn wanted(catalogue: &Catalogue) -> BTreeMap<String, String> {
    let entities = catalogue.model.entities.keys().filter_map(|name| catalogue.entity(name));
    entities
        .flat_map(|(entity, code)| {
            std::iter::once((view::name(entity), view::create(entity, code))).chain(index::all(entity, code))
        })
        .collect()
}

/// `name` as an SQL identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as an SQL string.
pub(crate) fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests;
