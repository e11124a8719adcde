//! What the suite makes records of, told from the model that the server serves.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// An entity of which a record can be made from a title, changed, and deleted again.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name.
    pub entity: String,
    /// The field with a record's name.
    pub title: String,
    /// Links that a record is not made without, each with the entity that it points to.
    pub needs: BTreeMap<String, String>,
    /// Fields that take any short text and merge as `lww`, the title aside.
    pub texts: Vec<TextField>,
    /// One field for each other merge class that it has.
    pub classes: BTreeMap<String, Probe>,
    /// A link to a user that says whose the record is.
    pub owner: Option<String>,
    /// A field that names files of any kind.
    pub files: Option<String>,
}

/// A field for text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextField {
    /// Its name.
    pub name: String,
    /// The most characters that it holds.
    pub max: usize,
}

/// A field of one merge class, with values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its name.
    pub field: String,
    /// Three different ones; the first is there before the check.
    pub values: [Value; 3],
}

/// The entities that can be subjects, the one with the most merge classes first; last those whose records need others.
pub fn subjects(model: &Value) -> Vec<Subject> {
    let entities = model["entities"].as_object().into_iter().flatten();
    let mut subjects: Vec<Subject> = entities.filter_map(|(name, entity)| subject(name, entity)).collect();
    let plain = subjects.iter().filter(|subject| subject.needs.is_empty()).map(|subject| subject.entity.clone());
    let plain: Vec<String> = plain.collect();
    subjects.retain(|subject| subject.needs.values().all(|entity| plain.contains(entity)));
    subjects.sort_by_key(|subject| {
        let worth = subject.classes.len() + usize::from(subject.texts.len() > 1);
        (subject.needs.len(), std::cmp::Reverse(worth))
    });
    subjects
}

fn subject(name: &str, entity: &Value) -> Option<Subject> {
    let fields = entity["fields"].as_object()?;
    let title = entity["title"].as_str()?;
    let may = entity["permissions"].as_object()?.values().any(|permission| {
        let reaches = |right: &str| permission[right].as_str().is_some_and(|level| level != "none");
        permission["create"] == true && reaches("read") && reaches("update") && reaches("delete")
    });
    let is_plain = |field: &Value| is_open(field) && field["unique"] != true && class(field) == "lww";
    let mut needs = BTreeMap::new();
    for (name, field) in fields {
        let comes_by_itself = field.get("default").is_some() || field.get("join").is_some();
        if name != title && field["required"] == true && !comes_by_itself {
            needs.insert(name.clone(), linked(field)?);
        }
    }
    if !may || fields.get(title).is_none_or(|field| field["type"] != "text" || !is_plain(field)) {
        return None;
    }
    let is_text = |field: &Value| matches!(field["type"].as_str(), Some("text" | "long_text")) && is_plain(field);
    // A text that a system outside names records by is no place for made-up words.
    let is_free = |name: &str| name != title && name != "external_id";
    let texts = fields.iter().filter(|(name, field)| is_free(name) && is_text(field) && !is_bound(name, entity));
    let texts = texts.map(|(name, field)| TextField { name: name.clone(), max: most_characters(field) }).collect();
    let mut classes = BTreeMap::new();
    for (name, field) in fields {
        if let Some(probe) = probe(name, field).filter(|_| !classes.contains_key(class(field)) && is_free(name)) {
            classes.insert(class(field).to_owned(), probe);
        }
    }
    let owner = fields.iter().find(|(name, field)| *name == "owner" && links_user(field));
    let owner = owner.map(|(name, _)| name.clone());
    let files = fields.iter().find(|(_, field)| takes_files(field)).map(|(name, _)| name.clone());
    Some(Subject { entity: name.to_owned(), title: title.to_owned(), needs, texts, classes, owner, files })
}

/// The one entity that a link points to.
fn linked(field: &Value) -> Option<String> {
    let [entity] = &field["to"].as_array().filter(|_| field["type"] == "link")?[..] else { return None };
    entity.as_str().map(str::to_owned)
}

fn most_characters(field: &Value) -> usize {
    let most = if field["type"] == "long_text" { 65_536 } else { 255 };
    field["max"].as_u64().map_or(most, |max| usize::try_from(max).unwrap_or(most))
}

fn class(field: &Value) -> &str {
    field["merge"].as_str().unwrap_or("lww")
}

/// Whether a device may write the field without a condition.
fn is_open(field: &Value) -> bool {
    field.get("expr").is_none() && field.get("required_if").is_none()
}

/// Whether a rule of the entity speaks of the field.
fn is_bound(name: &str, entity: &Value) -> bool {
    let rules = entity["rules"].as_array().into_iter().flatten();
    rules.into_iter().any(|rule| rule["valid_if"].as_str().is_some_and(|rule| rule.contains(name)))
}

