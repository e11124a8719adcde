use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::{Entity, Field, FieldKind, Level, Model};
use crate::expr::Expr;
use crate::rules::Projection;

impl Model {
    /// What `role` may know of the model: the entities that it may read, their fields that it may see, and its own
    /// permission. Whatever names a hidden field is left out with it, because a rule that names `cost` tells that
    /// there is a cost.
    #[must_use]
    pub fn for_role(&self, role: &str) -> Self {
        let entities = self
            .entities
            .iter()
            .filter_map(|(name, entity)| Some((name.clone(), view(entity, role)?)))
            .collect::<IndexMap<_, _>>();
        Self::of(entities)
    }
}

impl Model {
    /// The modules that its entities belong to.
    #[must_use]
    pub fn modules(&self) -> BTreeSet<&str> {
        self.entities.values().filter_map(|entity| entity.module.as_deref()).collect()
    }

    /// The core and the modules that are on. Of what belongs to another no role reads anything, or may do anything.
    #[must_use]
    pub fn with_modules(&self, is_on: impl Fn(&str) -> bool) -> Self {
        let has = |entity: &Entity| entity.module.as_deref().is_none_or(&is_on);
        let entities = self.entities.iter().filter(|(_, entity)| has(entity));
        Self::of(entities.map(|(name, entity)| (name.clone(), entity.clone())).collect())
    }
}

/// The entity as `role` sees it; none where it reads nothing of it.
fn view(entity: &Entity, role: &str) -> Option<Entity> {
    let permission = entity.permissions.get(role).filter(|permission| permission.read > Level::None)?;
    let projection = Projection::of(entity, permission);
    let shows = |field: &str| projection.shows(field);

    let mut view = entity.clone();
    view.permissions.retain(|key, _| key == role);
    // A device finds out what it lost by comparing with the model that it had.
    view.removed.clear();
    // What is switched off is not in the view at all.
    view.module = None;
    // The server alone settles which records a device carries; another rule is no other model to a device.
    view.sync.condition = None;
    if projection.is_whole() {
        return Some(view);
    }
    view.fields.retain(|name, _| shows(name));
    for field in view.fields.values_mut() {
        drop_hidden_expressions(field, &projection);
    }
    for pipeline in view.pipelines.values_mut() {
        for stage in &mut pipeline.stages {
            stage.needs.retain(|field| shows(field));
        }
    }
    let pipelines_in_use = view.fields.values().filter_map(pipeline_of).collect::<BTreeSet<_>>();
    view.pipelines.retain(|name, _| pipelines_in_use.contains(name.as_str()));
    view.rules.retain(|rule| names_only_shown(&rule.valid_if, &projection));
    view.parent = view.parent.filter(|field| shows(field));
    view.number = view.number.filter(|number| shows(&number.field));
    view.import.keys.retain(|key| key.iter().all(|field| shows(field)));
    view.import.aliases.retain(|field, _| shows(field));
    for fields in view.layouts.values_mut() {
        fields.retain(|field| shows(field));
    }
    Some(view)
}

fn drop_hidden_expressions(field: &mut Field, projection: &Projection) {
    field.join.retain(|source| projection.shows(source));
    for expression in [&mut field.required_if, &mut field.default, &mut field.expr] {
        if expression.as_ref().is_some_and(|expression| !names_only_shown(expression, projection)) {
            *expression = None;
        }
    }
}

fn names_only_shown(expression: &Expr, projection: &Projection) -> bool {
    expression.fields().iter().all(|field| projection.shows(field))
}

fn pipeline_of(field: &Field) -> Option<&str> {
    match &field.kind {
        FieldKind::Stage { pipeline, .. } => Some(pipeline),
        _ => None,
    }
}
