//! What a person reads: lists, records, searches, sums.

use std::collections::BTreeMap;

use crm::expr::{Expr, Type};
use crm::model::{Entity, FieldKind};
use crm::rules::{derive, fold, names, naming_fields, title};
use serde::Serialize;
use sync_protocol::id::RecordId;
use sync_protocol::store::View;

use super::{Device, DeviceError, Record};
use crate::message::say;
use crate::storage::{Condition, StorageError, matches, query_words};
use crate::value::{LinkTargets, Titles};

/// Which records are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    /// Only those for which this CEL expression holds.
    pub condition: Option<&'a str>,
    /// At most this many.
    pub limit: Option<usize>,
}

/// The sum of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many records there are.
    pub records: u64,
    /// How many of them have the field.
    pub filled: u64,
    /// For money, the sum in minor units of each currency; otherwise one sum under the empty name.
    pub sums: BTreeMap<String, i128>,
}

impl Device {
    /// The records of an entity, by title.
    ///
    /// # Errors
    /// When there is no such entity, or the condition is none for it.
    pub fn list(&self, entity: &str, query: Query) -> Result<Vec<Record>, DeviceError> {
        let entity = self.entity(entity)?;
        let mut records = Vec::new();
        self.each(entity, query.condition, query.limit, &mut |view| {
            records.push(Record::of(view, String::new()));
        })?;
        for record in &mut records {
            record.title = title(entity, &record.fields);
        }
        records.sort_by_cached_key(|record| (fold(&record.title), record.id));
        records.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(records)
    }

    /// One record.
    ///
    /// # Errors
    /// When the device does not have it.
    pub fn show(&self, entity: &str, id: &str) -> Result<Record, DeviceError> {
        let entity = self.entity(entity)?;
        let view = self.find(entity, id)?;
        let title = title(entity, &view.fields);
        Ok(Record::of(view, title))
    }

