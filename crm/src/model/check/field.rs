use std::collections::BTreeSet;

use super::{RESERVED_FIELDS, Report};
use crate::model::{Entity, EnumOption, Field, FieldKind, Level, MergeClass, OnDelete};

impl Report<'_> {
    pub(super) fn field(&mut self, entity: &Entity, field: &Field) {
        let path = format!("{}.{}", entity.name, field.name);
        self.name(&path, &field.name, RESERVED_FIELDS);
        self.label(&path, "labels", &field.labels);
        self.kind(&path, entity, field);
        self.merge(&path, field);
        self.requirement(&path, field);
        self.field_names(entity, &field.name, &field.join);
        self.seen(&path, entity, field);
        let is_single_text = matches!(
            field.kind,
            FieldKind::Text { .. } | FieldKind::Email | FieldKind::Url | FieldKind::Number | FieldKind::Integer { .. }
        );
        if field.unique && !is_single_text {
            self.problem(
                &path,
                "only a text, e-mail, URL, number or integer can be unique",
                "take `unique` out, or change the type",
            );
        }
        let is_filled = field.default.is_some() || field.expr.is_some() || !field.join.is_empty();
        if field.unique && (is_filled || field.merge == MergeClass::Counter) {
            self.problem(
                &path,
                "a unique value is written by whoever means it, not filled in or added up",
                "take `unique` out, or what fills the field",
            );
        }
        if field.search && !is_searchable(&field.kind) {
            self.problem(&path, "full-text search finds nothing in a field of this type", "take `search` out");
        }
        if field.search && field.level > 0 {
            self.problem(
                &path,
                "search would find records by it for people who may not see it",
                "set `search: false`, or lower the field's `level`",
            );
        }
    }

    fn kind(&mut self, path: &str, entity: &Entity, field: &Field) {
        match &field.kind {
            FieldKind::Enum { options } | FieldKind::Enums { options } => self.options(path, options),
            FieldKind::Link { to } => {
                if to.is_empty() {
                    self.problem(path, "the link points to nothing", "name at least one entity in `to`");
                }
                for target in to {
                    self.target(path, target);
                }
                self.on_delete(path, field);
            }
            FieldKind::Links { to } => {
                self.target(path, to);
                self.on_delete(path, field);
            }
            FieldKind::Stage { pipeline, history } => self.stage_field(path, entity, pipeline, history.as_deref()),
            FieldKind::Integer { min: Some(min), max: Some(max) } if min > max => {
                self.problem(path, "`min` is greater than `max`, so no value fits", "exchange or correct them");
            }
            _ => {}
        }
    }

    fn options(&mut self, path: &str, options: &[EnumOption]) {
        if options.is_empty() {
            self.problem(path, "there is nothing to choose from", "list `options`, each with its es and en label");
        }
        let mut keys = BTreeSet::new();
        for option in options {
            let is_plain = !option.key.is_empty()
                && option.key.chars().all(|one| one.is_ascii_alphanumeric() || one == '_' || one == '-');
            if !is_plain {
                self.problem(
                    path,
                    format!("`{}` is not a key of an option", option.key),
                    "use letters without accents, digits, `_` and `-`; what people read goes into the label",
                );
            }
            if !keys.insert(&option.key) {
                self.problem(path, format!("the option `{}` is there twice", option.key), "keep one of them");
            }
            self.label(path, &format!("options.{}", option.key), &option.labels);
        }
    }

    fn target(&mut self, path: &str, target: &str) {
        if !self.entities.contains_key(target) {
            self.problem(
                path,
                format!("it links to `{target}`, and there is no such entity"),
                "correct the name in `to`, or define the entity",
            );
        }
    }

    fn on_delete(&mut self, path: &str, field: &Field) {
        if field.on_delete == OnDelete::Cascade && matches!(field.kind, FieldKind::Links { .. }) {
            self.problem(
                path,
                "a record with several links is not deleted with one of them",
                "use `on_delete: clear` or `restrict`",
            );
        }
        if field.on_delete == OnDelete::Clear && field.required {
            self.problem(
                path,
                "a required link cannot be cleared when its target is deleted",
                "use `on_delete: restrict` or `cascade`",
            );
        }
    }

    fn merge(&mut self, path: &str, field: &Field) {
        let fits = match field.merge {
            MergeClass::Lww | MergeClass::Guarded | MergeClass::Server => true,
            MergeClass::Derived => field.expr.is_some(),
            MergeClass::Set => {
                matches!(
                    field.kind,
                    FieldKind::Enums { .. } | FieldKind::Links { .. } | FieldKind::Tags | FieldKind::Blobs { .. }
                )
            }
            MergeClass::Append => field.kind == FieldKind::Log,
            MergeClass::Counter => matches!(field.kind, FieldKind::Integer { .. } | FieldKind::Decimal { .. }),
            MergeClass::Max | MergeClass::Min => matches!(
                field.kind,
                FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Date | FieldKind::Datetime
            ),
        };
        if field.merge == MergeClass::Derived && field.expr.is_none() {
            self.problem(path, "a derived field does not say what it is", "give it `expr`");
        } else if !fits {
            self.problem(path, "this `merge` does not fit the field's type", "docs/model.md lists which fits what");
        }
        if field.expr.is_some() && field.merge != MergeClass::Derived {
            self.problem(
                path,
                "a field with `expr` is derived",
                "take `merge` out, or `expr`; a start value is `default`",
            );
        }
        if field.kind == FieldKind::Number && field.merge != MergeClass::Server {
            self.problem(path, "only the server gives out numbers", "take `merge` out");
        }
    }

    /// Nobody can fill what only the server or an expression writes.
    fn requirement(&mut self, path: &str, field: &Field) {
        let is_written_by_people = !matches!(field.merge, MergeClass::Derived | MergeClass::Server);
        let asks = field.required || field.required_if.is_some();
        let starts = field.default.is_some() || !field.join.is_empty();
        if !is_written_by_people && (asks || starts) {
            self.problem(
                path,
                "a field that people do not write has `required`, `required_if`, `default` or `join`",
                "take that out",
            );
        }
    }

    fn seen(&mut self, path: &str, entity: &Entity, field: &Field) {
        let is_seen = entity.permissions.values().any(|permission| {
            permission.read > Level::None
                && permission.levels.contains(&field.level)
                && permission.fields.as_ref().is_none_or(|fields| fields.contains(&field.name))
        });
        if !is_seen {
            self.problem(
                path,
                format!("no role sees level {}", field.level),
                "add the level to the `levels` of a role, or lower the field's `level`",
            );
        }
    }
}

fn is_searchable(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Text { .. }
            | FieldKind::LongText
            | FieldKind::Email
            | FieldKind::Emails
            | FieldKind::Phones
            | FieldKind::Addresses
            | FieldKind::Url
            | FieldKind::Tags
            | FieldKind::Number
            | FieldKind::Log
    )
}
