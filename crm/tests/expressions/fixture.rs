//! The entity that the tests evaluate against, from the vectors' own file.

use std::collections::BTreeMap;

use crm::Fields;
use crm::expr::{EvalError, Value, Variables, day_number};
use crm::model::Entity;
use serde::Deserialize;
use serde_json::{Value as Json, json};

#[derive(Deserialize)]
pub struct File {
    entity: Snippet,
    variables: Named,
    pub records: BTreeMap<String, Fields>,
    pub groups: Vec<Group>,
    pub refused: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Snippet {
    fields: serde_json::Map<String, Json>,
    pipelines: Json,
}

#[derive(Deserialize)]
struct Named {
    today: String,
    now_ms: i64,
    me: uuid::Uuid,
}

/// Cases that show one thing.
#[derive(Deserialize)]
pub struct Group {
    pub about: String,
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// One of the file's records.
    pub record: String,
    pub expression: String,
    #[serde(default, deserialize_with = "present")]
    pub is: Option<Json>,
    #[serde(default)]
    pub fails: Option<String>,
}

/// What `check` refuses, and words that its message holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub expression: String,
    pub at: Option<usize>,
    pub says: String,
}

/// An expected null is not an absent expectation.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl File {
    pub fn read() -> Self {
        serde_json::from_str(include_str!("../../vectors/expressions.json")).expect("the vectors are well-formed")
    }

    pub fn entity(&self) -> Entity {
        let mut fields = self.entity.fields.clone();
        for (name, field) in &mut fields {
            let field = field.as_object_mut().expect("a field is an object");
            field.insert("name".to_owned(), json!(name));
            field.insert("labels".to_owned(), json!({"es": name, "en": name}));
        }
        serde_json::from_value(json!({
            "name": "deal",
            "labels": {"es": ["trato", "tratos"], "en": ["deal", "deals"]},
            "title": "name",
            "fields": fields,
            "pipelines": self.entity.pipelines,
            "permissions": {},
        }))
        .expect("the snippet makes an entity")
    }

    pub fn variables(&self) -> Variables {
        Variables {
            today: day_number(&self.variables.today).expect("today is a date"),
            now_ms: self.variables.now_ms,
            me: Some(self.variables.me),
        }
    }
}

/// What both evaluators are compared by.
pub type Outcome = Result<Json, String>;

pub fn in_memory(value: Result<Value, EvalError>) -> Outcome {
    value.map(|value| json_of(&value)).map_err(|error| error.to_string())
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::List(members) => members.iter().map(json_of).collect(),
    }
}
