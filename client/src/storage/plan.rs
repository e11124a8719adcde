//! Which words of a record the device finds it by.

use std::collections::BTreeMap;

use crm::Fields;
use crm::model::{Entity, FieldKind, Model};
use crm::rules::fold;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_protocol::wire::chunk::{ChunkError, ChunkRow};

/// From this many digits on, the last ones of a phone number are a word of their own: people leave the prefix away.
const NATIONAL_DIGITS: usize = 9;

/// For each entity, the field that names a record and those that it is found by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPlan {
    entities: BTreeMap<String, EntityPlan>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EntityPlan {
    /// The first of these that a record has is its title, as in `crm::rules::title`.
    titles: Vec<String>,
    words: Vec<String>,
    phones: Vec<String>,
}

/// What the index knows of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Its title, folded.
    pub title: String,
    /// Its words, folded, between spaces.
    pub words: String,
}

impl IndexPlan {
    /// The plan that a model asks for.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let entities = model.entities.values().map(|entity| (entity.name.clone(), EntityPlan::of(entity)));
        Self { entities: entities.collect() }
    }

    /// What the index is to know of a record; nothing of one whose entity the plan does not know.
    #[must_use]
    pub fn index(&self, entity: &str, fields: &Fields) -> Indexed {
        self.entities.get(entity).map(|plan| plan.index(fields)).unwrap_or_default()
    }

    /// The same of a chunk's row, of which only the fields are read that the index is about.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn index_row(&self, entity: &str, row: &ChunkRow<'_>) -> Result<Indexed, ChunkError> {
        let Some(plan) = self.entities.get(entity) else {
            return Ok(Indexed::default());
        };
        let mut fields = Fields::new();
        for name in plan.titles.iter().chain(&plan.words).chain(&plan.phones) {
            if let Some(value) = row.field(name)?.filter(|_| !fields.contains_key(name)) {
                fields.insert(name.clone(), value);
            }
        }
        Ok(plan.index(&fields))
    }
}

impl EntityPlan {
    fn index(&self, fields: &Fields) -> Indexed {
        let plan = self;
        let mut words = String::new();
        for value in plan.words.iter().filter_map(|name| fields.get(name)) {
            push_texts(&mut words, value);
        }
        let mut words = fold(&words);
        for value in plan.phones.iter().filter_map(|name| fields.get(name)) {
            push_phones(&mut words, value);
        }
        let title = plan.titles.iter().filter_map(|name| fields.get(name)).find_map(Value::as_str);
        let title = title.map(fold).unwrap_or_default();
        Indexed { title, words }
    }

    fn of(entity: &Entity) -> Self {
        let searched = || entity.fields.values().filter(|field| field.search);
        let is_phones = |kind: &FieldKind| *kind == FieldKind::Phones;
        let numbered = entity.number.as_ref().map(|number| number.field.as_str());
        let titles = [Some(entity.title.as_str()), numbered, Some("external_id")];
        Self {
            titles: titles.into_iter().flatten().map(str::to_owned).collect(),
            words: searched().filter(|field| !is_phones(&field.kind)).map(|field| field.name.clone()).collect(),
            phones: searched().filter(|field| is_phones(&field.kind)).map(|field| field.name.clone()).collect(),
        }
    }
}

/// Every text in a value, whatever its shape.
fn push_texts(words: &mut String, value: &Value) {
    match value {
        Value::String(text) => {
            words.push_str(text);
            words.push(' ');
        }
        Value::Number(number) => {
            words.push_str(&number.to_string());
            words.push(' ');
        }
        Value::Array(items) => items.iter().for_each(|item| push_texts(words, item)),
        Value::Object(members) => members.values().for_each(|member| push_texts(words, member)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The digits of each number as one word, and its national part as another.
fn push_phones(words: &mut String, value: &Value) {
    for phone in value.as_array().into_iter().flatten() {
        for form in ["raw", "e164"] {
            let digits = digits(phone[form].as_str().unwrap_or_default());
            if digits.is_empty() {
                continue;
            }
            words.push(' ');
            words.push_str(&digits);
            if digits.len() > NATIONAL_DIGITS {
                words.push(' ');
                words.push_str(&digits[digits.len() - NATIONAL_DIGITS..]);
            }
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// The words of a query, folded; a phone number, however it is spaced, is one word.
#[must_use]
pub fn query_words(text: &str) -> Vec<String> {
    let is_phone = text.chars().any(|letter| letter.is_ascii_digit())
        && text.chars().all(|letter| letter.is_ascii_digit() || " +-().".contains(letter));
    if is_phone {
        return vec![digits(text)];
    }
    split_words(&fold(text)).map(str::to_owned).collect()
}

/// The words of a folded text, as the index splits it.
pub fn split_words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether every word of the query begins a word of the record.
#[must_use]
pub fn matches(indexed: &Indexed, query: &[String]) -> bool {
    !query.is_empty()
        && query.iter().all(|wanted| split_words(&indexed.words).any(|word| word.starts_with(wanted.as_str())))
}
