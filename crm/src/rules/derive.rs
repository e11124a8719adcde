use serde_json::{Value, json};

use crate::Fields;
use crate::expr::{self, Expr, Variables};
use crate::model::{Entity, Field, FieldKind};

/// Fills the fields of a new record that are empty and have a default. A default may name a field that a default
/// fills, whatever their order.
pub fn fill_defaults(entity: &Entity, fields: &mut Fields, variables: &Variables) {
    loop {
        let mut is_done = true;
        for field in entity.fields.values() {
            if fields.contains_key(&field.name) {
                continue;
            }
            let default = field.default.as_ref();
            let value = default.and_then(|default| evaluate(entity, field, default, fields, variables));
            if let Some(value) = value.or_else(|| joined(field, fields)) {
                fields.insert(field.name.clone(), value);
                is_done = false;
            }
        }
        if is_done {
            return;
        }
    }
}

/// Computes the derived fields anew and returns the names of those that changed. One that cannot be computed, because a
/// source is empty or a number grew too large, is empty.
pub fn derive(entity: &Entity, fields: &mut Fields, variables: &Variables) -> Vec<String> {
    let mut changed: Vec<String> = Vec::new();
    // A derived field may name another: the loader has seen to it that this ends, at the latest after as many rounds
    // as there are derived fields.
    loop {
        let mut is_done = true;
        for field in entity.fields.values() {
            let Some(expression) = &field.expr else { continue };
            let value = evaluate(entity, field, expression, fields, variables);
            if fields.get(&field.name) == value.as_ref() {
                continue;
            }
            is_done = false;
            match value {
                Some(value) => fields.insert(field.name.clone(), value),
                None => fields.remove(&field.name),
            };
            if !changed.contains(&field.name) {
                changed.push(field.name.clone());
            }
        }
        if is_done {
            return changed;
        }
    }
}

fn joined(field: &Field, fields: &Fields) -> Option<Value> {
    let words = field.join.iter().filter_map(|name| fields.get(name)?.as_str()).collect::<Vec<_>>();
    let text = super::normalise(field, Value::String(words.join(" "))).ok()?;
    (!text.is_null()).then_some(text)
}

/// The expression's value in the JSON of the field's type; none where there is none.
fn evaluate(
    entity: &Entity,
    field: &Field,
    expression: &Expr,
    fields: &Fields,
    variables: &Variables,
) -> Option<Value> {
    let value = expression.eval(entity, fields, variables).ok()?;
    let value = match (&field.kind, value) {
        (FieldKind::Money, expr::Value::Int(minor)) => {
            json!({ "minor": minor, "currency": currency(entity, expression, fields)? })
        }
        (FieldKind::Date, expr::Value::Int(day)) => Value::String(expr::date_text(day)?),
        (FieldKind::Percent, expr::Value::Int(percent)) if !(0..=100).contains(&percent) => return None,
        (
            FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Percent | FieldKind::Datetime,
            expr::Value::Int(number),
        ) => Value::from(number),
        (FieldKind::Boolean, expr::Value::Bool(value)) => Value::Bool(value),
        (
            FieldKind::Text { .. }
            | FieldKind::LongText
            | FieldKind::Enum { .. }
            | FieldKind::Stage { .. }
            | FieldKind::Email
            | FieldKind::Url
            | FieldKind::Link { .. },
            expr::Value::Text(text),
        ) => Value::String(text),
        _ => return None,
    };
    super::normalise(field, value).ok().filter(|value| !value.is_null())
}

/// The currency of the money that the expression computes with.
fn currency<'a>(entity: &Entity, expression: &Expr, fields: &'a Fields) -> Option<&'a str> {
    expression
        .fields()
        .iter()
        .filter(|name| entity.field(name).is_some_and(|field| field.kind == FieldKind::Money))
        .find_map(|name| fields.get(name)?.get("currency")?.as_str())
}
