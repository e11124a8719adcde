use std::collections::BTreeSet;

use serde_json::Value;

use super::Report;
use crate::expr::{self, Expr, Type};
use crate::model::{Entity, Field, FieldKind};
use crate::rules::normalise;

impl Report<'_> {
    /// Every expression of an entity names its fields, with types that fit, and tells nobody what is hidden from them.
    pub(super) fn expressions(&mut self, entity: &Entity) {
        for field in entity.fields.values() {
            let path = format!("{}.{}", entity.name, field.name);
            if let Some(condition) = &field.required_if {
                self.expression(&path, entity, condition, |kind| kind == Type::Bool);
            }
            for value in [&field.default, &field.expr].into_iter().flatten() {
                if self.expression(&path, entity, value, |kind| can_hold(&field.kind, kind)) {
                    self.literals(&path, entity, field, value);
                }
            }
            if let Some(expression) = &field.expr {
                self.derived(&path, entity, field, expression);
            }
            if let Some(value) = field.expr.as_ref().or(field.default.as_ref()) {
                self.currency(&path, entity, field, value);
            }
        }
        for rule in &entity.rules {
            let path = format!("{}.rules.{}", entity.name, rule.id);
            self.expression(&path, entity, &rule.valid_if, |kind| kind == Type::Bool);
            if rule.valid_if.fields().is_empty() {
                self.problem(
                    &path,
                    "the rule names no field, so no change would ever check it",
                    "name what it is about",
                );
            }
        }
        self.circles(entity);
    }

    /// A sync rule gives the same for everybody on one day, and something for every record.
    pub(super) fn sync_rule(&mut self, entity: &Entity) {
        let Some(rule) = &entity.sync.condition else { return };
        let path = format!("{}.sync.where", entity.name);
        if !self.expression(&path, entity, rule, |kind| kind == Type::Bool) {
            return;
        }
        let named = [rule.names("me"), rule.names("now")];
        if named.contains(&true) {
            self.problem(
                &path,
                format!("the expression `{}` names `me` or `now`", rule.source()),
                "devices share what they carry, and a rule is settled once a day: name fields and `today`",
            );
        }
        if rule.can_fail(entity).unwrap_or(true) {
            self.problem(
                &path,
                format!("the expression `{}` computes with a field, and that can fail", rule.source()),
                "compute with `today` instead: `due > today - 30` and not `due + 30 > today`",
            );
        }
    }

    /// Whether an expression fits its place; where it does not, that is a problem.
    fn expression(&mut self, path: &str, entity: &Entity, expression: &Expr, fits: impl Fn(Type) -> bool) -> bool {
        let what = match expression.result_type(entity) {
            Ok(kind) if fits(kind) => return true,
            Ok(kind) => {
                format!("the expression `{}` gives {}, and that does not fit here", expression.source(), kind.as_str())
            }
            Err(error) => format!("the expression `{}` does not fit the entity: {error}", expression.source()),
        };
        self.problem(path, what, "conditions give true or false, `default` and `expr` a value of the field's type");
        false
    }

    /// What stands in an expression as a literal is a value of its field: any other would silently fill nothing.
    fn literals(&mut self, path: &str, entity: &Entity, field: &Field, expression: &Expr) {
        for literal in expression.literals() {
            let (written, value) = match (&field.kind, literal) {
                (FieldKind::Money, _) | (_, expr::Value::Null | expr::Value::List(_)) => continue,
                (FieldKind::Date, expr::Value::Int(day)) => (day.to_string(), expr::date_text(day).map(Value::from)),
                (_, expr::Value::Int(number)) => (number.to_string(), Some(Value::from(number))),
                (_, expr::Value::Bool(truth)) => (truth.to_string(), Some(Value::from(truth))),
                (_, expr::Value::Text(text)) => (text.clone(), Some(Value::from(text))),
            };
            let is_value = value.is_some_and(|value| normalise(field, value).is_ok_and(|value| !value.is_null()));
            if !is_value || !is_stage(entity, field, &written) {
                self.problem(
                    path,
                    format!(
                        "the expression `{}` gives `{written}`, and the field cannot hold that",
                        expression.source()
                    ),
                    "write a value that the field allows: of an enum an option's key, of a stage a stage's",
                );
            }
        }
    }

    fn derived(&mut self, path: &str, entity: &Entity, field: &Field, expression: &Expr) {
        let sources = || expression.fields().iter().filter_map(|name| entity.field(name));
        if let Some(hidden) = sources().find(|source| source.level > field.level) {
            self.problem(
                path,
                format!("it is computed from `{}` and would tell its value at level {}", hidden.name, field.level),
                format!("give it `level: {}`", hidden.level),
            );
        }
    }

    fn currency(&mut self, path: &str, entity: &Entity, field: &Field, expression: &Expr) {
        let mut sources = expression.fields().iter().filter_map(|name| entity.field(name));
        if field.kind == FieldKind::Money && !sources.any(|source| source.kind == FieldKind::Money) {
            self.problem(path, "derived money has no currency", "name a field of type money in `expr` or `default`");
        }
    }

    /// A derived field that needs itself never ends.
    fn circles(&mut self, entity: &Entity) {
        for field in entity.fields.values().filter(|field| field.expr.is_some()) {
            let mut reached = BTreeSet::new();
            let mut next = vec![field.name.as_str()];
            while let Some(name) = next.pop() {
                let sources = entity.field(name).and_then(|field| field.expr.as_ref()).map(Expr::fields);
                for source in sources.into_iter().flatten() {
                    if reached.insert(source.as_str()) {
                        next.push(source);
                    }
                }
            }
            if reached.contains(field.name.as_str()) {
                self.problem(
                    format!("{}.{}", entity.name, field.name),
                    "it is computed from itself",
                    "break the circle: name only fields that do not need it",
                );
            }
        }
    }
}

/// Whether `key` is a stage of the field's pipeline; true where the field is no stage, or has a pipeline that there is not.
fn is_stage(entity: &Entity, field: &Field, key: &str) -> bool {
    let FieldKind::Stage { pipeline, .. } = &field.kind else { return true };
    entity.pipelines.get(pipeline).is_none_or(|pipeline| pipeline.stage(key).is_some())
}

/// Whether a field of this kind can hold what an expression of that type gives.
fn can_hold(field: &FieldKind, kind: Type) -> bool {
    match kind {
        Type::Bool => matches!(field, FieldKind::Boolean),
        Type::Int => matches!(
            field,
            FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Percent | FieldKind::Money
        ),
        Type::Date => matches!(field, FieldKind::Date),
        Type::Instant => matches!(field, FieldKind::Datetime),
        Type::Text => matches!(
            field,
            FieldKind::Text { .. }
                | FieldKind::LongText
                | FieldKind::Enum { .. }
                | FieldKind::Stage { .. }
                | FieldKind::Email
                | FieldKind::Url
                | FieldKind::Link { .. }
        ),
        Type::Null | Type::List(_) | Type::Things => false,
    }
}
