//! The definition of one field → the field.

use super::super::definition::{FieldDefinition, KindName};
use super::super::{DEFAULT_BLOB_BYTES, EnumOption, Field, FieldKind, MergeClass};
use super::Assembly;

impl Assembly {
    /// The field that a definition describes.
    pub(in super::super) fn field(
        &mut self,
        file: &str,
        entity: &str,
        name: &str,
        mut definition: FieldDefinition,
    ) -> Option<Field> {
        let path = format!("{entity}.{name}");
        let (Some(kind), Some(labels)) = (definition.kind, definition.labels.take()) else {
            self.problem(
                file,
                &path,
                "a new field has no `type` or no `labels`",
                "give it both, or correct the name if you meant a field that exists",
            );
            return None;
        };
        for key in keys_out_of_place(kind, &definition) {
            self.problem(
                file,
                &path,
                format!("`{key}` has no meaning for a field of this type"),
                "take it out, or choose the type that has it",
            );
        }
        let merge = definition.merge.unwrap_or_else(|| natural_merge(kind, &definition));
        let kind = self.kind(file, &path, kind, &mut definition)?;
        // A number that two records share is none.
        let unique = definition.unique.unwrap_or(false) || kind == FieldKind::Number;
        Some(Field {
            name: name.to_owned(),
            labels,
            kind,
            required: definition.required.unwrap_or(false),
            required_if: self.optional_expression(file, &path, definition.required_if.as_deref()),
            merge,
            level: definition.level.unwrap_or(0),
            search: definition.search.unwrap_or(false),
            unique,
            default: self.optional_expression(file, &path, definition.default.as_deref()),
            join: definition.join,
            expr: self.optional_expression(file, &path, definition.expr.as_deref()),
            on_delete: definition.on_delete.unwrap_or_default(),
            was: definition.was,
            was_options: definition.was_options,
            removed_options: definition.removed_options,
        })
    }

    pub(in super::super) fn optional_expression(
        &mut self,
        file: &str,
        path: &str,
        source: Option<&str>,
    ) -> Option<crate::expr::Expr> {
        source.and_then(|source| self.expression(file, path, source))
    }

    fn kind(&mut self, file: &str, path: &str, kind: KindName, definition: &mut FieldDefinition) -> Option<FieldKind> {
        let made = match kind {
            KindName::Text => {
                let max = definition.max.unwrap_or(255);
                match u32::try_from(max) {
                    Ok(max @ 1..=4_000) => Ok(FieldKind::Text { max }),
                    _ => Err((
                        format!("`max: {max}` is not a length that a text of one line can have"),
                        "give 1 to 4000, or use `type: long_text`",
                    )),
                }
            }
            KindName::LongText => Ok(FieldKind::LongText),
            KindName::Integer => Ok(FieldKind::Integer { min: definition.min, max: definition.max }),
            KindName::Decimal => match definition.scale {
                Some(scale @ 0..=9) => Ok(FieldKind::Decimal { scale }),
                _ => Err(("a decimal has no `scale` from 0 to 9".to_owned(), "say how many digits follow the point")),
            },
            KindName::Percent => Ok(FieldKind::Percent),
            KindName::Boolean => Ok(FieldKind::Boolean),
            KindName::Money => Ok(FieldKind::Money),
            KindName::Date => Ok(FieldKind::Date),
            KindName::Datetime => Ok(FieldKind::Datetime),
            KindName::Enum => Ok(FieldKind::Enum { options: options(definition) }),
            KindName::Enums => Ok(FieldKind::Enums { options: options(definition) }),
            KindName::Link => match definition.to.take() {
                Some(to) => Ok(FieldKind::Link { to: to.into_vec() }),
                None => Err(("a link does not say what it points to".to_owned(), "give `to:` and the entity's name")),
            },
            KindName::Links => match definition.to.take().map(super::super::definition::Targets::into_vec) {
                Some(mut to) if to.len() == 1 => Ok(FieldKind::Links { to: to.remove(0) }),
                _ => Err(("links point to exactly one entity".to_owned(), "give `to:` and that entity's name")),
            },
            KindName::Stage => match definition.pipeline.take() {
                Some(pipeline) => Ok(FieldKind::Stage { pipeline, history: definition.history.take() }),
                None => {
                    Err(("a stage does not say which pipeline it is of".to_owned(), "give `pipeline:` and its name"))
                }
            },
            KindName::Email => Ok(FieldKind::Email),
            KindName::Emails => Ok(FieldKind::Emails),
            KindName::Phones => Ok(FieldKind::Phones),
            KindName::Addresses => Ok(FieldKind::Addresses),
            KindName::Url => Ok(FieldKind::Url),
            KindName::Tags => Ok(FieldKind::Tags),
            KindName::Number => Ok(FieldKind::Number),
            KindName::Log => Ok(FieldKind::Log),
            KindName::Blob => blob_bytes(definition.max)
                .map(|max| FieldKind::Blob { max, accept: definition.accept.unwrap_or_default() }),
            KindName::Blobs => blob_bytes(definition.max)
                .map(|max| FieldKind::Blobs { max, accept: definition.accept.unwrap_or_default() }),
        };
        match made {
            Ok(kind) => Some(kind),
            Err((what, advice)) => {
                self.problem(file, path, what, advice);
                None
            }
        }
    }
}

