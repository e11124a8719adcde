//! A model that is in force loses nothing by accident: records, outboxes and reports hold what it once allowed. What is
//! renamed or removed is named as such, for ever.

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

const SAY_WHERE_TO: &str = "records may hold it: name it in `was` of the field that it becomes, in the entity's `removed` if nobody wants it any more, or keep it in the overlay";
const SAY_WHICH_OPTION: &str = "records may hold it: name it in `was_options` with the option that it becomes, in `removed_options` if nobody is to choose it any more, or keep it";
const STILL_USED: &str = "devices that were away may still use the name: keep it there";

struct Losses<'n> {
    name: &'n str,
    found: Vec<ModelProblem>,
}

impl Losses<'_> {
    fn add(&mut self, path: String, what: impl Into<String>) {
        self.advise(path, what, "records may hold it: keep it in the overlay");
    }

    fn advise(&mut self, path: String, what: impl Into<String>, advice: &str) {
        let (file, what, advice) = (self.name.to_owned(), what.into(), advice.to_owned());
        self.found.push(ModelProblem { file, path, what, advice });
    }

    fn of_entity(&mut self, before: &Entity, after: &Entity) {
        for field in before.fields.values() {
            let path = format!("{}.{}", before.name, field.name);
            let names = || std::iter::once(&field.name).chain(&field.was);
            match after.now_called(&field.name).and_then(|name| after.field(name)) {
                Some(later) => {
                    let is_kept = |name: &&String| **name == later.name || later.was.contains(name);
                    if let Some(lost) = names().find(|name| !is_kept(name)) {
                        self.advise(path.clone(), format!("`was` would no longer name `{lost}`"), STILL_USED);
                    }
                    self.of_field(path, field, later);
                }
                None => {
                    for name in names().filter(|name| !after.removed.contains(name)) {
                        let path = format!("{}.{name}", before.name);
                        self.advise(path, "the field would be gone", SAY_WHERE_TO);
                    }
                }
            }
        }
        for name in before.removed.iter().filter(|name| !after.removed.contains(name)) {
            let path = format!("{}.removed", before.name);
            self.advise(path, format!("it would no longer name `{name}`"), STILL_USED);
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

    fn of_field(&mut self, path: String, known: &Field, later: &Field) {
        if std::mem::discriminant(&known.kind) != std::mem::discriminant(&later.kind) {
            self.add(path, "the field's type would be another");
            return;
        }
        match (&known.kind, &later.kind) {
            (
                FieldKind::Enum { options: before } | FieldKind::Enums { options: before },
                FieldKind::Enum { options: after } | FieldKind::Enums { options: after },
            ) => {
                let is_said = |key: &str| {
                    later.was_options.contains_key(key) || later.removed_options.iter().any(|gone| gone == key)
                };
                for option in before.iter().filter(|option| after.iter().all(|later| later.key != option.key)) {
                    if !is_said(&option.key) {
                        let what = format!("the option {} would be gone", option.key);
                        self.advise(path.clone(), what, SAY_WHICH_OPTION);
                    }
                }
                for key in known.was_options.keys().chain(&known.removed_options).filter(|key| !is_said(key)) {
                    let what = format!("the option {key} would no longer be named as renamed or removed");
                    self.advise(path.clone(), what, STILL_USED);
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
