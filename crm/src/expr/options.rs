//! A key that no option and no stage has is a slip of the pen, and would never match.

use super::ExprError;
use super::node::{Kind, Literal, Node, Part};
use crate::model::{Entity, FieldKind, StageKind};

const CATEGORIES: [&str; 5] = ["pipeline", "best_case", "commit", "closed", "omitted"];

/// Refuses literals in `compared` that `field` can never hold.
pub(super) fn check(field: &Node, compared: &Node, entity: &Entity) -> Result<(), ExprError> {
    let Kind::Field { name, part } = &field.kind else { return Ok(()) };
    let Some(keys) = entity.field(name).and_then(|field| keys(&field.kind, *part, entity)) else {
        return Ok(());
    };
    let literals = match &compared.kind {
        Kind::List(members) => members.as_slice(),
        _ => std::slice::from_ref(compared),
    };
    for literal in literals {
        if let Kind::Literal(Literal::Text(text)) = &literal.kind
            && !keys.contains(&text.as_str())
        {
            let dot = if part.as_str().is_empty() { "" } else { "." };
            return Err(ExprError::at(
                literal.at,
                format!("{name}{dot}{} is never '{text}'; it is one of {}", part.as_str(), keys.join(", ")),
            ));
        }
    }
    Ok(())
}

/// All that a field, or a part of it, can hold, where that is known.
fn keys<'a>(kind: &'a FieldKind, part: Part, entity: &'a Entity) -> Option<Vec<&'a str>> {
    match (kind, part) {
        (FieldKind::Enum { options } | FieldKind::Enums { options }, Part::Whole) => {
            Some(options.iter().map(|option| option.key.as_str()).collect())
        }
        (FieldKind::Stage { pipeline, .. }, Part::Whole | Part::Key) => {
            let stages = &entity.pipelines.get(pipeline)?.stages;
            Some(stages.iter().map(|stage| stage.key.as_str()).collect())
        }
        (FieldKind::Stage { .. }, Part::Kind) => {
            Some([StageKind::Open, StageKind::Won, StageKind::Lost].map(StageKind::as_str).to_vec())
        }
        (FieldKind::Stage { .. }, Part::Category) => Some(CATEGORIES.to_vec()),
        (FieldKind::Link { to }, Part::Entity) => Some(to.iter().map(String::as_str).collect()),
        _ => None,
    }
}