/// The bytes that a file of the field may have; what is wrong with them, and what to do.
fn blob_bytes(max: Option<i64>) -> Result<u64, (String, &'static str)> {
    let Some(max) = max else { return Ok(DEFAULT_BLOB_BYTES) };
    u64::try_from(max)
        .ok()
        .filter(|max| (1..=1 << 40).contains(max))
        .ok_or_else(|| (format!("`max: {max}` is no number of bytes that a file can have"), "give 1 to 1099511627776"))
}

/// How two changes of a field of this kind meet when the definition does not say.
fn natural_merge(kind: KindName, definition: &FieldDefinition) -> MergeClass {
    match kind {
        _ if definition.expr.is_some() => MergeClass::Derived,
        KindName::Enums | KindName::Links | KindName::Tags | KindName::Blobs => MergeClass::Set,
        KindName::Log => MergeClass::Append,
        KindName::Number => MergeClass::Server,
        _ => MergeClass::Lww,
    }
}

fn options(definition: &mut FieldDefinition) -> Vec<EnumOption> {
    std::mem::take(&mut definition.options).into_iter().map(|(key, labels)| EnumOption { key, labels }).collect()
}

/// Keys of the definition that say nothing about a field of this kind.
fn keys_out_of_place(kind: KindName, definition: &FieldDefinition) -> Vec<&'static str> {
    let is_link = matches!(kind, KindName::Link | KindName::Links);
    let is_blob = matches!(kind, KindName::Blob | KindName::Blobs);
    let mut found = Vec::new();
    let mut check = |key, is_given: bool, fits: bool| {
        if is_given && !fits {
            found.push(key);
        }
    };
    check("min", definition.min.is_some(), kind == KindName::Integer);
    check("max", definition.max.is_some(), matches!(kind, KindName::Integer | KindName::Text) || is_blob);
    check("accept", definition.accept.is_some(), is_blob);
    check("scale", definition.scale.is_some(), kind == KindName::Decimal);
    let is_enum = matches!(kind, KindName::Enum | KindName::Enums);
    check("options", !definition.options.is_empty(), is_enum);
    check("was_options", !definition.was_options.is_empty(), is_enum);
    check("removed_options", !definition.removed_options.is_empty(), is_enum);
    check("to", definition.to.is_some(), is_link);
    check("on_delete", definition.on_delete.is_some(), is_link);
    check("join", !definition.join.is_empty(), kind == KindName::Text);
    check("pipeline", definition.pipeline.is_some(), kind == KindName::Stage);
    check("history", definition.history.is_some(), kind == KindName::Stage);
    found
}
