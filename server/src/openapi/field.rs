//! The JSON schema of one field's value.

use crm::model::{Accept, Entity, EnumOption, Field, FieldKind, MergeClass};
use serde_json::{Map, Value, json};

/// The schema of the field's value where it is not empty, with its English name as title.
#[must_use]
pub fn schema(entity: &Entity, field: &Field) -> Value {
    let mut schema = of_kind(entity, &field.kind);
    if let Value::Object(schema) = &mut schema {
        schema.insert("title".into(), field.labels.en.clone().into());
        if !is_writable(field) {
            schema.insert("readOnly".into(), true.into());
        }
    }
    schema
}

/// The same, or `null` to clear the field.
#[must_use]
pub fn writable_schema(entity: &Entity, field: &Field) -> Value {
    json!({ "title": field.labels.en, "anyOf": [of_kind(entity, &field.kind), { "type": "null" }] })
}

/// Whether a caller may set it: derived fields and the server's own are only read.
#[must_use]
pub fn is_writable(field: &Field) -> bool {
    !matches!(field.merge, MergeClass::Derived | MergeClass::Server) && field.kind != FieldKind::Number
}

fn of_kind(entity: &Entity, kind: &FieldKind) -> Value {
    match kind {
        FieldKind::Text { max } => json!({ "type": "string", "minLength": 1, "maxLength": max }),
        FieldKind::LongText => json!({ "type": "string", "minLength": 1, "maxLength": 65_536 }),
        FieldKind::Integer { min, max } => {
            let bounds = [("minimum", min), ("maximum", max)];
            let mut schema = integer("An integer.");
            schema.extend(bounds.into_iter().filter_map(|(name, bound)| Some((name.to_owned(), json!((*bound)?)))));
            Value::Object(schema)
        }
        FieldKind::Decimal { scale } => Value::Object(integer(&format!(
            "A decimal as an integer of its smallest unit: it has {scale} digits after the point."
        ))),
        FieldKind::Percent => json!({ "type": "integer", "minimum": 0, "maximum": 100 }),
        FieldKind::Boolean => json!({ "type": "boolean" }),
        FieldKind::Money => reference("Money"),
        FieldKind::Date => json!({ "type": "string", "format": "date" }),
        FieldKind::Datetime => Value::Object(integer("Milliseconds since the Unix epoch.")),
        FieldKind::Enum { options } => one_of_keys(options.iter().map(|option| option.key.as_str())),
        FieldKind::Enums { options } => set_of(&one_of_keys(keys(options))),
        FieldKind::Link { to } if to.len() == 1 => link(&to[0]),
        FieldKind::Link { to } => json!({
            "type": "object",
            "required": ["entity", "id"],
            "properties": { "entity": { "enum": to }, "id": reference("Id") },
        }),
        FieldKind::Links { to } => set_of(&link(to)),
        FieldKind::Stage { pipeline, .. } => {
            let stages = entity.pipelines.get(pipeline).map(|pipeline| pipeline.stages.as_slice()).unwrap_or_default();
            one_of_keys(stages.iter().map(|stage| stage.key.as_str()))
        }
        FieldKind::Email => json!({ "type": "string", "format": "email" }),
        FieldKind::Emails => list_of("EmailEntry"),
        FieldKind::Phones => list_of("PhoneEntry"),
        FieldKind::Addresses => list_of("AddressEntry"),
        FieldKind::Url => json!({ "type": "string", "format": "uri" }),
        FieldKind::Tags => set_of(&json!({ "type": "string" })),
        FieldKind::Number => json!({ "type": "string" }),
        FieldKind::Log => list_of("LogEntry"),
        FieldKind::Blob { max, accept } => blob(*max, *accept),
        FieldKind::Blobs { max, accept } => set_of(&blob(*max, *accept)),
    }
}

/// What lies at `/sync/v1/blob/{hash}`; the types are long to repeat at every field that takes all of them.
fn blob(max: u64, accept: Accept) -> Value {
    let narrower = match accept {
        Accept::Any => json!({ "properties": { "size": { "maximum": max } } }),
        Accept::Images => json!({ "properties": {
            "size": { "maximum": max },
            "type": { "enum": accept.types().collect::<Vec<_>>() },
        } }),
    };
    json!({ "allOf": [reference("Blob"), narrower] })
}

/// A reference to a schema of the document.
#[must_use]
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schemas that fields refer to, by name.
#[must_use]
pub fn shared_schemas() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let degrees = || json!({ "type": "integer", "description": "In 1e-7 degrees." });
    let schemas = [
        (
            "Id",
            json!({
                "type": "string", "format": "uuid", "description": "A UUID, lowercase and hyphenated; version 7 where you make it.",
            }),
        ),
        (
            "Money",
            json!({
                "type": "object",
                "required": ["minor", "currency"],
                "properties": {
                    "minor": integer("In the currency's smallest unit."),
                    "currency": { "type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217." },
                },
            }),
        ),
        (
            "EmailEntry",
            json!({
                "type": "object",
                "required": ["address"],
                "properties": { "address": { "type": "string", "format": "email" }, "label": text() },
            }),
        ),
        (
            "PhoneEntry",
            json!({
                "type": "object",
                "required": ["raw"],
                "properties": {
                    "raw": { "type": "string", "description": "As written." },
                    "e164": { "type": "string", "description": "Absent where the number has no such form." },
                    "label": text(),
                },
            }),
        ),
        (
            "AddressEntry",
            json!({
                "type": "object",
                "description": "At least one of the texts.",
                "properties": {
                    "street": text(), "postcode": text(), "city": text(), "region": text(),
                    "country": { "type": "string", "description": "ISO 3166-1 alpha-2 where known." },
                    "lat": degrees(), "lon": degrees(), "label": text(),
                },
            }),
        ),
        (
            "LogEntry",
            json!({
                "type": "object",
                "required": ["at", "text"],
                "properties": { "at": integer("Milliseconds since the Unix epoch."), "text": text() },
            }),
        ),
        (
            "Blob",
            json!({
                "type": "object",
                "description": "A file; its bytes are at `/sync/v1/blob/{hash}`, or on their way there.",
                "required": ["hash", "name", "size", "type"],
                "properties": {
                    "hash": { "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of its bytes." },
                    "name": { "type": "string", "minLength": 1, "maxLength": 255, "description": "Without a path." },
                    "size": { "type": "integer", "minimum": 0, "description": "In bytes." },
                    "type": { "enum": Accept::Any.types().collect::<Vec<_>>() },
                },
            }),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn integer(description: &str) -> Map<String, Value> {
    let schema = [("type", "integer"), ("format", "int64"), ("description", description)];
    schema.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn keys(options: &[EnumOption]) -> impl Iterator<Item = &str> {
    options.iter().map(|option| option.key.as_str())
}

fn one_of_keys<'k>(keys: impl Iterator<Item = &'k str>) -> Value {
    json!({ "type": "string", "enum": keys.collect::<Vec<_>>() })
}

fn set_of(item: &Value) -> Value {
    json!({ "type": "array", "items": item, "uniqueItems": true })
}

fn list_of(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

fn link(to: &str) -> Value {
    json!({ "type": "string", "format": "uuid", "description": format!("The id of: {to}.") })
}
