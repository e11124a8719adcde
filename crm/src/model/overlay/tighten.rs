//! What an overlay may say about a field that exists.

use super::super::assemble::Assembly;
use super::super::definition::{FieldDefinition, KindName};
use super::super::{Accept, EnumOption, Field, FieldKind, MergeClass, OnDelete};

impl Assembly {
    pub(super) fn tighten_field(
        &mut self,
        file: &str,
        entity: &str,
        field: &mut Field,
        mut definition: FieldDefinition,
    ) {
        let path = format!("{entity}.{}", field.name);
        if let Some(labels) = definition.labels.take() {
            field.labels = labels;
        }
        field.search = definition.search.unwrap_or(field.search);
        self.add_options(file, &path, field, &mut definition);
        self.tighten_requirement(file, &path, field, definition.required_if.take());
        if definition.default.is_some() && field.default.is_none() && field.expr.is_none() {
            field.default = self.optional_expression(file, &path, definition.default.take().as_deref());
        }
        for (key, advice) in tighten(field, &definition) {
            self.problem(file, &path, format!("an overlay cannot change `{key}` of this field so"), advice);
        }
    }

    fn add_options(&mut self, file: &str, path: &str, field: &mut Field, definition: &mut FieldDefinition) {
        field.was_options.extend(std::mem::take(&mut definition.was_options));
        field.removed_options.append(&mut definition.removed_options);
        let added = std::mem::take(&mut definition.options);
        if added.is_empty() {
            return;
        }
        let (FieldKind::Enum { options } | FieldKind::Enums { options }) = &mut field.kind else {
            self.problem(file, path, "the field has no options to add to", "take `options` out");
            return;
        };
        for (key, labels) in added {
            match options.iter_mut().find(|option| option.key == key) {
                Some(option) => option.labels = labels,
                None => options.push(EnumOption { key, labels }),
            }
        }
    }

    /// A condition that is there already stays: either of the two then requires the field.
    fn tighten_requirement(&mut self, file: &str, path: &str, field: &mut Field, condition: Option<String>) {
        let Some(condition) = condition else { return };
        let both = match &field.required_if {
            Some(before) => format!("({}) || ({condition})", before.source()),
            None => condition.clone(),
        };
        // Compiled alone first, so that a problem shows what the overlay says and not the combination.
        if self.expression(file, path, &condition).is_some() {
            field.required_if = self.expression(file, path, &both);
        }
    }
}

/// Applies what tightens; returns the keys that would do anything else, with what to do instead.
fn tighten(field: &mut Field, definition: &FieldDefinition) -> Vec<(&'static str, &'static str)> {
    const OWN_FIELD: &str = "take it out, or add a field of your own";
    let mut refused = Vec::new();
    if definition.kind.is_some_and(|kind| kind != kind_of(&field.kind)) {
        refused.push(("type", "a field keeps its type for ever: take it out, or add a field of your own"));
    }
    let changed_shape = [
        ("scale", definition.scale.is_some_and(|scale| field.kind != FieldKind::Decimal { scale })),
        ("to", definition.to.clone().is_some_and(|to| targets(&field.kind) != to.into_vec())),
        ("accept", definition.accept.is_some_and(|accept| accept_of(&field.kind) != Some(accept))),
        ("pipeline", definition.pipeline.as_ref().is_some_and(|name| pipeline(&field.kind) != Some(name))),
        ("history", definition.history.is_some()),
        ("default", definition.default.is_some()),
        ("join", !definition.join.is_empty()),
        ("expr", definition.expr.is_some()),
        ("was", !definition.was.is_empty()),
    ];
    refused.extend(changed_shape.iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| (*key, OWN_FIELD)));
    tighten_bounds(field, definition, &mut refused);

    match definition.required {
        Some(false) if field.required => refused.push(("required", "what is required stays required: take it out")),
        Some(required) => field.required |= required,
        None => {}
    }
    match definition.unique {
        Some(false) if field.unique => refused.push(("unique", "what is unique stays unique: take it out")),
        Some(unique) => field.unique |= unique,
        None => {}
    }
    match definition.level {
        Some(level) if level < field.level => refused.push(("level", "give a level that is at least as high")),
        Some(level) => field.level = level,
        None => {}
    }
    match definition.merge {
        Some(MergeClass::Guarded) if field.merge == MergeClass::Lww => field.merge = MergeClass::Guarded,
        Some(merge) if merge != field.merge => refused.push(("merge", "only `lww` can become `guarded`: take it out")),
        _ => {}
    }
    match definition.on_delete {
        Some(OnDelete::Restrict) => field.on_delete = OnDelete::Restrict,
        Some(other) if other != field.on_delete => {
            refused.push(("on_delete", "it can only become `restrict`: take it out"));
        }
        _ => {}
    }
    refused
}

