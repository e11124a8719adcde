//! Drift, without remembering anything: the API server itself notes which fields the operator set last.
//!
//! A field that somebody else changed belongs to them from then on, and one that somebody removed to nobody. So an object
//! is as it was applied if its hash says that this was what was applied, and every field of it is still the operator's.
//! No comparison of values, which the API server writes in its own way, and no default of its is mistaken for a change.

use serde_json::{Map, Value};

/// The field manager of everything that is applied to children.
pub const MANAGER: &str = "cartera-operator";
/// The field manager of what is said in the status of our own kinds.
pub const STATUS_MANAGER: &str = "cartera-status";

/// What the operator owns of an object, as `metadata.managedFields` says; `Null` where it applied nothing.
#[must_use]
pub fn owned_fields(object: &Value) -> Value {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["manager"] == MANAGER && entry["operation"] == "Apply" && entry["subresource"].is_null())
        .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

/// Whether every field of `desired` is among `owned`.
#[must_use]
pub fn owns_all(owned: &Value, desired: &Value) -> bool {
    let (Value::Object(fields), Value::Object(desired)) = (owned, desired) else { return false };
    desired.iter().all(|(name, value)| match name.as_str() {
        // They say which object it is, and belong to nobody.
        "apiVersion" | "kind" => true,
        "metadata" => {
            let Some(metadata) = value.as_object() else { return true };
            let own: Map<String, Value> = metadata
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "name" | "namespace"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            own.is_empty() || field(fields, "f:metadata").is_some_and(|below| owns(below, &Value::Object(own)))
        }
        _ => field(fields, &format!("f:{name}")).is_some_and(|below| owns(below, value)),
    })
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    fields.get(name).and_then(Value::as_object)
}

/// `below` empty: the value is owned as a whole, or is a leaf.
fn owns(below: &Map<String, Value>, desired: &Value) -> bool {
    if below.is_empty() {
        return true;
    }
    match desired {
        Value::Object(members) => members
            .iter()
            .all(|(name, value)| field(below, &format!("f:{name}")).is_some_and(|below| owns(below, value))),
        Value::Array(elements) => elements.iter().all(|element| owns_element(below, element)),
        // A leaf that the schema takes for more than that.
        _ => true,
    }
}

/// Elements of a list are named by their keys, `k:{"name":"data"}`, or by their value, `v:"a"`.
fn owns_element(below: &Map<String, Value>, element: &Value) -> bool {
    below.iter().any(|(name, fields)| {
        if let Some(keys) = name.strip_prefix("k:") {
            let Ok(Value::Object(keys)) = serde_json::from_str(keys) else { return false };
            // A key that is not in the element was filled in by the API server, such as a port's protocol.
            keys.iter().all(|(key, value)| element.get(key).is_none_or(|own| own == value))
                && fields.as_object().is_some_and(|fields| owns(fields, element))
        } else if let Some(value) = name.strip_prefix("v:") {
            serde_json::from_str::<Value>(value).is_ok_and(|value| &value == element)
        } else {
            false
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn desired() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "cartera", "labels": { "a": "b" } },
            "spec": { "selector": { "app": "cartera" }, "ports": [{ "name": "http", "port": 80 }], "externalIPs": [] },
        })
    }

    fn fields() -> Value {
        json!({
            "f:metadata": { "f:labels": { "f:a": {} } },
            "f:spec": {
                "f:selector": {},
                "f:externalIPs": {},
                "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:name": {}, "f:port": {} } },
            },
        })
    }

    #[test]
    fn what_was_applied_and_not_touched_is_owned() {
        assert!(owns_all(&fields(), &desired()));
        assert!(!owns_all(&Value::Null, &desired()));
    }

    #[test]
    fn a_field_that_somebody_else_took_is_missed() {
        for gone in ["/f:metadata", "/f:spec/f:selector", "/f:spec/f:ports"] {
            let mut fields = fields();
            let (parent, name) = gone.rsplit_once('/').expect("a path");
            fields.pointer_mut(parent).and_then(Value::as_object_mut).expect("a parent").remove(name);
            assert!(!owns_all(&fields, &desired()), "{gone}");
        }
        let mut other_port = desired();
        other_port["spec"]["ports"][0]["port"] = json!(81);
        assert!(!owns_all(&fields(), &other_port));
    }

    #[test]
    fn only_what_the_operator_applied_itself_counts() {
        let entry = |manager: &str, operation: &str, subresource: Value| json!({ "manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": fields() });
        for (managed, expected) in [
            (entry(MANAGER, "Apply", Value::Null), fields()),
            (entry(MANAGER, "Update", Value::Null), Value::Null),
            (entry(MANAGER, "Apply", json!("status")), Value::Null),
            (entry("kubectl", "Apply", Value::Null), Value::Null),
        ] {
            assert_eq!(owned_fields(&json!({ "metadata": { "managedFields": [managed] } })), expected);
        }
    }
}
