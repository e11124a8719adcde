//! From what fields were called to what they are called: how records, and changes that wait on a device, follow when the
//! model changes.
//!
//! Names are never given again (the check of a model sees to it), so what a name of any former version means now does not
//! depend on how many versions lie between: a step over several versions is the same as one after the other.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::{Entity, FieldKind, Model};
use crate::Fields;

/// What became of the fields of one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evolution {
    /// Former names, each with the present one.
    pub renamed: BTreeMap<String, String>,
    /// Fields that are no more, or are no longer shown.
    pub gone: Vec<String>,
    /// By the present name of a field: former keys of its options, each with the present one.
    pub options: BTreeMap<String, IndexMap<String, String>>,
}

impl Evolution {
    /// All that ever became of the entity's fields: for what is of any former version.
    #[must_use]
    pub fn of(entity: &Entity) -> Self {
        let fields = || entity.fields.values();
        let names = fields().flat_map(|field| field.was.iter().map(|was| (was.clone(), field.name.clone())));
        let options = fields().filter(|field| !field.was_options.is_empty());
        Self {
            renamed: names.collect(),
            gone: entity.removed.clone(),
            options: options.map(|field| (field.name.clone(), field.was_options.clone())).collect(),
        }
    }

    /// What became of the fields of each entity from one model to a later one; only entities where something did.
    #[must_use]
    pub fn between(before: &Model, after: &Model) -> BTreeMap<String, Self> {
        let both = before.entities.values().filter_map(|known| Some((known, after.entity(&known.name)?)));
        both.map(|(known, entity)| (entity.name.clone(), Self::from(known, entity)))
            .filter(|(_, evolution)| !evolution.is_nothing())
            .collect()
    }

    fn from(before: &Entity, after: &Entity) -> Self {
        let mut found = Self::default();
        for field in before.fields.values() {
            let Some(now) = after.now_called(&field.name).and_then(|name| after.field(name)) else {
                found.gone.push(field.name.clone());
                continue;
            };
            if now.name != field.name {
                found.renamed.insert(field.name.clone(), now.name.clone());
            }
            let (FieldKind::Enum { options } | FieldKind::Enums { options }) = &field.kind else { continue };
            let was = |key: &String| options.iter().any(|option| option.key == *key);
            let renamed: IndexMap<_, _> =
                now.was_options.iter().filter(|(key, _)| was(key)).map(|(key, to)| (key.clone(), to.clone())).collect();
            if !renamed.is_empty() {
                found.options.insert(now.name.clone(), renamed);
            }
        }
        found
    }

    /// Whether everything is called as before.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What a field of that name is called now; `None` when it is no more.
    #[must_use]
    pub fn name<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.gone.iter().any(|gone| gone == name) {
            return None;
        }
        Some(self.renamed.get(name).map_or(name, String::as_str))
    }

    /// Calls values as they are called now; those of fields that are no more are taken out and returned, under the names
    /// that they had. Doing it twice is doing it once.
    #[must_use = "what is taken out may be somebody's words"]
    pub fn follow(&self, fields: &mut Fields) -> Fields {
        let mut gone = Fields::new();
        let called_otherwise: Vec<String> =
            fields.keys().filter(|name| self.name(name) != Some(name.as_str())).cloned().collect();
        for was in called_otherwise {
            let Some(value) = fields.remove(&was) else { continue };
            match self.name(&was).filter(|now| !fields.contains_key(*now)) {
                Some(now) => {
                    fields.insert(now.to_owned(), value);
                }
                None => {
                    gone.insert(was, value);
                }
            }
        }
        for name in self.options.keys() {
            if let Some(value) = fields.get_mut(name) {
                self.follow_options(name, value);
            }
        }
        gone
    }

    /// Calls the options in a value of the field that is now called `name` as they are called now.
    pub fn follow_options(&self, name: &str, value: &mut Value) {
        let Some(renamed) = self.options.get(name) else { return };
        match value {
            Value::String(key) => {
                if let Some(now) = renamed.get(key) {
                    key.clone_from(now);
                }
            }
            Value::Array(keys) => {
                for key in keys.iter_mut() {
                    self.follow_options(name, key);
                }
                keys.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                keys.dedup();
            }
            _ => {}
        }
    }
}

impl Entity {
    /// What the field is called that is or was called `name`; `None` where no field was.
    #[must_use]
    pub fn now_called(&self, name: &str) -> Option<&str> {
        let is_it = |field: &&super::Field| field.name == name || field.was.iter().any(|was| was == name);
        self.fields.values().find(is_it).map(|field| field.name.as_str())
    }
}
