//! The API's description (OpenAPI 3.1): fixed routes from their handlers, those of records from the model.

pub mod entity;
pub mod field;
mod fixed;
mod parts;
pub mod routes;

use crm::model::Model;
use serde_json::{Map, Value, json};

/// The description for one role: the entities, fields and operations of `model` (as the role sees it) that `role` has.
#[must_use]
pub fn document(model: &Model, role: &str) -> Value {
    let mut document = serde_json::to_value(fixed::fixed()).unwrap_or_else(|_| json!({}));
    document["openapi"] = "3.1.0".into();
    document["info"]["x-model"] = model.hash.clone().into();
    answer_with_problems(&mut document);
    document["security"] = json!([{ "session": [] }]);

    let mut schemas = field::shared_schemas();
    schemas.extend(parts::schemas());
    let mut paths = Map::new();
    for entity in model.entities.values() {
        let Some(permission) = entity.permissions.get(role) else { continue };
        schemas.extend(entity::schemas(entity));
        paths.extend(entity::paths(entity, permission));
    }
    extend(&mut document, &["paths"], paths);
    extend(&mut document, &["components", "schemas"], schemas);
    extend(&mut document, &["components", "parameters"], parts::parameters());
    extend(&mut document, &["components", "responses"], parts::responses());
    extend(&mut document, &["components", "securitySchemes"], parts::security());
    document
}

/// Every fixed route may answer with a problem; those of entities say so themselves.
fn answer_with_problems(document: &mut Value) {
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        operation["responses"]["default"] = json!({ "$ref": "#/components/responses/Problem" });
    }
}

/// Adds members to the object at `path`, making what is missing on the way.
fn extend(document: &mut Value, path: &[&str], members: Map<String, Value>) {
    let mut place = document;
    for step in path {
        if !place[*step].is_object() {
            place[*step] = json!({});
        }
        place = &mut place[*step];
    }
    if let Value::Object(place) = place {
        place.extend(members);
    }
}

#[cfg(test)]
mod tests;