fn links_user(field: &Value) -> bool {
    field["type"] == "link" && (field["to"] == "user" || field["to"] == json!(["user"]))
}

fn takes_files(field: &Value) -> bool {
    field["type"] == "blobs" && field["accept"] != "images" && is_open(field)
}

/// The field as a probe of its class, where the suite knows values for it.
fn probe(name: &str, field: &Value) -> Option<Probe> {
    let values = match (class(field), field["type"].as_str()?) {
        ("set", "tags") => [json!(["one"]), json!(["two"]), json!(["three"])],
        ("append", "log") => [1, 2, 3].map(|at| json!([{"at": at, "text": format!("entry {at}")}])),
        ("counter" | "max" | "min", "integer" | "decimal" | "percent") => {
            let least = field["min"].as_i64().unwrap_or(1).max(1);
            [json!(least + 1), json!(least + 2), json!(least)]
        }
        ("max" | "min", "date") => [json!("2026-02-02"), json!("2026-02-03"), json!("2026-02-01")],
        ("guarded", "enum") if is_open(field) => {
            let options = field["options"].as_array()?.iter().filter_map(|option| option["key"].as_str());
            let keys: Vec<Value> = options.map(|key| json!(key)).collect();
            keys.get(..3)?.to_vec().try_into().ok()?
        }
        ("guarded", "text" | "long_text") if is_open(field) => [json!("one"), json!("two"), json!("three")],
        // What nobody may write is not written with a value that would fit either.
        ("derived" | "server", "integer" | "percent" | "datetime") => [json!(1), json!(2), json!(3)],
        _ => return None,
    };
    Some(Probe { field: name.to_owned(), values })
}

impl Subject {
    /// The fields of a record of that name, with these besides.
    pub fn fields(&self, name: &str, more: &Value) -> Value {
        let mut fields = Map::from_iter([(self.title.clone(), json!(name))]);
        fields.extend(more.as_object().cloned().unwrap_or_default());
        Value::Object(fields)
    }

    /// Text for the fields that take it, up to so many characters in each.
    pub fn filling(&self, characters: usize) -> Value {
        let filled = |text: &TextField| {
            (text.name.clone(), json!("abcde ".repeat(characters / 6 + 1)[..text.max.min(characters)].trim()))
        };
        Value::Object(self.texts.iter().map(filled).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Value {
        json!({"entities": {
            "account": {
                "title": "name",
                "fields": {
                    "name": {"type": "text", "required": true, "merge": "lww"},
                    "note": {"type": "long_text", "merge": "lww"},
                    "tags": {"type": "tags", "merge": "set"},
                    "photos": {"type": "blobs", "accept": "images", "merge": "set"},
                    "plans": {"type": "blobs", "accept": "any", "merge": "set"},
                    "made_on": {"type": "datetime", "merge": "server"},
                    "state": {"type": "enum", "merge": "guarded", "options": [{"key": "a"}, {"key": "b"}, {"key": "c"}]},
                    "owner": {"type": "link", "to": ["user"], "merge": "lww"}
                },
                "permissions": {"rep": {"create": true, "read": "all", "update": "own", "delete": "own"}}
            },
            "deal": {
                "title": "name",
                "fields": {
                    "name": {"type": "text"},
                    "account": {"type": "link", "to": ["account"], "required": true},
                    "chance": {"type": "percent", "merge": "derived", "expr": "1"}
                },
                "permissions": {"rep": {"create": true, "read": "all", "update": "all", "delete": "all"}}
            },
            "item": {
                "title": "name",
                "fields": {"name": {"type": "text"}, "deal": {"type": "link", "to": ["deal"], "required": true}},
                "permissions": {"rep": {"create": true, "read": "all", "update": "all", "delete": "all"}}
            },
            "team": {
                "title": "name",
                "fields": {"name": {"type": "text"}},
                "permissions": {"rep": {"create": true, "read": "all", "update": "all", "delete": "none"}}
            }
        }})
    }

    #[test]
    fn a_subject_can_be_made_from_its_title_and_deleted_again() {
        let found = subjects(&model());
        let [account, deal] = &found[..] else { panic!("an item needs what needs others, a team stays: {found:?}") };
        assert_eq!((deal.needs["account"].as_str(), deal.classes.contains_key("derived")), ("account", true));
        assert_eq!((account.entity.as_str(), account.title.as_str()), ("account", "name"));
        assert_eq!((account.texts[0].name.as_str(), account.owner.as_deref()), ("note", Some("owner")));
        assert_eq!((account.files.as_deref(), deal.files.as_deref()), (Some("plans"), None));
        assert_eq!(account.filling(20), json!({"note": "abcde abcde abcde ab"}));
        let classes: Vec<&str> = account.classes.keys().map(String::as_str).collect();
        assert_eq!(classes, ["guarded", "server", "set"]);
    }
}
