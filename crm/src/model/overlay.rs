//! Laying an overlay over an entity that exists. An overlay adds or tightens: what the core promises about a record
//! (its types, its requirements, who sees it) stays true under every overlay, so that core code and devices can rely
//! on it.

mod permission;
mod tighten;

use super::Pipeline;
use super::assemble::{Assembly, add_import};
use super::definition::{Definition, FieldDefinition, StageDefinition};
use super::{Entity, Stage};

impl Assembly {
    /// Adds to an entity what a definition says beyond it.
    pub(super) fn extend_entity(&mut self, file: &str, definition: Definition) {
        let Some(mut entity) = self.entities.get(&definition.entity).cloned() else { return };
        self.refuse_changed_basics(file, &entity, &definition);
        if let Some(labels) = definition.labels {
            entity.labels = labels;
        }
        if entity.number.is_none() {
            entity.number = definition.number.map(Into::into);
        }
        for (name, definition) in definition.fields {
            self.extend_field(file, &mut entity, &name, definition);
        }
        for name in definition.removed {
            if !entity.removed.contains(&name) {
                entity.removed.push(name);
            }
        }
        for (pipeline, stages) in definition.pipelines {
            self.extend_pipeline(file, &mut entity, &pipeline, stages);
        }
        for rule in definition.rules {
            self.add_rule(file, &mut entity, rule);
        }
        for (role, may) in definition.permissions {
            self.extend_permission(file, &mut entity, role, may.into());
        }
        if let Some(sync) = definition.sync {
            entity.sync = sync.over(&entity.sync);
        }
        add_import(&mut entity, definition.import);
        for (layout, fields) in definition.layouts {
            let shown = entity.layouts.entry(layout).or_default();
            for field in fields {
                if !shown.contains(&field) {
                    shown.push(field);
                }
            }
        }
        self.add_mixins(file, &mut entity, &definition.mixins);
        self.entities.insert(entity.name.clone(), entity);
    }

    fn refuse_changed_basics(&mut self, file: &str, entity: &Entity, definition: &Definition) {
        let changed = [
            ("title", definition.title.is_some() && definition.title.as_ref() != Some(&entity.title)),
            ("module", definition.module.is_some() && definition.module != entity.module),
            ("parent", definition.parent.is_some() && definition.parent != entity.parent),
            ("number", definition.number.is_some() && entity.number.is_some()),
        ];
        for (key, _) in changed.iter().filter(|(_, is_changed)| *is_changed) {
            self.problem(
                file,
                &format!("{}.{key}", entity.name),
                format!("an overlay cannot change `{key}` of an entity that exists"),
                "take it out, or define an entity of your own",
            );
        }
    }

    fn extend_field(&mut self, file: &str, entity: &mut Entity, name: &str, definition: FieldDefinition) {
        let Some(field) = entity.fields.get(name) else {
            if let Some(field) = self.field(file, &entity.name, name, definition) {
                self.add_field(file, entity, field);
            }
            return;
        };
        let mut field = field.clone();
        self.tighten_field(file, &entity.name, &mut field, definition);
        entity.fields.insert(name.to_owned(), field);
    }

    fn extend_pipeline(&mut self, file: &str, entity: &mut Entity, name: &str, stages: Vec<StageDefinition>) {
        let path = format!("{}.{name}", entity.name);
        let mut pipeline = entity.pipelines.get(name).cloned().unwrap_or(Pipeline { stages: Vec::new() });
        for definition in stages {
            let path = format!("{path}.{}", definition.key);
            if let Some(at) = pipeline.stages.iter().position(|stage| stage.key == definition.key) {
                self.tighten_stage(file, &path, &mut pipeline.stages[at], definition);
                continue;
            }
            let after = definition.after.clone();
            let Some(stage) = self.stage(file, &path, definition) else { continue };
            let Some(after) = after else {
                pipeline.stages.push(stage);
                continue;
            };
            if let Some(at) = pipeline.stages.iter().position(|other| other.key == after) {
                pipeline.stages.insert(at + 1, stage);
            } else {
                let known = pipeline.stages.iter().map(|stage| stage.key.as_str()).collect::<Vec<_>>().join(", ");
                self.problem(
                    file,
                    &path,
                    format!("it follows `{after}`, and the pipeline has no such stage"),
                    format!("name one of {known} in `after`"),
                );
            }
        }
        entity.pipelines.insert(name.to_owned(), pipeline);
    }

    fn tighten_stage(&mut self, file: &str, path: &str, stage: &mut Stage, definition: StageDefinition) {
        let says_otherwise = definition.kind.is_some_and(|kind| kind != stage.kind)
            || definition.probability.is_some_and(|probability| probability != stage.probability)
            || definition.category.is_some_and(|category| category != stage.category)
            || definition.after.is_some();
        if says_otherwise {
            self.problem(
                file,
                path,
                "the pipeline has this stage already, and an overlay cannot change what it is or where it stands",
                "say only what it `needs` beyond, or its `labels`; or add a stage with a key of its own",
            );
        }
        for field in definition.needs {
            if !stage.needs.contains(&field) {
                stage.needs.push(field);
            }
        }
        if let Some(labels) = definition.labels {
            stage.labels = labels;
        }
    }
}