    /// The records that have words beginning with each of these.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn search(&self, text: &str, limit: usize) -> Result<Vec<Record>, DeviceError> {
        let model = self.model()?.clone();
        let words = query_words(text);
        let mut views = self.store.search(&words, limit)?;
        for view in self.pending()? {
            if matches(&self.store.plan().index(&view.entity, &view.fields), &words) {
                views.push(view);
            }
        }
        let position = |view: &View| model.entities.get_index_of(&view.entity).unwrap_or(usize::MAX);
        views.sort_by_cached_key(|view| position(view));
        views.truncate(limit);
        let record = |view: View| {
            let title = model.entity(&view.entity).map(|entity| title(entity, &view.fields)).unwrap_or_default();
            Record::of(view, title)
        };
        Ok(views.into_iter().map(record).collect())
    }

    /// The sum of a field over an entity's records.
    ///
    /// # Errors
    /// When there is no such entity or field, or the condition is none for it.
    pub fn sum(&self, entity: &str, field: &str, condition: Option<&str>) -> Result<Sum, DeviceError> {
        let entity = self.entity(entity)?;
        let unknown = || DeviceError::UnknownField { entity: entity.name.clone(), field: field.to_owned() };
        let kind = &entity.field(field).ok_or_else(unknown)?.kind;
        if !is_number(kind) {
            return Err(DeviceError::Usage(say(
                format!("«{field}» no es un número ni un importe: no se puede sumar."),
                format!("“{field}” is neither a number nor an amount: it cannot be added up."),
            )));
        }
        let mut sum = Sum::default();
        self.each(entity, condition, None, &mut |view| {
            sum.records += 1;
            let Some(value) = view.fields.get(field) else { return };
            let currency = value["currency"].as_str().unwrap_or_default();
            if let Some(number) = value.as_i64().or_else(|| value["minor"].as_i64()) {
                sum.filled += 1;
                *sum.sums.entry(currency.to_owned()).or_default() += i128::from(number);
            }
        })?;
        Ok(sum)
    }

    /// How many records of each entity a person sees.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>, DeviceError> {
        let mut counts = self.store.counts()?;
        for view in self.store.pending()? {
            *counts.entry(view.entity).or_default() += 1;
        }
        Ok(counts)
    }

    /// Hands each record of an entity to `each`: those that the outbox is not about as the database finds them, the
    /// others as they are with their changes.
    fn each(
        &self,
        entity: &Entity,
        condition: Option<&str>,
        limit: Option<usize>,
        each: &mut dyn FnMut(View),
    ) -> Result<(), DeviceError> {
        let variables = self.variables();
        let expr = condition.map(|text| compile(entity, text)).transpose()?;
        let condition = expr.as_ref().map(|expr| Condition { expr, variables: &variables });
        self.store.settled(entity, condition, limit, &mut |view| {
            each(view);
            Ok(())
        })?;
        for view in self.pending()?.into_iter().filter(|view| view.entity == entity.name) {
            let holds = match &expr {
                Some(expr) => expr.holds(entity, &view.fields, &variables).map_err(|error| DeviceError::Condition {
                    expression: expr.source().to_owned(),
                    reason: error.reason(),
                })?,
                None => true,
            };
            if holds {
                each(view);
            }
        }
        Ok(())
    }

    /// Every record of an entity; nothing where the model has no such entity.
    pub(super) fn all(&self, entity: &str) -> Result<Vec<View>, DeviceError> {
        let mut views = Vec::new();
        if let Ok(entity) = self.entity(entity) {
            self.each(entity, None, None, &mut |view| views.push(view))?;
        }
        Ok(views)
    }

    /// The records of an entity that have `folded` in a field that names records, other than the title.
    fn named_otherwise(&self, entity: &str, folded: &str) -> Result<Vec<RecordId>, DeviceError> {
        let entity = self.entity(entity)?;
        let mut found = Vec::new();
        if naming_fields(entity).next().is_some() {
            self.each(entity, None, None, &mut |view| {
                if names(entity, &view.fields).iter().any(|name| fold(name) == folded) {
                    found.push(view.id);
                }
            })?;
        }
        Ok(found)
    }

    /// A record of an entity.
    pub(super) fn find(&self, entity: &Entity, id: &str) -> Result<View, DeviceError> {
        let unknown = || DeviceError::NotFound { entity: entity.name.clone(), id: id.to_owned() };
        let record: RecordId = id.parse().map_err(|_| unknown())?;
        let view = self.store.view(record)?.filter(|view| view.entity == entity.name).ok_or_else(unknown)?;
        Ok(self.derived(view))
    }

    fn pending(&self) -> Result<Vec<View>, StorageError> {
        Ok(self.store.pending()?.into_iter().map(|view| self.derived(view)).collect())
    }

    /// What follows from unsent changes, as the server will compute it too.
    fn derived(&self, mut view: View) -> View {
        let entity = self.model.as_ref().and_then(|model| model.entity(&view.entity));
        if let (Some(entity), false) = (entity, view.unsent.is_empty()) {
            derive(entity, &mut view.fields, &self.variables());
        }
        view
    }
}

fn is_number(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Money | FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Percent)
}

fn compile(entity: &Entity, text: &str) -> Result<Expr, DeviceError> {
    let refuse =
        |error: crm::expr::ExprError| DeviceError::Condition { expression: text.to_owned(), reason: error.reason() };
    let expr = Expr::compile(text).map_err(refuse)?;
    if matches!(expr.result_type(entity).map_err(refuse)?, Type::Bool | Type::Null) {
        return Ok(expr);
    }
    let reason =
        say("no es verdadera ni falsa, como stage == 'won'", "it is neither true nor false, as stage == 'won' is");
    Err(DeviceError::Condition { expression: text.to_owned(), reason })
}

impl LinkTargets for Device {
    fn named(&self, entity: &str, name: &str) -> Vec<RecordId> {
        let wanted = fold(name);
        let mut found = self.store.titled(entity, &wanted).unwrap_or_default();
        let pending = self.store.pending().unwrap_or_default();
        let same = |view: &View| self.store.plan().index(&view.entity, &view.fields).title == wanted;
        found.extend(pending.iter().filter(|view| view.entity == entity && same(view)).map(|view| view.id));
        if found.is_empty() {
            found = self.named_otherwise(entity, &wanted).unwrap_or_default();
        }
        found
    }

    fn entity_of(&self, id: RecordId) -> Option<String> {
        self.store.view(id).ok().flatten().map(|view| view.entity)
    }
}

impl Titles for Device {
    fn title(&self, id: &str) -> Option<String> {
        let view = self.store.view(id.parse().ok()?).ok()??;
        let entity = self.model.as_ref()?.entity(&view.entity)?;
        Some(title(entity, &view.fields)).filter(|title| !title.is_empty())
    }
}