/// `min` rises and `max` falls, never the other way.
fn tighten_bounds(field: &mut Field, definition: &FieldDefinition, refused: &mut Vec<(&'static str, &'static str)>) {
    match &mut field.kind {
        FieldKind::Text { max } => {
            if let Some(wanted) = definition.max {
                match u32::try_from(wanted) {
                    Ok(wanted @ 1..) if wanted <= *max => *max = wanted,
                    _ => refused.push(("max", "give at least 1 and at most what the field has")),
                }
            }
            if definition.min.is_some() {
                refused.push(("min", "a text has no least value: take it out"));
            }
        }
        FieldKind::Integer { min, max } => {
            match definition.min {
                Some(wanted) if min.is_some_and(|min| wanted < min) => {
                    refused.push(("min", "give at least what the field has"));
                }
                Some(wanted) => *min = Some(wanted),
                None => {}
            }
            match definition.max {
                Some(wanted) if max.is_some_and(|max| wanted > max) => {
                    refused.push(("max", "give at most what the field has"));
                }
                Some(wanted) => *max = Some(wanted),
                None => {}
            }
        }
        FieldKind::Blob { max, .. } | FieldKind::Blobs { max, .. } => {
            if let Some(wanted) = definition.max {
                match u64::try_from(wanted) {
                    Ok(wanted @ 1..) if wanted <= *max => *max = wanted,
                    _ => refused.push(("max", "give at least 1 and at most what the field has")),
                }
            }
            if definition.min.is_some() {
                refused.push(("min", "a file has no least size: take it out"));
            }
        }
        _ => {
            for (key, is_given) in [("min", definition.min.is_some()), ("max", definition.max.is_some())] {
                if is_given {
                    refused.push((key, "only integers, texts and files have bounds: take it out, or add a rule"));
                }
            }
        }
    }
}

fn kind_of(kind: &FieldKind) -> KindName {
    match kind {
        FieldKind::Text { .. } => KindName::Text,
        FieldKind::LongText => KindName::LongText,
        FieldKind::Integer { .. } => KindName::Integer,
        FieldKind::Decimal { .. } => KindName::Decimal,
        FieldKind::Percent => KindName::Percent,
        FieldKind::Boolean => KindName::Boolean,
        FieldKind::Money => KindName::Money,
        FieldKind::Date => KindName::Date,
        FieldKind::Datetime => KindName::Datetime,
        FieldKind::Enum { .. } => KindName::Enum,
        FieldKind::Enums { .. } => KindName::Enums,
        FieldKind::Link { .. } => KindName::Link,
        FieldKind::Links { .. } => KindName::Links,
        FieldKind::Stage { .. } => KindName::Stage,
        FieldKind::Email => KindName::Email,
        FieldKind::Emails => KindName::Emails,
        FieldKind::Phones => KindName::Phones,
        FieldKind::Addresses => KindName::Addresses,
        FieldKind::Url => KindName::Url,
        FieldKind::Tags => KindName::Tags,
        FieldKind::Number => KindName::Number,
        FieldKind::Log => KindName::Log,
        FieldKind::Blob { .. } => KindName::Blob,
        FieldKind::Blobs { .. } => KindName::Blobs,
    }
}

fn targets(kind: &FieldKind) -> Vec<String> {
    match kind {
        FieldKind::Link { to } => to.clone(),
        FieldKind::Links { to } => vec![to.clone()],
        _ => Vec::new(),
    }
}

fn accept_of(kind: &FieldKind) -> Option<Accept> {
    match kind {
        FieldKind::Blob { accept, .. } | FieldKind::Blobs { accept, .. } => Some(*accept),
        _ => None,
    }
}

fn pipeline(kind: &FieldKind) -> Option<&String> {
    match kind {
        FieldKind::Stage { pipeline, .. } => Some(pipeline),
        _ => None,
    }
}
