//! Counts and sums over the records that a user may read, as a whole or by one field.

use std::collections::BTreeMap;

use crm::expr::body_column;
use crm::model::{Field, FieldKind, Label};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::{DIALECT, ReadError, Reader, Target};
use crate::platform::db::dialect;

/// The most groups of a summary; a field with more values groups nothing that a person could read.
pub const MAX_GROUPS: usize = 1_000;

/// The most fields summed at once.
const MAX_SUMS: usize = 8;

/// What to count and add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SummaryQuery {
    /// An expression; all records when absent.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// Fields to add up, comma-separated.
    pub sum: Option<String>,
    /// A field to group by.
    pub by: Option<String>,
}

/// How many records, and what they add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records, those with empty fields included.
    pub count: i64,
    /// By field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sum: BTreeMap<String, Sum>,
    /// One per value of the field grouped by, sorted by it, the empty one last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Group>>,
}

/// The records that hold one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The value; `null` for the records without one.
    pub key: Value,
    /// How many.
    pub count: i64,
    /// By field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sum: BTreeMap<String, Sum>,
}

/// What a field adds up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Sum {
    /// Money, by currency: amounts in different currencies are not added.
    Money(Vec<Money>),
    /// Anything else, in the field's own unit.
    Number(i64),
}

/// An amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Money {
    /// In the currency's smallest unit.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
}

impl Reader {
    /// Counts and adds up the entity's records that the user may read.
    ///
    /// # Errors
    /// [`ReadError`] names the parameter that is not understood, or the database's own.
    pub async fn summary(
        &self,
        connection: &mut SqliteConnection,
        entity: &str,
        query: &SummaryQuery,
    ) -> Result<Summary, ReadError> {
        let target = self.target(entity)?;
        let summed = summed(&target, query.sum.as_deref().unwrap_or(""))?;
        let by = query.by.as_deref().map(str::trim).filter(|by| !by.is_empty());
        let key = by.map(|by| key_of(&target, by)).transpose()?;
        // The database has no truth values of its own.
        let is_truth = by.and_then(|by| target.seen.field(by)).is_some_and(|field| field.kind == FieldKind::Boolean);
        let sql = statement(&target, &summed, key.as_deref(), &target.condition(query.filter.as_deref())?);
        let rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await?;

        let mut groups: Vec<(Value, Totals)> = Vec::new();
        for row in rows {
            let key: String = row.try_get(0)?;
            let [key] = serde_json::from_str::<[Value; 1]>(&key).unwrap_or_default();
            let key = if is_truth { key.as_i64().map_or(key, |number| Value::Bool(number != 0)) } else { key };
            if groups.last().is_none_or(|(last, _)| *last != key) {
                if groups.len() == MAX_GROUPS {
                    return Err(too_many_groups(by.unwrap_or_default()));
                }
                groups.push((key, Totals::default()));
            }
            if let Some((_, totals)) = groups.last_mut() {
                totals.add(&row, &summed)?;
            }
        }
        let mut all = Totals::default();
        for (_, totals) in &groups {
            all.merge(totals);
        }
        let groups = groups
            .into_iter()
            .map(|(key, totals)| Ok(Group { key, count: totals.count, sum: totals.sums(&summed)? }))
            .collect::<Result<Vec<_>, ReadError>>()?;
        Ok(Summary { count: all.count, sum: all.sums(&summed)?, groups: by.map(|_| groups) })
    }
}

/// One row per value grouped by and currency of each sum: the rest is added here, where it cannot overflow.
fn statement(target: &Target<'_>, summed: &[&Field], key: Option<&str>, condition: &str) -> String {
    let key = key.unwrap_or("NULL");
    let mut select = vec![dialect::json_array(DIALECT, &[key.to_owned()]) + " AS k", "count(*)".to_owned()];
    let mut group = vec![key.to_owned()];
    for field in summed {
        let value = body_column(target.seen, field, DIALECT, "r.body");
        // In halves of 32 bits: no sum of 64-bit numbers overflows, and what does not fit is told by name.
        select.push(format!("coalesce(sum({value} >> 32), 0)"));
        select.push(format!("coalesce(sum({value} & 4294967295), 0)"));
        let currency = if field.kind == FieldKind::Money {
            dialect::json_text(DIALECT, "r.body", &[&field.name, "currency"])
        } else {
            "NULL".to_owned()
        };
        select.push(currency.clone());
        group.push(currency);
    }
    format!(
        "SELECT {} FROM record r WHERE {condition} GROUP BY {} ORDER BY {key} NULLS LAST",
        select.join(", "),
        group.join(", ")
    )
}

