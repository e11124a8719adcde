use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody has looked yet, or could.
    #[default]
    Unknown,
}

/// One thing that is so or not, why, and what to do next.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which thing.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is so.
    pub status: Truth,
    /// Why, in one word.
    pub reason: String,
    /// Why and what to do next, in a sentence.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: meta::Time,
    /// The generation of the spec that this was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl JsonSchema for Condition {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "One thing that is so or not, why, and what to do next.",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": { "type": "string", "maxLength": 64, "description": "Which thing." },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it is so; Unknown until somebody has looked." },
                "reason": { "type": "string", "maxLength": 64, "description": "Why, in one word." },
                "message": { "type": "string", "maxLength": 1024, "description": "Why and what to do next, in a sentence." },
                "lastTransitionTime": { "type": "string", "format": "date-time", "description": "When the status last changed." },
                "observedGeneration": { "type": "integer", "format": "int64", "description": "The generation of the spec that this was found for." },
            },
        })
    }
}
