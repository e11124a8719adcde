//! A record in a real SQLite, and an expression asked of it.

use crm::Fields;
use crm::expr::{Dialect, Expr, Type, Variables};
use crm::model::Entity;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value as Json, json};

use crate::fixture::Outcome;

pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub fn open() -> Self {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        connection.execute_batch("CREATE TABLE record (body TEXT NOT NULL) STRICT").expect("the table is made");
        Self { connection }
    }

    pub fn hold(&self, record: &Fields) {
        let body = serde_json::to_string(record).expect("a record is JSON");
        self.connection.execute_batch("DELETE FROM record").expect("the table is emptied");
        self.connection.execute("INSERT INTO record (body) VALUES (?1)", [body]).expect("the record is written");
    }

    /// The value for the record it holds, as the evaluator in memory would word it.
    pub fn ask(&self, expression: &Expr, entity: &Entity, variables: &Variables) -> Outcome {
        let kind = expression.result_type(entity).expect("the expression was checked");
        let sql =
            expression.to_sql(entity, Dialect::Sqlite, "r.body", variables).expect("a checked expression has SQL");
        let cell: Result<Cell, rusqlite::Error> =
            self.connection.query_row(&format!("SELECT {sql} FROM record AS r"), [], |row| row.get(0));
        match cell {
            Ok(cell) => Ok(value_of(cell, kind, &sql)),
            Err(error) => Err(reason(&error.to_string(), &sql)),
        }
    }
}

fn value_of(cell: Cell, kind: Type, sql: &str) -> Json {
    match (cell, kind) {
        (Cell::Null, _) => Json::Null,
        (Cell::Integer(0), Type::Bool) => json!(false),
        (Cell::Integer(1), Type::Bool) => json!(true),
        (Cell::Integer(value), Type::Int | Type::Date | Type::Instant) => json!(value),
        (Cell::Text(text), Type::Text) => json!(text),
        (Cell::Text(text), Type::List(_)) => serde_json::from_str(&text).expect("a list is a JSON array"),
        (cell, kind) => panic!("{cell:?} is no {kind:?}, from {sql}"),
    }
}

fn reason(message: &str, sql: &str) -> String {
    ["integer overflow", "division by zero"]
        .into_iter()
        .find(|known| message.contains(known))
        .unwrap_or_else(|| panic!("{message}, from {sql}"))
        .to_owned()
}
