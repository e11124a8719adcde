//! Search: words from their beginning, in any order, across entities; accents and case do not matter.

use crm::Fields;
use crm::model::Label;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, SqliteConnection};
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::{ReadError, Reader, Record, Row, Target};
use crate::record::search_text::search_text;

/// The most hits.
pub const MAX_LIMIT: u32 = 50;

/// Hits when nothing else is asked for.
const DEFAULT_LIMIT: u32 = 20;

/// The most words that a search looks at.
const MAX_WORDS: usize = 12;

/// What is looked for, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// Words, or a telephone number.
    pub q: String,
    /// Only these entities, comma-separated; all that the user reads when absent.
    pub entity: Option<String>,
    /// At most [`MAX_LIMIT`].
    pub limit: Option<u32>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Hits {
    /// Best first.
    pub items: Vec<Hit>,
}

/// A record that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    /// What people call the record.
    pub title: String,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
}

impl Reader {
    /// The records that the user may read and that hold every word in fields that she sees.
    ///
    /// # Errors
    /// [`ReadError`] names the parameter that is not understood, or the database's own.
    pub async fn search(&self, connection: &mut SqliteConnection, query: &SearchQuery) -> Result<Hits, ReadError> {
        let targets = self.searched(query.entity.as_deref())?;
        let limit = match query.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => limit as usize,
            _ => return Err(refuse("limit", format!("de 1 a {MAX_LIMIT}"), format!("1 to {MAX_LIMIT}"))),
        };
        let Some(wanted) = Wanted::parse(&query.q) else {
            return Err(refuse(
                "q",
                "escriba al menos una letra o cifra".into(),
                "give at least one letter or digit".into(),
            ));
        };
        if targets.is_empty() {
            return Ok(Hits { items: Vec::new() });
        }
        let conditions = targets
            .iter()
            .map(|target| Ok(format!("({})", target.condition(None)?)))
            .collect::<Result<Vec<_>, ReadError>>()?;
        let sql = format!(
            "SELECT r.entity, r.id, r.seq, r.body FROM record_text JOIN record r ON r.num = record_text.rowid
             WHERE record_text MATCH $1 AND ({}) ORDER BY record_text.rank, r.seq DESC LIMIT $2 OFFSET $3",
            conditions.join(" OR ")
        );

        let mut items = Vec::new();
        // The index knows the words of hidden fields too: hits that only those explain are passed over, and more read.
        for offset in (0..).step_by(4 * MAX_LIMIT as usize).take(5) {
            let rows: Vec<(i64, Uuid, i64, String)> = sqlx::query_as(AssertSqlSafe(sql.as_str()))
                .persistent(false)
                .bind(wanted.expression())
                .bind(4 * MAX_LIMIT)
                .bind(offset)
                .fetch_all(&mut *connection)
                .await?;
            let is_last = rows.len() < 4 * MAX_LIMIT as usize;
            for (code, id, seq, body) in rows {
                let Some(target) = targets.iter().find(|target| target.code == code) else { continue };
                let row = Row { id: RecordId(id), seq: seq.cast_unsigned(), body };
                items.extend(hit(target, row, &wanted)?);
                if items.len() == limit {
                    return Ok(Hits { items });
                }
            }
            if is_last {
                break;
            }
        }
        Ok(Hits { items })
    }

    fn searched(&self, entities: Option<&str>) -> Result<Vec<Target<'_>>, ReadError> {
        match entities.map(str::trim).filter(|entities| !entities.is_empty()) {
            Some(entities) => entities.split(',').map(|entity| self.target(entity.trim())).collect(),
            // An entity whose records are not for this role is left out, not refused.
            None => Ok(self.rights.view.model.entities.keys().filter_map(|entity| self.target(entity).ok()).collect()),
        }
    }
}

fn hit(target: &Target<'_>, row: Row, wanted: &Wanted) -> Result<Option<Hit>, ReadError> {
    let id = row.id;
    let record = target.record(row, None)?;
    let damaged = |source| ReadError::Damaged { entity: target.seen.name.clone(), id, source };
    let fields: Fields = record.parsed().map_err(damaged)?;
    let hides_words = target.whole.fields.values().any(|field| field.search && !target.projection.shows(&field.name));
    if hides_words && !wanted.is_found_in(&search_text(target.seen, &fields)) {
        return Ok(None);
    }
    Ok(Some(Hit { title: crm::rules::title(target.seen, &fields), record }))
}

/// The words looked for, folded.
struct Wanted {
    words: Vec<String>,
    /// The digits of a text that may be a telephone number, run together.
    digits: Option<String>,
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<String> = words(text).take(MAX_WORDS).collect();
        if words.is_empty() {
            return None;
        }
        let is_number = text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "+-.()/".contains(c));
        let digits = is_number.then(|| words.concat()).map(|digits| digits.trim_start_matches("00").to_owned());
        Some(Self { words, digits: digits.filter(|digits| !digits.is_empty()) })
    }

    /// As FTS5 reads it. Words are letters and digits only: nothing in them is syntax.
    fn expression(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|word| format!("\"{word}\"*")).collect();
        let words = words.join(" AND ");
        self.digits.as_ref().map_or_else(|| words.clone(), |digits| format!("({words}) OR \"{digits}\"*"))
    }

    fn is_found_in(&self, text: &str) -> bool {
        let present: Vec<String> = words(text).collect();
        let begins = |wanted: &String| present.iter().any(|word| word.starts_with(wanted.as_str()));
        self.words.iter().all(begins) || self.digits.as_ref().is_some_and(begins)
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = crm::rules::fold(text);
    let words: Vec<String> =
        folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.into_iter()
}

fn refuse(parameter: &'static str, es: String, en: String) -> ReadError {
    ReadError::Parameter { parameter, reason: Label { es, en } }
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn what_a_person_types_is_never_query_syntax() {
        for hostile in ["a\" OR \"b", "NEAR(a b)", "text:x", "a* NOT b", "^a", "{a}", "a AND"] {
            let expression = Wanted::parse(hostile).expect("has words").expression();
            let words = expression.split(" AND ").all(|word| word.starts_with('"') && word.ends_with("\"*"));
            assert!(words, "{hostile} became {expression}");
        }
        assert!(Wanted::parse("\"*-").is_none());
    }

    #[test]
    fn a_number_with_spaces_is_also_looked_for_in_one_piece() {
        let wanted = Wanted::parse("+34 612 34").expect("has words");
        assert_eq!(wanted.expression(), "(\"34\"* AND \"612\"* AND \"34\"*) OR \"3461234\"*");
    }
}
