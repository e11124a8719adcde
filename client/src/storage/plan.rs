//! Which words of a record the device finds it by.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crm::Fields;
use crm::model::{Entity, FieldKind, Model};
use crm::rules::fold;
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_protocol::wire::chunk::{ChunkError, ChunkRow};

use super::words::{Words, WordsOf};

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
    ///
    /// # Panics
    /// Never: every value has words.
    #[must_use]
    pub fn index(&self, entity: &str, fields: &Fields) -> Indexed {
        let Some(plan) = self.entities.get(entity) else {
            return Indexed::default();
        };
        plan.index(|name| fields.get(name).map(Field::Read)).expect("every value has words")
    }

    /// The same of a chunk's row, of which only the fields are read that the index is about.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn index_row(&self, entity: &str, row: &ChunkRow<'_>) -> Result<Indexed, ChunkError> {
        let Some(plan) = self.entities.get(entity) else {
            return Ok(Indexed::default());
        };
        plan.index(|name| row.json(name).map(Field::Json))
            .map_err(|error| ChunkError::Malformed { reason: format!("a field of record {}: {error}", row.id) })
    }
}

/// What a record has in a field.
#[derive(Clone, Copy)]
enum Field<'a> {
    Read(&'a Value),
    /// As it came.
    Json(&'a str),
}

impl<'a> Field<'a> {
    fn push_words(self, words: Words<'_>) -> Result<(), serde_json::Error> {
        match self {
            Self::Read(value) => words.deserialize(value),
            Self::Json(json) => words.deserialize(&mut serde_json::Deserializer::from_str(json)),
        }
    }

    /// None where it is no text.
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Read(value) => value.as_str().map(Cow::Borrowed),
            Self::Json(json) => serde_json::from_str(json).ok().map(Cow::<str>::Owned),
        }
    }
}

impl EntityPlan {
    fn index<'a>(&self, field: impl Fn(&str) -> Option<Field<'a>>) -> Result<Indexed, serde_json::Error> {
        let mut words = String::new();
        for field in self.words.iter().filter_map(|name| field(name)) {
            field.push_words(Words { words: &mut words, of: WordsOf::Texts })?;
        }
        let mut words = fold(&words);
        words.push(' ');
        for field in self.phones.iter().filter_map(|name| field(name)) {
            field.push_words(Words { words: &mut words, of: WordsOf::Phones })?;
        }
        let title = self.titles.iter().filter_map(|name| field(name)).find_map(Field::text);
        Ok(Indexed { title: title.as_deref().map(fold).unwrap_or_default(), words })
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
