use std::collections::BTreeSet;

use super::Report;
use crate::expr::{Expr, Type};
use crate::model::{Entity, Field, FieldKind};

impl Report<'_> {
    /// Every expression of an entity names its fields, with types that fit, and tells nobody what is hidden from them.
    pub(super) fn expressions(&mut self, entity: &Entity) {
        for field in entity.fields.values() {
            let path = format!("{}.{}", entity.name, field.name);
            if let Some(condition) = &field.required_if {
                self.expression(&path, entity, condition, |kind| kind == Type::Bool);
            }
            for value in [&field.default, &field.expr].into_iter().flatten() {
                self.expression(&path, entity, value, |kind| can_hold(&field.kind, kind));
            }
            if let Some(expression) = &field.expr {
                self.derived(&path, entity, field, expression);
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

    fn expression(&mut self, path: &str, entity: &Entity, expression: &Expr, fits: impl Fn(Type) -> bool) {
        let what = match expression.result_type(entity) {
            Ok(kind) if fits(kind) => return,
            Ok(kind) => {
                format!("the expression `{}` gives {}, and that does not fit here", expression.source(), kind.as_str())
            }
            Err(error) => format!("the expression `{}` does not fit the entity: {error}", expression.source()),
        };
        self.problem(path, what, "conditions give true or false, `default` and `expr` a value of the field's type");
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
        if field.kind == FieldKind::Money && !sources().any(|source| source.kind == FieldKind::Money) {
            self.problem(path, "derived money has no currency", "name a field of type money in `expr`");
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