/// Sums in the making: by position in `summed`, then by currency (empty for what is not money).
#[derive(Default)]
struct Totals {
    count: i64,
    sums: BTreeMap<(usize, String), i128>,
}

impl Totals {
    fn add(&mut self, row: &sqlx::sqlite::SqliteRow, summed: &[&Field]) -> Result<(), sqlx::Error> {
        self.count += row.try_get::<i64, _>(1)?;
        for (at, field) in summed.iter().enumerate() {
            let high: i64 = row.try_get(2 + 3 * at)?;
            let low: i64 = row.try_get(3 + 3 * at)?;
            let currency: Option<String> = row.try_get(4 + 3 * at)?;
            if field.kind == FieldKind::Money && currency.is_none() {
                continue;
            }
            *self.sums.entry((at, currency.unwrap_or_default())).or_default() +=
                (i128::from(high) << 32) + i128::from(low);
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (key, sum) in &other.sums {
            *self.sums.entry(key.clone()).or_default() += sum;
        }
    }

    fn sums(&self, summed: &[&Field]) -> Result<BTreeMap<String, Sum>, ReadError> {
        let fits = |field: &Field, sum: i128| {
            i64::try_from(sum).map_err(|_| ReadError::Overflow { field: field.name.clone() })
        };
        let mut result = BTreeMap::new();
        for (at, field) in summed.iter().enumerate() {
            let mine = self.sums.iter().filter(|((of, _), _)| *of == at);
            let sum = if field.kind == FieldKind::Money {
                let amounts = mine
                    .map(|((_, currency), sum)| Ok(Money { minor: fits(field, *sum)?, currency: currency.clone() }));
                Sum::Money(amounts.collect::<Result<_, ReadError>>()?)
            } else {
                Sum::Number(fits(field, mine.map(|(_, sum)| *sum).sum())?)
            };
            result.insert(field.name.clone(), sum);
        }
        Ok(result)
    }
}

fn summed<'t>(target: &Target<'t>, names: &str) -> Result<Vec<&'t Field>, ReadError> {
    let names = target.fields("sum", names)?;
    if names.len() > MAX_SUMS {
        return Err(ReadError::Parameter {
            parameter: "sum",
            reason: Label { es: format!("como mucho {MAX_SUMS} campos"), en: format!("at most {MAX_SUMS} fields") },
        });
    }
    names
        .into_iter()
        .filter_map(|name| target.seen.field(name))
        .map(|field| match field.kind {
            FieldKind::Money | FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Percent => Ok(field),
            _ => Err(ReadError::UnfitField {
                parameter: "sum",
                field: field.name.clone(),
                reason: Label {
                    es: "no es un número ni un importe".into(),
                    en: "it is neither a number nor money".into(),
                },
            }),
        })
        .collect()
}

fn key_of(target: &Target<'_>, name: &str) -> Result<String, ReadError> {
    let field = target.seen.field(name).ok_or_else(|| target.unknown_field("by", name))?;
    match &field.kind {
        FieldKind::Text { .. }
        | FieldKind::Date
        | FieldKind::Integer { .. }
        | FieldKind::Percent
        | FieldKind::Boolean
        | FieldKind::Enum { .. }
        | FieldKind::Stage { .. } => Ok(body_column(target.seen, field, DIALECT, "r.body")),
        FieldKind::Link { to } if to.len() == 1 => Ok(body_column(target.seen, field, DIALECT, "r.body")),
        _ => Err(ReadError::UnfitField {
            parameter: "by",
            field: name.to_owned(),
            reason: Label {
                es: "no tiene un único valor por el que agrupar".into(),
                en: "it does not hold one single value to group by".into(),
            },
        }),
    }
}

fn too_many_groups(by: &str) -> ReadError {
    ReadError::UnfitField {
        parameter: "by",
        field: by.to_owned(),
        reason: Label {
            es: format!("tiene más de {MAX_GROUPS} valores; filtre con where"),
            en: format!("it has more than {MAX_GROUPS} values; filter with where"),
        },
    }
}
