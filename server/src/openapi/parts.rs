//! What the paths of every entity share: parameters, the answers to changes, problems.

use serde_json::{Map, Value, json};

use super::field::reference;
use crate::record::read::{list, summary};

/// Query, path and header parameters, by the name under which operations refer to them.
pub(super) fn parameters() -> Map<String, Value> {
    let query = |name: &str, description: &str| json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } });
    named([
        ("Id", json!({ "name": "id", "in": "path", "required": true, "schema": reference("Id") })),
        (
            "Where",
            query("where", "An expression over the record's fields, such as `stage == 'won' && amount > 100000`."),
        ),
        ("Sort", query("sort", "Field names, comma-separated; a minus before one is descending. Also `id` and `seq`.")),
        ("Fields", query("fields", "Only these fields, comma-separated.")),
        ("Page", query("page", "The `next` of the page before.")),
        ("Sum", query("sum", "Fields to add up, comma-separated.")),
        ("By", query("by", "A field to group by.")),
        (
            "Limit",
            json!({
                "name": "limit", "in": "query", "description": "Records of a page.",
                "schema": { "type": "integer", "minimum": 1, "maximum": list::MAX_LIMIT, "default": list::DEFAULT_LIMIT },
            }),
        ),
        (
            "IfMatch",
            json!({
                "name": "If-Match", "in": "header",
                "description": "The `ETag` of the record as you know it: if it changed since, nothing is done and the answer is 412.",
                "schema": { "type": "string" },
            }),
        ),
    ])
}

/// Problem answers.
pub(super) fn responses() -> Map<String, Value> {
    named([(
        "Problem",
        json!({
            "description": "A problem (RFC 9457) with a stable `code`.",
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        }),
    )])
}

/// How callers prove who they are.
pub(super) fn security() -> Map<String, Value> {
    named([(
        "session",
        json!({ "type": "http", "scheme": "bearer", "description": "The token of `POST /api/v1/sessions`." }),
    )])
}

/// Schemas that are not of one entity.
pub(super) fn schemas() -> Map<String, Value> {
    let mut schemas = of_problems();
    schemas.extend(of_changes());
    schemas.extend(of_reads());
    schemas
}

fn of_problems() -> Map<String, Value> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    named([
        (
            "Sequence",
            json!({
                "type": "integer", "format": "int64", "minimum": 0,
                "description": "Position in the tenant's order of changes; on a record, that of its last change.",
            }),
        ),
        (
            "FieldProblem",
            json!({
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": text("The field, or a path below it."),
                    "code": text("Stable and machine-readable."),
                    "message": text("One sentence in the caller's language."),
                },
            }),
        ),
        (
            "Problem",
            json!({
                "type": "object",
                "required": ["type", "code", "title", "status"],
                "properties": {
                    "type": text("`urn:cartera:problem:` and the code."),
                    "code": text("Stable and machine-readable."),
                    "title": text("The same for every problem of this code."),
                    "status": { "type": "integer" },
                    "detail": text("What was attempted, on what, and what to do about it."),
                    "fields": field_problems(),
                },
                "additionalProperties": true,
            }),
        ),
    ])
}

fn of_changes() -> Map<String, Value> {
    named([
        (
            "FieldOperation",
            json!({
                "type": "object",
                "required": ["op", "field"],
                "properties": {
                    "op": { "enum": ["increment", "add", "remove", "append"] },
                    "field": { "type": "string" },
                    "by": { "type": "integer", "format": "int64", "description": "For `increment`." },
                    "values": { "type": "array", "items": {}, "description": "For `add`, `remove` and `append`." },
                },
            }),
        ),
        (
            "Written",
            json!({
                "type": "object",
                "required": ["id", "entity", "seq", "verdict"],
                "properties": {
                    "id": reference("Id"),
                    "entity": { "type": "string" },
                    "seq": reference("Sequence"),
                    "verdict": { "enum": ["applied", "merged"], "description": "`merged`: in part or otherwise than said; `reason` says why." },
                    "reason": {
                        "type": "object",
                        "properties": { "code": { "type": "string" }, "message": { "type": "string" }, "fields": field_problems() },
                    },
                    "warnings": field_problems(),
                    "fields": { "type": "object", "description": "The record as it is now; absent where the change took it out of your sight." },
                },
            }),
        ),
    ])
}

fn of_reads() -> Map<String, Value> {
    named([
        (
            "Summary",
            json!({
                "type": "object",
                "required": ["count"],
                "properties": {
                    "count": { "type": "integer" },
                    "sum": sums(),
                    "groups": {
                        "type": "array", "maxItems": summary::MAX_GROUPS,
                        "items": {
                            "type": "object",
                            "required": ["key", "count"],
                            "properties": { "key": {}, "count": { "type": "integer" }, "sum": sums() },
                        },
                    },
                },
            }),
        ),
        (
            "History",
            json!({
                "type": "object",
                "required": ["items"],
                "properties": {
                    "items": { "type": "array", "items": {
                        "type": "object",
                        "required": ["seq", "kind", "at_ms"],
                        "properties": {
                            "seq": reference("Sequence"),
                            "kind": { "enum": ["made", "changed", "lost", "deleted"] },
                            "field": { "type": "string" },
                            "old": {},
                            "new": {},
                            "who": reference("Id"),
                            "device": reference("Id"),
                            "at_ms": { "type": "integer", "format": "int64" },
                        },
                    } },
                    "next": { "type": "string" },
                },
            }),
        ),
    ])
}

fn field_problems() -> Value {
    json!({ "type": "array", "items": reference("FieldProblem") })
}

/// By field: a number, or money by currency.
fn sums() -> Value {
    json!({
        "type": "object",
        "additionalProperties": { "anyOf": [
            { "type": "integer", "format": "int64" },
            { "type": "array", "items": reference("Money") },
        ] },
    })
}

fn named<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
