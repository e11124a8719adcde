//! A model that is in force only grows: records, outboxes and reports hold what it once allowed.

use crm::model::{Entity, Field, FieldKind, Model, ModelProblem};

/// What `after` lacks of `before`, as problems of the overlay `name`.
#[must_use]
pub fn losses(before: &Model, after: &Model, name: &str) -> Vec<ModelProblem> {
    let mut losses = Losses { name, found: Vec::new() };
    for entity in before.entities.values() {
        match after.entity(&entity.name) {
            Some(later) => losses.of_entity(entity, later),
            None => losses.add(entity.name.clone(), "the entity would be gone"),
        }
    }
    losses.found
}

struct Losses<'n> {
    name: &'n str,
    found: Vec<ModelProblem>,
}

impl Losses<'_> {
    fn add(&mut self, path: String, what: impl Into<String>) {
        self.found.push(ModelProblem {
            file: self.name.to_owned(),
            path,
            what: what.into(),
            advice: "records may hold it: keep it in the overlay".to_owned(),
        });
    }

    fn of_entity(&mut self, before: &Entity, after: &Entity) {
        for field in before.fields.values() {
            let path = format!("{}.{}", before.name, field.name);
            match after.field(&field.name) {
                Some(later) => self.of_field(path, field, later),
                None => self.add(path, "the field would be gone"),
            }
        }
        for (name, pipeline) in &before.pipelines {
            let later = after.pipelines.get(name);
            for stage in &pipeline.stages {
                if later.and_then(|later| later.stage(&stage.key)).is_none() {
                    let path = format!("{}.pipelines.{name}.{}", before.name, stage.key);
                    self.add(path, "the stage would be gone");
                }
            }
        }
    }

    fn of_field(&mut self, path: String, before: &Field, after: &Field) {
        if std::mem::discriminant(&before.kind) != std::mem::discriminant(&after.kind) {
            self.add(path, "the field's type would be another");
            return;
        }
        match (&before.kind, &after.kind) {
            (
                FieldKind::Enum { options: before } | FieldKind::Enums { options: before },
                FieldKind::Enum { options: after } | FieldKind::Enums { options: after },
            ) => {
                for option in before.iter().filter(|option| after.iter().all(|later| later.key != option.key)) {
                    self.add(path.clone(), format!("the option {} would be gone", option.key));
                }
            }
            (FieldKind::Decimal { scale: before }, FieldKind::Decimal { scale: after }) if before != after => {
                self.add(path, "the number of decimals would be another, and every stored value with it");
            }
            (FieldKind::Link { to: before }, FieldKind::Link { to: after }) if !still_links(before, after) => {
                self.add(path, "the field would link to other entities");
            }
            (FieldKind::Links { to: before }, FieldKind::Links { to: after }) if before != after => {
                self.add(path, "the field would link to another entity");
            }
            _ => {}
        }
    }
}

/// Whether every stored link is still one. With one entity a link is an id, with several it also names the entity.
fn still_links(before: &[String], after: &[String]) -> bool {
    (before.len() == 1) == (after.len() == 1) && before.iter().all(|entity| after.contains(entity))
}
