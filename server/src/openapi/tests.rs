use std::collections::BTreeSet;

use crm::model::Model;
use serde_json::{Map, Value, json};

use super::document;

fn of_role(role: &str) -> Value {
    document(&Model::core().for_role(role), role)
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_description_refers_to_nothing_that_is_not_there() {
    let document = of_role("admin");
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn a_role_reads_only_of_what_it_sees_and_may_do() {
    let rep = of_role("sales_rep");
    assert!(rep["components"]["schemas"]["OpportunityFields"]["properties"].get("cost").is_none());
    assert!(rep["paths"]["/api/v1/opportunity/{id}"].get("delete").is_none());
    let manager = of_role("sales_manager");
    assert!(manager["components"]["schemas"]["OpportunityFields"]["properties"].get("cost").is_some());
    assert!(manager["paths"]["/api/v1/opportunity/{id}"].get("delete").is_some());
}

#[test]
fn operations_have_names_of_their_own() {
    let document = of_role("admin");
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name.to_owned()), "{name} names two operations");
        }
    }
}

/// The whole would be thousands of lines for each change of the model: the fixed routes, what entities share, one entity
/// in full, and the list of all the others.
#[test]
fn the_description_is_as_it_was_released() {
    let mut document = of_role("admin");
    document["info"]["x-model"] = json!("(hash)");
    let keep = |members: &Value, keep: &dyn Fn(&str) -> bool| -> (Map<String, Value>, Vec<String>) {
        let members = members.as_object().expect("members").clone();
        let names = members.keys().filter(|name| !keep(name)).cloned().collect();
        (members.into_iter().filter(|(name, _)| keep(name)).collect(), names)
    };
    let entities: Vec<String> = Model::core().entities.keys().filter(|name| *name != "opportunity").cloned().collect();
    let (paths, more_paths) = keep(&document["paths"], &|path| {
        entities
            .iter()
            .all(|entity| path != format!("/api/v1/{entity}") && !path.starts_with(&format!("/api/v1/{entity}/")))
    });
    let capitalised = |entity: &str| entity.replace('_', "").to_lowercase();
    let (schemas, more_schemas) = keep(&document["components"]["schemas"], &|name| {
        entities.iter().all(|entity| {
            ["", "fields", "write", "page", "create", "patch", "written"]
                .iter()
                .all(|suffix| name.to_lowercase() != format!("{}{suffix}", capitalised(entity)))
        })
    });
    document["paths"] = paths.into();
    document["components"]["schemas"] = schemas.into();
    insta::assert_json_snapshot!("description", document);
    insta::assert_json_snapshot!("names", json!({ "paths": more_paths, "schemas": more_schemas }));
}
