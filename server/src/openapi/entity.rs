//! The schemas and paths of one entity.

use crm::model::{Entity, Field, Language, Level, Permission};
use serde_json::{Map, Value, json};

use super::field::{self, reference};

/// The schemas of the entity, by name: what is read, what is written, and how pages and changes wrap them.
#[must_use]
pub fn schemas(entity: &Entity) -> Map<String, Value> {
    let name = schema_name(entity);
    let read: Map<String, Value> =
        entity.fields.values().map(|field| (field.name.clone(), field::schema(entity, field))).collect();
    let writable = || entity.fields.values().filter(|field| field::is_writable(field));
    let write: Map<String, Value> =
        writable().map(|field| (field.name.clone(), field::writable_schema(entity, field))).collect();
    let needed = |field: &&Field| field.required && field.default.is_none();
    let required: Vec<&str> = writable().filter(needed).map(|field| field.name.as_str()).collect();
    let record = |fields: &str| {
        json!({
            "type": "object",
            "required": ["id", "entity", "seq", "fields"],
            "properties": {
                "id": reference("Id"),
                "entity": { "const": entity.name },
                "seq": reference("Sequence"),
                "fields": reference(fields),
            },
        })
    };
    let schemas = [
        (
            format!("{name}Fields"),
            json!({
                "type": "object", "description": "An absent field is empty.", "properties": read,
            }),
        ),
        (
            format!("{name}Write"),
            json!({
                "type": "object", "description": "`null` clears a field.", "properties": write, "additionalProperties": false,
            }),
        ),
        (name.clone(), record(&format!("{name}Fields"))),
        (
            format!("{name}Page"),
            json!({
                "type": "object",
                "required": ["items"],
                "properties": {
                    "items": { "type": "array", "items": reference(&name) },
                    "next": { "type": "string", "description": "Give it as `page` to read on; absent on the last page." },
                },
            }),
        ),
        (
            format!("{name}Create"),
            json!({
                "type": "object",
                "required": ["fields"],
                "properties": {
                    "id": reference("Id"),
                    "fields": { "allOf": [reference(&format!("{name}Write")), { "required": required }] },
                },
            }),
        ),
        (
            format!("{name}Patch"),
            json!({
                "type": "object",
                "properties": {
                    "base": reference("Sequence"),
                    "set": reference(&format!("{name}Write")),
                    "ops": { "type": "array", "items": reference("FieldOperation") },
                },
            }),
        ),
        (
            format!("{name}Written"),
            json!({
                "allOf": [reference("Written"), { "properties": { "fields": reference(&format!("{name}Fields")) } }],
            }),
        ),
    ];
    schemas.into_iter().collect()
}

/// The paths of the entity, as far as `permission` lets a role use them.
#[must_use]
pub fn paths(entity: &Entity, permission: &Permission) -> Map<String, Value> {
    let operations = Operations { entity, name: schema_name(entity) };
    let reads = permission.read > Level::None;
    let mut paths = Map::new();
    let mut add = |path: String, method: &str, is_allowed: bool, operation: Value| {
        if is_allowed {
            let item = paths.entry(path).or_insert_with(|| json!({}));
            if let Value::Object(item) = item {
                item.insert(method.into(), operation);
            }
        }
    };
    let (all, one) = (format!("/api/v1/{}", entity.name), format!("/api/v1/{}/{{id}}", entity.name));
    add(all.clone(), "get", reads, operations.list());
    add(all.clone(), "post", permission.create, operations.create());
    add(format!("{all}/summary"), "get", reads, operations.summary());
    add(format!("{all}/export"), "get", reads && permission.export, operations.export());
    add(one.clone(), "get", reads, operations.get());
    add(one.clone(), "patch", permission.update > Level::None, operations.patch());
    add(one.clone(), "delete", permission.delete > Level::None, operations.delete());
    add(format!("{one}/history"), "get", reads, operations.history());
    paths
}

/// `stage_history` is `StageHistory`.
fn schema_name(entity: &Entity) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    entity.name.split('_').map(capitalised).collect()
}

struct Operations<'e> {
    entity: &'e Entity,
    name: String,
}

impl Operations<'_> {
    fn list(&self) -> Value {
        let parameters = ["Where", "Sort", "Fields", "Limit", "Page"];
        self.operation(
            "list",
            "Lists",
            &parameters,
            &json!({ "200": answer("A page.", &format!("{}Page", self.name)) }),
        )
    }

    fn get(&self) -> Value {
        self.operation("get", "Reads one of the", &["Id"], &json!({ "200": answer("The record.", &self.name) }))
    }

    fn create(&self) -> Value {
        let answers = json!({ "201": answer("Made.", &format!("{}Written", self.name)) });
        self.with_body(self.operation("create", "Makes one of the", &[], &answers), "Create")
    }

    fn patch(&self) -> Value {
        let answers = json!({ "200": answer("Changed.", &format!("{}Written", self.name)) });
        self.with_body(self.operation("change", "Changes one of the", &["Id", "IfMatch"], &answers), "Patch")
    }

    fn delete(&self) -> Value {
        self.operation(
            "delete",
            "Deletes one of the",
            &["Id", "IfMatch"],
            &json!({ "204": { "description": "Gone." } }),
        )
    }

    fn summary(&self) -> Value {
        let parameters = ["Where", "Sum", "By"];
        self.operation("summarise", "Counts and adds up", &parameters, &json!({ "200": answer("Sums.", "Summary") }))
    }

    fn export(&self) -> Value {
        let file = json!({ "schema": { "type": "string", "format": "binary" } });
        let answers = json!({ "200": {
            "description": "The file; it ends whole or breaks off.",
            "content": {
                "text/csv": file.clone(),
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": file,
            },
        } });
        let mut operation = self.operation("export", "Exports", &["Where", "Sort", "Fields"], &answers);
        let choice = |name: &str, values: Value, description: &str| json!({ "name": name, "in": "query", "description": description, "schema": { "enum": values } });
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.extend([
                choice("format", json!(["csv", "xlsx"]), "CSV when absent."),
                choice("language", json!(["es", "en"]), "Headings and options in words of this language."),
                choice("links", json!(["titles", "ids"]), "How links are written; as titles when absent."),
            ]);
        }
        operation
    }

    fn history(&self) -> Value {
        let answers = json!({ "200": answer("Latest first.", "History") });
        self.operation("read_history_of", "What became of one of the", &["Id", "Page"], &answers)
    }

    fn operation(&self, verb: &str, summary: &str, parameters: &[&str], answers: &Value) -> Value {
        let parameters: Vec<Value> =
            parameters.iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })).collect();
        let mut answers = answers.clone();
        answers["default"] = json!({ "$ref": "#/components/responses/Problem" });
        json!({
            "operationId": format!("{verb}_{}", self.entity.name),
            "tags": [self.entity.name],
            "summary": format!("{summary} {}.", self.entity.labels.many(Language::En).to_lowercase()),
            "parameters": parameters,
            "responses": answers,
        })
    }

    fn with_body(&self, mut operation: Value, schema: &str) -> Value {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": reference(&format!("{}{schema}", self.name)) } },
        });
        operation
    }
}

fn answer(description: &str, schema: &str) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": reference(schema) } } })
}
