//! The SQL of either dialect, to be read by people when it changes: PostgreSQL is not at hand in every test run.

use std::fmt::Write;

use crm::expr::{Dialect, Expr, body_column};

use crate::fixture::File;

const EXPRESSIONS: [&str; 24] = [
    "amount > 100000",
    "-quantity / other",
    "quantity % 3",
    "round_half_up(amount * probability, 100)",
    "close_date > today - 180",
    "close_date >= created_on",
    "created_on + 3600000 < now",
    "close_date.year == today.year && created_on.month == 1",
    "stage.kind == 'won' || stage.probability > 50",
    "stage in ['won', 'lost']",
    "quantity != 0 && 10 / quantity > 1",
    "vip ? 'it\\'s' : null",
    "name < 'Ñ'",
    "name.contains('%')",
    "name.startsWith('a')",
    "name.endsWith(vip ? 'a' : 'b')",
    "size(name) > size(tags)",
    "has(tags) && phones == null",
    "'vip' in tags",
    "tags.exists(t, t == 'vip')",
    "[quantity, 1].all(n, n > 0)",
    "owner == me && about.entity == 'account' && amount.currency != 'EUR'",
    "9223372036854775807 + (today - today + 1)",
    "['new']",
];

#[test]
fn sql_of_expressions() {
    let file = File::read();
    let (entity, variables) = (file.entity(), file.variables());
    let mut text = String::new();
    for source in EXPRESSIONS {
        let expression = Expr::compile(source).expect("it compiles");
        let sql = |dialect| expression.to_sql(&entity, dialect, "r.body", &variables).expect("it is well typed");
        let (sqlite, postgres) = (sql(Dialect::Sqlite), sql(Dialect::Postgres));
        writeln!(text, "{source}\n  SQLite      {sqlite}\n  PostgreSQL  {postgres}").expect("text takes text");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn sql_of_columns() {
    let entity = File::read().entity();
    let mut text = String::new();
    for field in entity.fields.values() {
        let sql = |dialect| body_column(&entity, field, dialect, "r.body");
        let (sqlite, postgres) = (sql(Dialect::Sqlite), sql(Dialect::Postgres));
        writeln!(text, "{}\n  SQLite      {sqlite}\n  PostgreSQL  {postgres}", field.name).expect("text takes text");
    }
    insta::assert_snapshot!(text);
}
