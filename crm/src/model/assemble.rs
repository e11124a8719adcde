//! Definitions → entities. What cannot be understood is reported and left out; the caller builds no model from an
//! assembly that has problems, so nothing left out is ever missed.

mod field;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::definition::{Definition, ImportDefinition, MixinDefinition, RuleDefinition, StageDefinition};
use super::{Entity, Field, ImportSpec, ModelProblem, Permission, Pipeline, Rule, Stage, SyncSpec};
use crate::expr::Expr;

/// Entities under construction, where each came from, and what is wrong so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Assembly {
    pub mixins: IndexMap<String, MixinDefinition>,
    pub entities: IndexMap<String, Entity>,
    /// The file that brought `entity` or `entity.field`, where it is not the entity's core file.
    pub origins: BTreeMap<String, String>,
    /// The roles that the core names: an overlay gives them nothing that the core does not.
    pub core_roles: BTreeSet<String>,
    pub problems: Vec<ModelProblem>,
}

impl Assembly {
    pub(super) fn problem(&mut self, file: &str, path: &str, what: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(ModelProblem {
            file: file.to_owned(),
            path: path.to_owned(),
            what: what.into(),
            advice: advice.into(),
        });
    }

    /// The file to blame for what stands at `path`.
    pub(super) fn origin(&self, path: &str) -> String {
        let mut rest = path;
        loop {
            if let Some(file) = self.origins.get(rest) {
                return file.clone();
            }
            match rest.rfind('.') {
                Some(dot) => rest = &rest[..dot],
                None => return format!("{rest}.yaml"),
            }
        }
    }

    /// Makes the entity of a definition that stands alone.
    pub(super) fn add_entity(&mut self, file: &str, definition: Definition) {
        let name = definition.entity;
        self.origins.insert(name.clone(), file.to_owned());
        let (Some(labels), Some(title)) = (definition.labels, definition.title) else {
            self.problem(
                file,
                &name,
                "a new entity has no `labels` or no `title`",
                "give it both, or correct the name if you meant to extend an entity that exists",
            );
            return;
        };
        let mut entity = Entity {
            name: name.clone(),
            labels,
            title,
            module: definition.module,
            fields: IndexMap::new(),
            removed: definition.removed,
            pipelines: IndexMap::new(),
            rules: Vec::new(),
            permissions: definition.permissions.into_iter().map(|(role, may)| (role, Permission::from(may))).collect(),
            parent: definition.parent,
            number: definition.number.map(Into::into),
            sync: definition.sync.map(|sync| sync.over(&SyncSpec::default())).unwrap_or_default(),
            import: ImportSpec::default(),
            layouts: definition.layouts,
        };
        for (field, definition) in definition.fields {
            if let Some(field) = self.field(file, &name, &field, definition) {
                entity.fields.insert(field.name.clone(), field);
            }
        }
        for (pipeline, stages) in definition.pipelines {
            let stages = self.stages(file, &format!("{name}.{pipeline}"), stages);
            entity.pipelines.insert(pipeline, Pipeline { stages });
        }
        for rule in definition.rules {
            self.add_rule(file, &mut entity, rule);
        }
        // The mixins' import keys come first: an id given by another system is surer than any name.
        self.add_mixins(file, &mut entity, &definition.mixins);
        add_import(&mut entity, definition.import);
        self.entities.insert(name, entity);
    }

    /// Adds the fields, aliases and import keys of the mixins.
    pub(super) fn add_mixins(&mut self, file: &str, entity: &mut Entity, mixins: &[String]) {
        for mixin in mixins {
            let path = format!("{}.mixins.{mixin}", entity.name);
            let Some(definition) = self.mixins.get(mixin).cloned() else {
                let known = self.mixins.keys().cloned().collect::<Vec<_>>().join(", ");
                self.problem(file, &path, "there is no such mixin", format!("use one of {known}"));
                continue;
            };
            for (name, definition) in definition.fields {
                if let Some(field) = self.field(file, &entity.name, &name, definition) {
                    self.add_field(file, entity, field);
                }
            }
            add_import(entity, ImportDefinition { keys: definition.keys, aliases: definition.aliases });
        }
    }

    pub(super) fn add_field(&mut self, file: &str, entity: &mut Entity, field: Field) {
        let path = format!("{}.{}", entity.name, field.name);
        if entity.fields.contains_key(&field.name) {
            self.problem(
                file,
                &path,
                "the entity has this field already",
                "take it out, or give one of the two another name",
            );
            return;
        }
        self.origins.insert(path, file.to_owned());
        entity.fields.insert(field.name.clone(), field);
    }

    pub(super) fn stages(&mut self, file: &str, path: &str, stages: Vec<StageDefinition>) -> Vec<Stage> {
        let mut made: Vec<Stage> = Vec::new();
        for definition in stages {
            let path = format!("{path}.{}", definition.key);
            if definition.after.is_some() {
                self.problem(
                    file,
                    &path,
                    "`after` has a meaning only in an overlay of the pipeline",
                    "order the stages as they follow each other",
                );
            }
            if let Some(stage) = self.stage(file, &path, definition) {
                made.push(stage);
            }
        }
        made
    }

    pub(super) fn stage(&mut self, file: &str, path: &str, definition: StageDefinition) -> Option<Stage> {
        let StageDefinition { key, kind, probability, category, needs, labels, after: _ } = definition;
        let (Some(kind), Some(probability), Some(category), Some(labels)) = (kind, probability, category, labels)
        else {
            self.problem(
                file,
                path,
                "a stage is incomplete",
                "give it `kind` (open, won or lost), `probability` (0 to 100), `category` and `labels`",
            );
            return None;
        };
        Some(Stage { key, kind, probability, category, needs, labels })
    }

    pub(super) fn add_rule(&mut self, file: &str, entity: &mut Entity, rule: RuleDefinition) {
        let path = format!("{}.rules.{}", entity.name, rule.id);
        if entity.rules.iter().any(|other| other.id == rule.id) {
            self.problem(
                file,
                &path,
                "the entity has a rule with this id already",
                "give the new rule an id of its own; a rule that exists cannot be changed",
            );
            return;
        }
        if let Some(valid_if) = self.expression(file, &path, &rule.valid_if) {
            self.origins.insert(path, file.to_owned());
            entity.rules.push(Rule { id: rule.id, valid_if, severity: rule.severity, message: rule.message });
        }
    }

    /// Compiles an expression; what is wrong with it is reported at `path`.
    pub(super) fn expression(&mut self, file: &str, path: &str, source: &str) -> Option<Expr> {
        match Expr::compile(source) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.problem(
                    file,
                    path,
                    format!("the expression `{source}` is not understood: {error}"),
                    "write it in the language that docs/expressions.md describes",
                );
                None
            }
        }
    }
}

/// Adds import keys and aliases to what the entity has.
pub(super) fn add_import(entity: &mut Entity, import: ImportDefinition) {
    for key in import.keys {
        if !entity.import.keys.contains(&key) {
            entity.import.keys.push(key);
        }
    }
    for (field, aliases) in import.aliases {
        let all = entity.import.aliases.entry(field).or_default();
        for alias in aliases {
            if !all.contains(&alias) {
                all.push(alias);
            }
        }
    }
}
