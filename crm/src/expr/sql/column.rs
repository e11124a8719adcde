//! Reading one field of a record's body.

use super::{Dialect, Emit, Shape, Sql, quoted};
use crate::expr::ExprError;
use crate::expr::calendar::{FIRST_DAY, LAST_DAY};
use crate::expr::node::Part;
use crate::expr::record;
use crate::expr::types::{self, Type};
use crate::model::{Entity, Field, FieldKind, Stage};

/// The value of one field of the body, typed: the one place that knows how a field is read in SQL, shared by
/// expressions, views and indexes. Deterministic in both dialects, so that it can be indexed.
///
/// | kind | SQLite | PostgreSQL |
/// |---|---|---|
/// | integer, decimal, percent; money (its `minor`); datetime (milliseconds) | `INTEGER` | `bigint` |
/// | boolean | 0 or 1 | `boolean` |
/// | date | `TEXT` as `2026-11-22` | `date` |
/// | file | its hash as text | same |
/// | link | the id as text, also of a link to several entities | same |
/// | lists and things with parts | JSON text | `jsonb` |
/// | all else | `TEXT` | `text` |
///
/// `body` is SQL and written as it is; qualify it (`r.body`).
#[must_use]
pub fn body_column(_entity: &Entity, field: &Field, dialect: Dialect, body: &str) -> String {
    let name = field.name.as_str();
    match &field.kind {
        FieldKind::Money => typed(dialect, &inner_text(dialect, body, name, "minor"), "bigint"),
        FieldKind::Link { to } if to.len() > 1 => inner_text(dialect, body, name, "id"),
        FieldKind::Blob { .. } => inner_text(dialect, body, name, "hash"),
        FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Percent | FieldKind::Datetime => {
            typed(dialect, &text(body, name), "bigint")
        }
        FieldKind::Boolean => typed(dialect, &text(body, name), "boolean"),
        FieldKind::Date => match dialect {
            Dialect::Sqlite => text(body, name),
            // A cast to date depends on a setting of the session, which no index allows.
            Dialect::Postgres => {
                let date = text(body, name);
                format!("make_date(left({date}, 4)::int, substr({date}, 6, 2)::int, right({date}, 2)::int)")
            }
        },
        kind if record::is_list(kind) && dialect == Dialect::Postgres => format!("({body} -> {})", quoted(name)),
        _ => text(body, name),
    }
}

fn text(body: &str, name: &str) -> String {
    format!("({body} ->> {})", quoted(name))
}

fn inner_text(dialect: Dialect, body: &str, name: &str, inner: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("({body} ->> {})", quoted(&format!("$.{name}.{inner}"))),
        Dialect::Postgres => format!("({body} -> {} ->> {})", quoted(name), quoted(inner)),
    }
}

fn typed(dialect: Dialect, text: &str, name: &str) -> String {
    match dialect {
        Dialect::Sqlite => text.to_owned(),
        Dialect::Postgres => format!("{text}::{name}"),
    }
}

impl Emit<'_> {
    pub(super) fn field(&self, at: usize, name: &str, part: Part) -> Result<Sql, ExprError> {
        let field = self
            .entity
            .field(name)
            .ok_or_else(|| ExprError::at(at, format!("{} has no field {name}", self.entity.name)))?;
        let kind = types::of_part(&field.kind, part)
            .ok_or_else(|| ExprError::at(at, format!("{name} has no part {}", part.as_str())))?;
        let column = body_column(self.entity, field, self.dialect, self.body);
        let text = match (&field.kind, part) {
            (FieldKind::Date, Part::Whole) => self.day_number(&column),
            (FieldKind::Date, part) => {
                let day = self.day_number(&column);
                self.calendar_part(&day, part)
            }
            (FieldKind::Datetime, Part::Year | Part::Month) => {
                let day = format!("({})", self.day_of_ms(&column));
                self.calendar_part(&day, part)
            }
            (FieldKind::Money, Part::Currency) => inner_text(self.dialect, self.body, name, "currency"),
            (FieldKind::Link { .. }, Part::Entity) => inner_text(self.dialect, self.body, name, "entity"),
            (FieldKind::Stage { pipeline, .. }, Part::Kind | Part::Probability | Part::Category) => {
                let stages = self.entity.pipelines.get(pipeline).map_or(&[][..], |pipeline| &pipeline.stages);
                self.of_stage(&column, stages, part)
            }
            (kind, _) if record::is_list(kind) => match self.dialect {
                Dialect::Sqlite => format!("coalesce({column}, '[]')"),
                Dialect::Postgres => format!("coalesce({column}, '[]'::jsonb)"),
            },
            _ => column,
        };
        // A stage's CASE is cheap, but as long as its pipeline.
        let shape = if text.contains("CASE") { Shape::Compound } else { Shape::Atom };
        Ok(Sql { text, kind, shape })
    }

    fn day_number(&self, date: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => format!("(unixepoch({date}) / 86400)"),
            Dialect::Postgres => format!("({date} - DATE '1970-01-01')::bigint"),
        }
    }

    fn calendar_part(&self, day: &str, part: Part) -> String {
        let year = part == Part::Year;
        match self.dialect {
            Dialect::Sqlite => {
                let format = if year { "%Y" } else { "%m" };
                format!("CAST(strftime('{format}', {day} * 86400, 'unixepoch') AS INTEGER)")
            }
            Dialect::Postgres => {
                let unit = if year { "year" } else { "month" };
                // Outside the years 0 to 9999 there is no date, as in SQLite.
                format!(
                    "(CASE WHEN {day} BETWEEN {FIRST_DAY} AND {LAST_DAY} \
                     THEN extract({unit} FROM DATE '1970-01-01' + {day}::int)::bigint END)"
                )
            }
        }
    }

    fn of_stage(&self, column: &str, stages: &[Stage], part: Part) -> String {
        let value = |stage: &Stage| match part {
            Part::Probability => self.int(i64::from(stage.probability)),
            Part::Category => quoted(&stage.category),
            _ => quoted(stage.kind.as_str()),
        };
        if stages.is_empty() {
            return "NULL".to_owned();
        }
        let cases: Vec<String> =
            stages.iter().map(|stage| format!("WHEN {} THEN {}", quoted(&stage.key), value(stage))).collect();
        format!("(CASE {column} {} END)", cases.join(" "))
    }

    /// How many members a list has.
    pub(super) fn list_length(&self, list: &Sql) -> String {
        debug_assert!(matches!(list.kind, Type::List(_) | Type::Things));
        match self.dialect {
            Dialect::Sqlite => format!("json_array_length({})", list.text),
            Dialect::Postgres => format!("jsonb_array_length({})::bigint", list.text),
        }
    }
}
