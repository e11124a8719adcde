use std::collections::BTreeSet;

use super::Report;
use crate::model::{Entity, FieldKind, Pipeline, StageKind};

/// Forecast categories.
const CATEGORIES: &[&str] = &["pipeline", "best_case", "commit", "closed", "omitted"];

/// What the server writes at each passage, beside the link to the record, which has the entity's name.
const PASSAGE_FIELDS: &[&str] = &["from", "to", "at", "by", "duration_ms"];

impl Report<'_> {
    pub(super) fn pipeline(&mut self, entity: &Entity, name: &str, pipeline: &Pipeline) {
        let path = format!("{}.{name}", entity.name);
        self.name(&path, name, &[]);
        if !pipeline.stages.iter().any(|stage| stage.kind == StageKind::Open) {
            self.problem(&path, "the pipeline has no open stage", "add the stage in which a record starts");
        }
        let mut keys = BTreeSet::new();
        for stage in &pipeline.stages {
            let path = format!("{path}.{}", stage.key);
            self.name(&path, &stage.key, &[]);
            self.label(&path, "labels", &stage.labels);
            if !keys.insert(&stage.key) {
                self.problem(&path, "the pipeline has this stage twice", "keep one of them");
            }
            if stage.probability > 100 {
                self.problem(&path, "`probability` is more than 100", "give whole percent");
            }
            if !CATEGORIES.contains(&stage.category.as_str()) {
                self.problem(
                    &path,
                    format!("`{}` is not a forecast category", stage.category),
                    format!("use one of {}", CATEGORIES.join(", ")),
                );
            }
            self.field_names(entity, &format!("{name}.{}", stage.key), &stage.needs);
        }
    }

    pub(super) fn stage_field(&mut self, path: &str, entity: &Entity, pipeline: &str, history: Option<&str>) {
        if !entity.pipelines.contains_key(pipeline) {
            self.problem(
                path,
                format!("the entity has no pipeline `{pipeline}`"),
                "add it under `pipelines`, or correct the name",
            );
        }
        let Some(history) = history else { return };
        let Some(passages) = self.entities.get(history) else {
            self.problem(
                path,
                format!("passages go to `{history}`, and there is no such entity"),
                "correct `history`, or define the entity",
            );
            return;
        };
        let links_back = passages
            .field(&entity.name)
            .is_some_and(|field| matches!(&field.kind, FieldKind::Link { to } if *to == [entity.name.as_str()]));
        if !links_back || PASSAGE_FIELDS.iter().any(|name| passages.field(name).is_none()) {
            self.problem(
                path,
                format!("`{history}` cannot take the passages"),
                format!("give it a link `{0}` to {0} and the fields {1}", entity.name, PASSAGE_FIELDS.join(", ")),
            );
        }
    }
}
