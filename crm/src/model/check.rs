//! What must hold across a whole model: every name leads somewhere, every text is there in every language, every
//! expression fits its entity. Runs once at load, so that nothing later has to ask again.

mod evolution;
mod expression;
mod field;
mod import;
mod permission;
mod pipeline;

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::assemble::Assembly;
use super::{Entity, Label, ModelProblem};

/// Names that entities may not take, because the server's addresses have them.
const RESERVED_ENTITIES: &[&str] = &["search", "imports", "exports", "model", "users", "sessions", "devices", "moves"];

/// Names that fields may not take: what a record has beside its fields, and the variables of expressions.
const RESERVED_FIELDS: &[&str] = &["id", "seq", "entity", "today", "now", "me"];

/// Adds what is wrong to the assembly's problems.
pub(super) fn whole(assembly: &mut Assembly) {
    let mut report = Report { entities: &assembly.entities, found: Vec::new() };
    for entity in assembly.entities.values() {
        report.entity(entity);
    }
    let found = report.found;
    for Found { path, what, advice } in found {
        let file = assembly.origin(&path);
        assembly.problems.push(ModelProblem { file, path, what, advice });
    }
}

struct Report<'a> {
    entities: &'a IndexMap<String, Entity>,
    found: Vec<Found>,
}

struct Found {
    path: String,
    what: String,
    advice: String,
}

impl Report<'_> {
    fn problem(&mut self, path: impl Into<String>, what: impl Into<String>, advice: impl Into<String>) {
        self.found.push(Found { path: path.into(), what: what.into(), advice: advice.into() });
    }

    fn entity(&mut self, entity: &Entity) {
        self.name(&entity.name, &entity.name, RESERVED_ENTITIES);
        if let Some(module) = &entity.module {
            self.name(&format!("{}.module", entity.name), module, &[]);
        }
        let labels = &entity.labels;
        if labels.es.iter().chain(&labels.en).any(|text| text.trim().is_empty()) {
            self.problem(
                format!("{}.labels", entity.name),
                "a label is empty",
                "give the singular and the plural in es and en",
            );
        }
        self.title(entity);
        self.former_names(entity);
        if !(1..=9).contains(&entity.sync.priority) {
            self.problem(
                format!("{}.sync", entity.name),
                format!("the priority {} is none", entity.sync.priority),
                "give one from 1, what a person needs before she can work, to 9, what comes last",
            );
        }
        self.sync_rule(entity);
        for field in entity.fields.values() {
            self.field(entity, field);
        }
        for (name, pipeline) in &entity.pipelines {
            self.pipeline(entity, name, pipeline);
        }
        self.expressions(entity);
        self.rules(entity);
        self.permissions(entity);
        self.parent(entity);
        self.number(entity);
        self.import(entity);
        for (layout, fields) in &entity.layouts {
            self.field_names(entity, &format!("layouts.{layout}"), fields);
        }
    }

    fn title(&mut self, entity: &Entity) {
        if entity.field(&entity.title).is_none() {
            self.problem(
                format!("{}.title", entity.name),
                format!("the entity has no field `{}`", entity.title),
                "name the field by which people know a record",
            );
        }
    }

    fn rules(&mut self, entity: &Entity) {
        for rule in &entity.rules {
            let path = format!("{}.rules.{}", entity.name, rule.id);
            self.name(&path, &rule.id, &[]);
            self.label(&path, "message", &rule.message);
        }
    }

    fn parent(&mut self, entity: &Entity) {
        let Some(parent) = &entity.parent else { return };
        if !entity.field(parent).is_some_and(|field| matches!(field.kind, super::FieldKind::Link { .. })) {
            self.problem(
                format!("{}.parent", entity.name),
                format!("the entity has no link `{parent}`"),
                "name the link field from which records take owner, team and territory",
            );
        }
    }

    fn number(&mut self, entity: &Entity) {
        let path = format!("{}.number", entity.name);
        let number_fields = entity
            .fields
            .values()
            .filter(|field| field.kind == super::FieldKind::Number)
            .map(|field| field.name.as_str())
            .collect::<BTreeSet<_>>();
        match &entity.number {
            Some(number) if !number_fields.contains(number.field.as_str()) => self.problem(
                path,
                format!("the entity has no field `{}` of type number", number.field),
                "add it, or name the one that it has",
            ),
            Some(number) if !number.series.contains("{seq:") => self.problem(
                path,
                "the series has no `{seq:n}`, so all records would have one number",
                "write for example \"OP-{yyyy}-{seq:5}\"",
            ),
            Some(_) if number_fields.len() > 1 => self.problem(
                path,
                "the entity has more than one field of type number, and one series",
                "keep one of them",
            ),
            None if !number_fields.is_empty() => self.problem(
                path,
                "a field of type number has no series",
                "add `number: {field: …, series: \"…-{yyyy}-{seq:5}\"}`",
            ),
            _ => {}
        }
    }

    /// Reports the names that are no fields of the entity.
    fn field_names(&mut self, entity: &Entity, part: &str, names: &[String]) {
        for name in names.iter().filter(|name| entity.field(name).is_none()) {
            self.problem(
                format!("{}.{part}", entity.name),
                format!("the entity has no field `{name}`"),
                "correct the name, or add the field",
            );
        }
    }

    fn label(&mut self, path: &str, part: &str, label: &Label) {
        for (language, text) in [("es", &label.es), ("en", &label.en)] {
            if text.trim().is_empty() {
                self.problem(path, format!("`{part}` is empty in {language}"), "write it in both languages");
            }
        }
    }

    /// Names become columns of SQL views and variables of expressions, so they stay plain.
    fn name(&mut self, path: &str, name: &str, reserved: &[&str]) {
        let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_')
            && name.len() <= 48;
        if !is_plain {
            self.problem(
                path,
                format!("`{name}` is not a name"),
                "use a to z, 0 to 9 and `_`, a letter first, at most 48 of them",
            );
        }
        if reserved.contains(&name) {
            self.problem(path, format!("the name `{name}` is taken by Cartera itself"), "choose another name");
        }
    }
}
