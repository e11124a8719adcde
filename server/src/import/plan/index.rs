use std::collections::{HashMap, HashSet};

use crm::Fields;
use crm::model::{Entity, FieldKind};
use crm::rules::{fold, names, texts};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sync_protocol::id::RecordId;

/// Which records of an entity have which names and keys. It holds digests and ids and no texts: some fifty bytes for
/// each name of a record.
#[derive(Debug, Default)]
pub struct Index {
    ids: HashSet<RecordId>,
    names: Names,
    keys: Names,
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    None,
    /// This record.
    One(RecordId),
    /// Several records.
    Many,
}

type Name = [u8; 16];

#[derive(Debug, Default)]
struct Names {
    first: HashMap<Name, RecordId>,
    /// The few names that several records share.
    shared: HashSet<Name>,
}

impl Names {
    fn add(&mut self, name: Name, record: RecordId) {
        let holder = *self.first.entry(name).or_insert(record);
        if holder != record {
            self.shared.insert(name);
        }
    }

    fn find(&self, name: &Name) -> Found {
        match self.first.get(name) {
            None => Found::None,
            Some(_) if self.shared.contains(name) => Found::Many,
            Some(record) => Found::One(*record),
        }
    }
}

impl Index {
    /// Adds a record under all its names and keys.
    pub fn add(&mut self, entity: &Entity, id: RecordId, fields: &Fields) {
        self.ids.insert(id);
        for text in names(entity, fields) {
            self.names.add(digest(&["name", &fold(&text)]), id);
        }
        for (at, key) in entity.import.keys.iter().enumerate() {
            for name in stored_keys(entity, at, key, fields) {
                self.keys.add(name, id);
            }
        }
    }

    /// The record of that id.
    #[must_use]
    pub fn of_id(&self, id: RecordId) -> Found {
        if self.ids.contains(&id) { Found::One(id) } else { Found::None }
    }

    /// The record that a text names: by its title, or by a value that belongs to one record.
    #[must_use]
    pub fn named(&self, text: &str) -> Found {
        self.names.find(&digest(&["name", &fold(text)]))
    }

    /// The record that equals these fields in the first key of which they have all.
    #[must_use]
    pub fn matching(&self, entity: &Entity, fields: &Fields) -> Found {
        let whole = |key: &&Vec<String>| key.iter().all(|name| fields.contains_key(name));
        let Some(at) = entity.import.keys.iter().position(|key| whole(&key)) else { return Found::None };
        let key = &entity.import.keys[at];
        if !is_name_of_person(entity, key) {
            return first_found(self, &plain_keys(entity, at, key, fields));
        }
        let sought = PersonKeys::of(entity, at, fields);
        sought
            .in_order()
            .iter()
            .map(|names| first_found(self, names))
            .find(|found| *found != Found::None)
            .unwrap_or(Found::None)
    }
}

fn first_found(index: &Index, names: &[Name]) -> Found {
    names.iter().map(|name| index.keys.find(name)).find(|found| *found != Found::None).unwrap_or(Found::None)
}

fn stored_keys(entity: &Entity, at: usize, key: &[String], fields: &Fields) -> Vec<Name> {
    if !key.iter().all(|name| fields.contains_key(name)) {
        return Vec::new();
    }
    if is_name_of_person(entity, key) {
        return PersonKeys::of(entity, at, fields).stored();
    }
    plain_keys(entity, at, key, fields)
}

/// The digests of a key's values; several where a field of it has several values.
fn plain_keys(entity: &Entity, at: usize, key: &[String], fields: &Fields) -> Vec<Name> {
    let mut rows: Vec<Vec<String>> = vec![vec![format!("key {at}")]];
    for name in key {
        let (Some(field), Some(value)) = (entity.field(name), fields.get(name)) else { return Vec::new() };
        let texts = texts(field, value);
        rows = rows
            .iter()
            .flat_map(|row| texts.iter().map(|text| row.iter().cloned().chain([fold(text)]).collect()))
            .collect();
    }
    rows.iter().map(|row| digest(&row.iter().map(String::as_str).collect::<Vec<_>>())).collect()
}

/// Whether the key is nothing but a person's name. Two people may share one, so what else is known of them must not
/// speak against it.
fn is_name_of_person(entity: &Entity, key: &[String]) -> bool {
    key == [entity.title.as_str()] && entity.field(&entity.title).is_some_and(|field| !field.join.is_empty())
}

/// A person's name together with each of her e-mail addresses and telephone numbers.
struct PersonKeys {
    by_email: Vec<Name>,
    by_phone: Vec<Name>,
    /// As `by_phone`, for those without an e-mail address.
    by_phone_alone: Vec<Name>,
    bare: Name,
    has_emails: bool,
}

impl PersonKeys {
    fn of(entity: &Entity, at: usize, fields: &Fields) -> Self {
        let name = fold(fields.get(&entity.title).and_then(Value::as_str).unwrap_or_default());
        let key = format!("key {at}");
        let members = |wanted: fn(&FieldKind) -> bool| -> Vec<String> {
            let lists = entity.fields.values().filter(|field| wanted(&field.kind));
            lists.filter_map(|field| Some(texts(field, fields.get(&field.name)?))).flatten().collect()
        };
        let emails = members(|kind| matches!(kind, FieldKind::Emails | FieldKind::Email));
        let phones = members(|kind| matches!(kind, FieldKind::Phones));
        let with = |what: &str, members: &[String]| -> Vec<Name> {
            members.iter().map(|member| digest(&[&key, &name, what, &fold(member)])).collect()
        };
        Self {
            by_email: with("email", &emails),
            by_phone: with("phone", &phones),
            by_phone_alone: with("phone alone", &phones),
            bare: digest(&[&key, &name, "bare"]),
            has_emails: !emails.is_empty(),
        }
    }

    fn stored(self) -> Vec<Name> {
        let mut names = self.by_email;
        if names.is_empty() && self.by_phone.is_empty() {
            names.push(self.bare);
        }
        if names.is_empty() {
            names.extend(self.by_phone_alone);
        }
        names.extend(self.by_phone);
        names
    }

    /// With e-mail addresses, one must be shared with whoever has any; else a number with whoever has any.
    fn in_order(&self) -> [Vec<Name>; 3] {
        let phones = if self.has_emails { &self.by_phone_alone } else { &self.by_phone };
        [self.by_email.clone(), phones.clone(), vec![self.bare]]
    }
}

fn digest(parts: &[&str]) -> Name {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    let mut name = [0; 16];
    name.copy_from_slice(&hasher.finalize()[..16]);
    name
}
