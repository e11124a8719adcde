use std::collections::BTreeSet;

use serde_json::Value;

use super::{Finding, Findings, message};
use crate::Fields;
use crate::expr::{Expr, Variables};
use crate::model::{Entity, Field, FieldKind, Rule, Severity, Stage};

/// What becomes of a record that lacks what is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// The change is refused: what a person does.
    Refuse,
    /// The record is kept as it is and each gap reported: what an import of history does.
    Keep,
}

/// Checks a change. `before` is the record as it was (none when it is made), `after` as it would be, with defaults and
/// derived fields, and `changed` names the fields that differ.
///
/// Requirements bind changes: on an update only those are checked that name a changed field, so that a record with old
/// gaps can be worked on.
#[must_use]
pub fn check(
    entity: &Entity,
    before: Option<&Fields>,
    after: &Fields,
    changed: &BTreeSet<String>,
    variables: &Variables,
    gaps: Gaps,
) -> Findings {
    let change = Change { entity, after, changed, variables, is_new: before.is_none() };
    let mut errors = Vec::new();
    let mut missing = Vec::new();
    let mut warnings = Vec::new();
    for field in entity.fields.values() {
        change.stage_exists(field, &mut errors);
        missing.extend(change.gap(field));
    }
    for rule in &entity.rules {
        match rule.severity {
            Severity::Error => missing.extend(change.breach(rule)),
            Severity::Warning => warnings.extend(change.breach(rule)),
        }
    }
    match gaps {
        Gaps::Refuse => errors.append(&mut missing),
        Gaps::Keep => warnings.append(&mut missing),
    }
    Findings { errors, warnings }
}

struct Change<'a> {
    entity: &'a Entity,
    after: &'a Fields,
    changed: &'a BTreeSet<String>,
    variables: &'a Variables,
    is_new: bool,
}

impl Change<'_> {
    fn touches(&self, field: &str) -> bool {
        self.is_new || self.changed.contains(field)
    }

    fn touches_any(&self, expression: &Expr) -> bool {
        self.is_new || expression.fields().iter().any(|field| self.changed.contains(field))
    }

    fn is_empty(&self, field: &str) -> bool {
        self.after.get(field).is_none_or(Value::is_null)
    }

    /// A stage is a value of its entity's pipeline, which `normalise` does not see.
    fn stage_exists(&self, field: &Field, errors: &mut Vec<Finding>) {
        let FieldKind::Stage { pipeline, .. } = &field.kind else { return };
        let Some(key) = self.after.get(&field.name).and_then(Value::as_str) else { return };
        let Some(pipeline) = self.entity.pipelines.get(pipeline) else { return };
        if self.touches(&field.name) && pipeline.stage(key).is_none() {
            errors.push(message::unknown_stage(field, key, pipeline));
        }
    }

    /// Why the field must not stay empty, if it is.
    fn gap(&self, field: &Field) -> Option<Finding> {
        if !self.is_empty(&field.name) {
            return None;
        }
        if field.required && self.touches(&field.name) {
            return Some(message::required(field));
        }
        if let Some(condition) = &field.required_if
            && (self.touches(&field.name) || self.touches_any(condition))
        {
            match condition.holds(self.entity, self.after, self.variables) {
                Ok(true) => return Some(message::required_if(self.entity, field, condition, self.after)),
                Ok(false) => {}
                Err(error) => return Some(message::expression(field, &error)),
            }
        }
        self.stages_that_need(field).next().map(|(stage_field, stage)| message::needed(field, stage_field, stage))
    }

    /// The stages in which the record stands that need `field`, where this change has to do with it: it moves the
    /// record there, or clears the field.
    fn stages_that_need<'b>(&'b self, field: &'b Field) -> impl Iterator<Item = (&'b Field, &'b Stage)> {
        self.entity.fields.values().filter_map(|stage_field| {
            let FieldKind::Stage { pipeline, .. } = &stage_field.kind else { return None };
            let key = self.after.get(&stage_field.name)?.as_str()?;
            let stage = self.entity.pipelines.get(pipeline)?.stage(key)?;
            let is_bound = self.touches(&stage_field.name) || self.touches(&field.name);
            (is_bound && stage.needs.contains(&field.name)).then_some((stage_field, stage))
        })
    }

    /// The rule's message, if the change breaks it. Empty fields leave a rule unbroken unless it asks for them.
    fn breach(&self, rule: &Rule) -> Option<Finding> {
        if !self.touches_any(&rule.valid_if) {
            return None;
        }
        match rule.valid_if.eval(self.entity, self.after, self.variables) {
            Ok(crate::expr::Value::Bool(false)) => Some(message::broken(rule, self.field_of(rule))),
            Ok(_) => None,
            Err(error) => {
                let field = self.entity.field(self.field_of(rule))?;
                Some(message::expression(field, &error))
            }
        }
    }

    /// The field that a person would correct: the empty one, else one that the change touched.
    fn field_of<'b>(&self, rule: &'b Rule) -> &'b str {
        let fields = rule.valid_if.fields();
        let empty = fields.iter().find(|field| self.is_empty(field));
        let touched = || fields.iter().find(|field| self.changed.contains(*field));
        empty.or_else(touched).or_else(|| fields.first()).map_or("", String::as_str)
    }
}
