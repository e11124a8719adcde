//! What the device's file says.

use std::collections::{BTreeMap, BTreeSet};

use crm::expr::{Dialect, EvalError, Expr, Variables};
use crm::model::{Entity, Label};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sync_protocol::id::RecordId;
use sync_protocol::store::{Attention, BaseRecord, Position, Saved, View, replay};
use sync_protocol::wire::Mutation;
use uuid::Uuid;

use super::error::Attempt;
use super::{StorageError, json};

/// Records that nothing in the outbox is about: what the server said of them is what the person sees.
const SETTLED: &str = "r.hidden = 0 AND r.id NOT IN (SELECT record FROM outbox)";

/// Which records are wanted.
#[derive(Clone, Copy)]
pub struct Condition<'a> {
    /// Holds for them.
    pub expr: &'a Expr,
    /// What the expression's names mean.
    pub variables: &'a Variables,
}

pub(super) fn size_bytes(connection: &Connection) -> Result<u64, StorageError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    let bytes: i64 = connection.query_row(sql, [], |row| row.get(0)).attempting("measure its file")?;
    Ok(bytes.unsigned_abs())
}

pub(super) fn base(connection: &Connection, id: RecordId) -> Result<Option<BaseRecord>, StorageError> {
    let attempt = "read a record";
    let sql = "SELECT e.name, r.seq, r.scopes, r.body, r.hidden, r.generation
               FROM record r JOIN entity e ON e.code = r.entity WHERE r.id = ?1";
    let mut statement = connection.prepare_cached(sql).attempting(attempt)?;
    let mut rows = statement.query([id.as_bytes()]).attempting(attempt)?;
    let Some(row) = rows.next().attempting(attempt)? else {
        return Ok(None);
    };
    read_base(row, id).map(Some)
}

pub(super) fn each_base(
    connection: &Connection,
    each: &mut dyn FnMut(RecordId, BaseRecord),
) -> Result<(), StorageError> {
    let attempt = "read the records";
    let sql = "SELECT e.name, r.seq, r.scopes, r.body, r.hidden, r.generation, r.id
               FROM record r JOIN entity e ON e.code = r.entity";
    let mut statement = connection.prepare_cached(sql).attempting(attempt)?;
    let mut rows = statement.query([]).attempting(attempt)?;
    while let Some(row) = rows.next().attempting(attempt)? {
        let id = record_id(row.get(6).attempting(attempt)?);
        each(id, read_base(row, id)?);
    }
    Ok(())
}

fn read_base(row: &Row, id: RecordId) -> Result<BaseRecord, StorageError> {
    let attempt = "read a record";
    let scopes: String = row.get(2).attempting(attempt)?;
    let body: String = row.get(3).attempting(attempt)?;
    Ok(BaseRecord {
        entity: row.get(0).attempting(attempt)?,
        seq: number(row, 1)?,
        scopes: json::read(&scopes, || format!("record.scopes of {id}"))?,
        fields: json::read(&body, || format!("record.body of {id}"))?,
        hidden: row.get(4).attempting(attempt)?,
        generation: number(row, 5)?,
    })
}

pub(super) fn position(connection: &Connection) -> Result<Position, StorageError> {
    let body: Option<String> = connection
        .query_row("SELECT body FROM position", [], |row| row.get(0))
        .optional()
        .attempting("read the position")?;
    body.map_or_else(|| Ok(Position::default()), |body| json::read(&body, || "position.body".into()))
}

pub(super) fn saved(connection: &Connection) -> Result<Saved, StorageError> {
    Ok(Saved {
        position: position(connection)?,
        outbox: outbox(connection, "SELECT mutation, body FROM outbox ORDER BY mutation", None)?,
        attention: attention(connection)?,
    })
}

fn outbox(connection: &Connection, sql: &str, record: Option<RecordId>) -> Result<Vec<Mutation>, StorageError> {
    let attempt = "read the outbox";
    let mut statement = connection.prepare_cached(sql).attempting(attempt)?;
    let mut rows = match record {
        Some(record) => statement.query([record.as_bytes()]),
        None => statement.query([]),
    }
    .attempting(attempt)?;
    let mut mutations = Vec::new();
    while let Some(row) = rows.next().attempting(attempt)? {
        let id = number(row, 0)?;
        let body: String = row.get(1).attempting(attempt)?;
        mutations.push(json::read(&body, || format!("outbox.body of {id}"))?);
    }
    Ok(mutations)
}

fn attention(connection: &Connection) -> Result<Vec<Attention>, StorageError> {
    let attempt = "read what needs attention";
    let mut statement =
        connection.prepare("SELECT mutation, body FROM attention ORDER BY mutation").attempting(attempt)?;
    let mut rows = statement.query([]).attempting(attempt)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().attempting(attempt)? {
        let id = number(row, 0)?;
        let body: String = row.get(1).attempting(attempt)?;
        found.push(json::read(&body, || format!("attention.body of {id}"))?);
    }
    Ok(found)
}

pub(super) fn view(connection: &Connection, id: RecordId) -> Result<Option<View>, StorageError> {
    let sql = "SELECT mutation, body FROM outbox WHERE record = ?1 ORDER BY mutation";
    let mutations = outbox(connection, sql, Some(id))?;
    Ok(replay(id, base(connection, id)?.as_ref(), &mutations))
}

