//! What happened in the made-up company, as changes in the order in which they were made.

use std::collections::BTreeMap;

use serde_json::Value;
use sync_protocol::id::RecordId;
use sync_protocol::wire::MutationKind;

use super::calendar::{Day, instant};
use crate::record::write::Change;

/// Who did what.
#[derive(Debug, Default)]
pub struct Story {
    /// What was there when the year began, brought in by the operator.
    pub setting: Vec<Change>,
    /// What each person did on each working day since.
    days: BTreeMap<(Day, RecordId), Vec<Change>>,
}

/// What one person did on one day, sent in the evening.
#[derive(Debug)]
pub struct Sitting {
    /// When the server received it.
    pub at_ms: i64,
    /// The person.
    pub user: RecordId,
    /// In order.
    pub changes: Vec<Change>,
}

impl Story {
    /// Adds to what was there when the year began.
    pub fn found(&mut self, change: Change) {
        self.setting.push(change);
    }

    /// Adds what `user` did on `day`.
    pub fn did(&mut self, day: Day, user: RecordId, change: Change) {
        self.days.entry((day, user)).or_default().push(change);
    }

    /// How much there is to write.
    pub fn number_of_changes(&self) -> usize {
        self.setting.len() + self.days.values().map(Vec::len).sum::<usize>()
    }

    /// Everything in order, whoever did it.
    #[cfg(test)]
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.setting.iter().chain(self.days.values().flatten())
    }

    /// The year, day by day.
    pub fn into_sittings(self) -> impl Iterator<Item = Sitting> {
        self.days.into_iter().map(|((day, user), changes)| Sitting { at_ms: instant(day, 18, 30), user, changes })
    }
}

/// A new record.
pub fn made<'a>(entity: &str, record: RecordId, fields: impl IntoIterator<Item = (&'a str, Value)>) -> Change {
    change(MutationKind::Create, entity, record, fields)
}

/// Changed fields of a record.
pub fn changed<'a>(entity: &str, record: RecordId, fields: impl IntoIterator<Item = (&'a str, Value)>) -> Change {
    change(MutationKind::Update, entity, record, fields)
}

/// A field that is left out where it has no value.
fn change<'a>(
    kind: MutationKind,
    entity: &str,
    record: RecordId,
    fields: impl IntoIterator<Item = (&'a str, Value)>,
) -> Change {
    let set = fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value));
    Change { kind, entity: entity.to_owned(), record, base: None, set: set.collect(), ops: Vec::new() }
}

/// A record as the field kind `link` holds it.
pub fn link(record: RecordId) -> Value {
    Value::from(record.to_string())
}

/// Euros as the field kind `money` holds them.
pub fn euros(minor: i64) -> Value {
    serde_json::json!({ "minor": minor, "currency": "EUR" })
}
