//! Where SQLite and PostgreSQL differ, side by side.

use crm::expr::Dialect;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

/// A 16-byte id as a literal.
#[must_use]
pub fn uuid_literal(dialect: Dialect, id: Uuid) -> String {
    match dialect {
        Dialect::Sqlite => format!("x'{}'", id.as_simple()),
        Dialect::Postgres => format!("'\\x{}'::bytea", id.as_simple()),
    }
}

/// A column of 16-byte ids as lowercase hyphenated text.
#[must_use]
pub fn uuid_text(dialect: Dialect, column: &str) -> String {
    let hex = match dialect {
        Dialect::Sqlite => format!("lower(hex({column}))"),
        Dialect::Postgres => format!("encode({column}, 'hex')"),
    };
    let parts = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)];
    let parts = parts.map(|(from, length)| format!("substr({hex}, {from}, {length})"));
    format!("({})", parts.join(" || '-' || "))
}

/// The value at `path` in a JSON column, as text; lists and objects as JSON.
#[must_use]
pub fn json_text(dialect: Dialect, body: &str, path: &[&str]) -> String {
    match dialect {
        Dialect::Sqlite => format!("({body} ->> '$.{}')", path.join(".")),
        Dialect::Postgres => format!("({body} #>> '{{{}}}')", path.join(",")),
    }
}

/// The values of `expressions` as one JSON array.
#[must_use]
pub fn json_array(dialect: Dialect, expressions: &[String]) -> String {
    let function = match dialect {
        Dialect::Sqlite => "json_array",
        Dialect::Postgres => "json_build_array",
    };
    format!("{function}({})", expressions.join(", "))
}

/// A text column as people sort it: case and accents do not count; see [`reading_order`].
#[must_use]
pub fn in_reading_order(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("({text} COLLATE reading_order)"),
        Dialect::Postgres => format!("({text} COLLATE \"und-x-icu\")"),
    }
}

/// How SQLite compares texts under the collation `reading_order`: letter by letter without case and accents, so that
/// "ábaco" stands beside "Abad" and not behind "zumo"; texts that differ in nothing else are the same place.
#[must_use]
pub fn reading_order(left: &str, right: &str) -> std::cmp::Ordering {
    letters(left).cmp(letters(right))
}

fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase)
}