/// What is in the outbox, as the person sees it: records that she deleted are not among them.
pub(super) fn pending(connection: &Connection) -> Result<Vec<View>, StorageError> {
    let mutations = outbox(connection, "SELECT mutation, body FROM outbox ORDER BY mutation", None)?;
    let mut by_record: BTreeMap<RecordId, Vec<Mutation>> = BTreeMap::new();
    for mutation in mutations {
        by_record.entry(mutation.record).or_default().push(mutation);
    }
    let mut views = Vec::new();
    for (id, mutations) in &by_record {
        views.extend(replay(*id, base(connection, *id)?.as_ref(), mutations));
    }
    Ok(views)
}

/// The settled records of an entity by title, at most `limit`.
pub(super) fn settled(
    connection: &Connection,
    entity: &Entity,
    condition: Option<Condition>,
    limit: Option<usize>,
    each: &mut dyn FnMut(View) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let attempt = "list records";
    let holds = match condition {
        Some(Condition { expr, variables }) => {
            expr.to_sql(entity, Dialect::Sqlite, "r.body", variables).map_err(|error| unasked(expr, error.reason()))?
        }
        None => "1".to_owned(),
    };
    let sql = format!(
        "SELECT e.name, r.id, r.seq, r.body FROM record r JOIN entity e ON e.code = r.entity
         WHERE e.name = ?1 AND {SETTLED} AND ({holds}) ORDER BY r.title, r.id LIMIT ?2"
    );
    let limit = limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
    let mut statement = connection.prepare(&sql).attempting(attempt)?;
    let mut rows = statement.query(params![entity.name, limit]).attempting(attempt)?;
    loop {
        match (rows.next(), condition) {
            (Ok(Some(row)), _) => each(settled_view(row)?)?,
            (Ok(None), _) => return Ok(()),
            // An overflow or a division by zero in some record, or a failure of the database.
            (Err(source), condition) => {
                let told = EvalError::told_by(&source.to_string());
                return Err(match (told, condition) {
                    (Some(told), Some(Condition { expr, .. })) => unasked(expr, told.reason()),
                    _ => StorageError::Database { attempt, source },
                });
            }
        }
    }
}

fn unasked(expr: &Expr, reason: Label) -> StorageError {
    StorageError::Condition { expression: expr.source().to_owned(), reason }
}

/// The settled records that have a word beginning with each of these, the best known first.
pub(super) fn search(connection: &Connection, words: &[String], limit: usize) -> Result<Vec<View>, StorageError> {
    let attempt = "search";
    if words.is_empty() {
        return Ok(Vec::new());
    }
    // Each word quoted: nothing that a person types is syntax.
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"*", word.replace('"', ""))).collect();
    let sql = format!(
        "SELECT e.name, r.id, r.seq, r.body
         FROM record_text t JOIN record r ON r.num = t.rowid JOIN entity e ON e.code = r.entity
         WHERE record_text MATCH ?1 AND {SETTLED} ORDER BY e.code, r.title, r.id LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql).attempting(attempt)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![quoted.join(" AND "), limit]).attempting(attempt)?;
    let mut views = Vec::new();
    while let Some(row) = rows.next().attempting(attempt)? {
        views.push(settled_view(row)?);
    }
    Ok(views)
}

/// The settled records of an entity whose folded title is this.
pub(super) fn titled(connection: &Connection, entity: &str, folded: &str) -> Result<Vec<RecordId>, StorageError> {
    let attempt = "find a record by its title";
    let sql = format!(
        "SELECT r.id FROM record r JOIN entity e ON e.code = r.entity
         WHERE e.name = ?1 AND r.title = ?2 AND {SETTLED} ORDER BY r.id"
    );
    let mut statement = connection.prepare_cached(&sql).attempting(attempt)?;
    let ids = statement.query_map([entity, folded], |row| row.get(0).map(record_id)).attempting(attempt)?;
    ids.collect::<Result<_, _>>().attempting(attempt)
}

/// How many settled records there are of each entity.
pub(super) fn counts(connection: &Connection) -> Result<BTreeMap<String, u64>, StorageError> {
    let attempt = "count records";
    let sql = format!(
        "SELECT e.name, count(*) FROM record r JOIN entity e ON e.code = r.entity WHERE {SETTLED} GROUP BY e.name"
    );
    let mut statement = connection.prepare(&sql).attempting(attempt)?;
    let counts =
        statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))).attempting(attempt)?;
    counts.collect::<Result<_, _>>().attempting(attempt)
}

fn settled_view(row: &Row) -> Result<View, StorageError> {
    let attempt = "read a record";
    let id = record_id(row.get(1).attempting(attempt)?);
    let body = row.get_ref(3).attempting(attempt)?.as_str().map_err(|error| StorageError::Unreadable {
        what: format!("record.body of {id}"),
        reason: error.to_string(),
    })?;
    Ok(View {
        id,
        entity: row.get(0).attempting(attempt)?,
        base: number(row, 2)?,
        fields: json::read(body, || format!("record.body of {id}"))?,
        unsent: BTreeSet::new(),
    })
}

pub(super) fn number(row: &Row, column: usize) -> Result<u64, StorageError> {
    let number: i64 = row.get(column).attempting("read a number")?;
    Ok(number.cast_unsigned())
}

fn record_id(bytes: [u8; 16]) -> RecordId {
    RecordId(Uuid::from_bytes(bytes))
}
