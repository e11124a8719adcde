//! Fields and options that are called otherwise, or are no more, as the model goes on: the overlays that say so, what
//! people do with them, and one name for each by which the checks know it, whatever it is called at the moment.

use crm::Fields;
use crm::model::{Entity, FieldKind, Model};
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldOperation, Mutation, Outcome};

use super::change::Intent;

/// What every tenant here starts with, and what becomes of it: classes of fields that the core model does not use.
pub(super) const NAMES: [&str; 3] = [
    "
entity: account
fields:
  visits: {type: integer, merge: counter, labels: {es: Visitas, en: Visits}}
  record_order: {type: integer, merge: max, labels: {es: Mayor pedido, en: Largest order}}
  first_order: {type: integer, merge: min, labels: {es: Menor pedido, en: Smallest order}}
  berth: {type: text, search: true, labels: {es: Atraque, en: Berth}}
  colour: {type: text, labels: {es: Color, en: Colour}}
  dives: {type: integer, merge: counter, labels: {es: Buceos, en: Dives}}
  diary: {type: log, labels: {es: Diario, en: Diary}}
  wants: {type: enums, options: {tin: {es: Chapa, en: Tin}, wood: {es: Madera, en: Wood}, steel: {es: Acero, en: Steel}}, labels: {es: Quiere, en: Wants}}
",
    "
entity: account
fields:
  visits: {type: integer, merge: counter, labels: {es: Visitas, en: Visits}}
  record_order: {type: integer, merge: max, labels: {es: Mayor pedido, en: Largest order}}
  first_order: {type: integer, merge: min, labels: {es: Menor pedido, en: Smallest order}}
  quay: {type: text, search: true, was: [berth], labels: {es: Muelle, en: Quay}}
  colour: {type: text, labels: {es: Color, en: Colour}}
  descents: {type: integer, merge: counter, was: [dives], labels: {es: Descensos, en: Descents}}
  logbook: {type: log, was: [diary], labels: {es: Bitácora, en: Logbook}}
  wants: {type: enums, options: {wood: {es: Madera, en: Wood}, steel: {es: Acero, en: Steel}}, was_options: {tin: steel}, labels: {es: Quiere, en: Wants}}
",
    "
entity: account
removed: [colour]
fields:
  visits: {type: integer, merge: counter, labels: {es: Visitas, en: Visits}}
  record_order: {type: integer, merge: max, labels: {es: Mayor pedido, en: Largest order}}
  first_order: {type: integer, merge: min, labels: {es: Menor pedido, en: Smallest order}}
  dock: {type: text, search: true, was: [berth, quay], labels: {es: Dársena, en: Dock}}
  descents: {type: integer, merge: counter, was: [dives], labels: {es: Descensos, en: Descents}}
  logbook: {type: log, was: [diary], labels: {es: Bitácora, en: Logbook}}
  needs: {type: enums, was: [wants], options: {steel: {es: Acero, en: Steel}}, was_options: {tin: steel}, removed_options: [wood], labels: {es: Necesita, en: Needs}}
",
];

/// Former names of fields, each with the last one.
const FIELDS: [(&str, &str); 5] =
    [("berth", "dock"), ("quay", "dock"), ("dives", "descents"), ("diary", "logbook"), ("wants", "needs")];

/// Former keys of options, each with the last one.
const OPTIONS: [(&str, &str); 1] = [("tin", "steel")];

/// The field that is removed in the end.
const REMOVED: &str = "colour";

/// What somebody changes of an account. She uses the names that the model has which she knows.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    /// A text.
    Berth(u8),
    /// A text that nobody wants any more in the end.
    Colour(u8),
    /// A counter is incremented.
    Dive,
    /// An entry is appended to a log.
    Diary,
    /// A member is added to a set of options.
    Want(u8),
    /// A member is removed from it.
    Unwant(u8),
    /// It is sent as a value, beside a text.
    Wants(u8),
}

impl Named {
    /// What it means under a model; `None` where nothing is called so, or she who knows the model does not see it.
    pub(super) fn intent(self, model: &Model, account: RecordId, now_ms: i64, mark: &str) -> Option<Intent> {
        let entity = model.entity("account")?;
        let now = |name: &str| entity.now_called(name).map(str::to_owned);
        let set = |fields: Value| Intent::update("account", account, fields);
        let operate = |operation| Intent::operate("account", account, operation);
        let intent = match self {
            Self::Berth(n) => set(json!({ now("berth")?: format!("pier {n}") })),
            Self::Colour(n) => set(json!({ now(REMOVED)?: format!("colour {n}"), "notes": format!("painted {n}") })),
            Self::Dive => operate(FieldOperation::Increment { field: now("dives")?, by: 1 }),
            Self::Diary => {
                let entry = json!({"at": now_ms, "text": format!("dived {mark}")});
                operate(FieldOperation::Append { field: now("diary")?, values: vec![entry] })
            }
            Self::Want(n) => operate(FieldOperation::Add { field: now("wants")?, values: vec![option(entity, n)?] }),
            Self::Unwant(n) => {
                operate(FieldOperation::Remove { field: now("wants")?, values: vec![option(entity, n)?] })
            }
            Self::Wants(n) => {
                set(json!({ now("wants")?: [option(entity, n)?], now("berth")?: format!("pier of {n}") }))
            }
        };
        Some(intent)
    }
}

fn option(entity: &Entity, n: u8) -> Option<Value> {
    let FieldKind::Enums { options } = &entity.field(entity.now_called("wants")?)?.kind else { return None };
    Some(json!(options[usize::from(n) % options.len()].key))
}

pub(super) fn any_named() -> impl Strategy<Value = Named> {
    prop_oneof![
        3 => (0..4_u8).prop_map(Named::Berth),
        2 => (0..4_u8).prop_map(Named::Colour),
        2 => Just(Named::Dive),
        2 => Just(Named::Diary),
        2 => (0..3_u8).prop_map(Named::Want),
        1 => (0..3_u8).prop_map(Named::Unwant),
        1 => (0..3_u8).prop_map(Named::Wants),
    ]
}

/// What a field is called in the end.
pub(super) fn last_name(field: &str) -> &str {
    FIELDS.iter().find(|(was, _)| *was == field).map_or(field, |(_, last)| last)
}

/// A mutation as it would be called in the end.
pub(super) fn last_called(mutation: &Mutation) -> Mutation {
    let mut mutation = mutation.clone();
    mutation.set = last_called_fields(&mutation.set);
    for operation in &mut mutation.ops {
        let (FieldOperation::Increment { field, .. }
        | FieldOperation::Add { field, .. }
        | FieldOperation::Remove { field, .. }
        | FieldOperation::Append { field, .. }) = operation;
        *field = last_name(field).to_owned();
        if let FieldOperation::Add { field, values } | FieldOperation::Remove { field, values } = operation {
            for value in values.iter_mut() {
                *value = last_option(field, value);
            }
        }
    }
    mutation
}

/// An outcome as it would be called in the end. What it says of a field that is removed then is left out: an outcome that
/// is told again after that says that there is none.
pub(super) fn last_told(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    outcome.server = last_called_fields(&outcome.server);
    outcome.server.remove(REMOVED);
    for problem in outcome.reason.iter_mut().flat_map(|reason| &mut reason.fields) {
        problem.field = last_name(&problem.field).to_owned();
    }
    outcome
}

fn last_called_fields(fields: &Fields) -> Fields {
    let called = fields.iter().map(|(name, value)| {
        let last = last_name(name);
        let value = match value {
            Value::Array(members) if last == "needs" => {
                let mut members: Vec<Value> = members.iter().map(|member| last_option(last, member)).collect();
                members.sort_by_key(Value::to_string);
                members.dedup();
                Value::Array(members)
            }
            value => value.clone(),
        };
        (last.to_owned(), value)
    });
    called.collect()
}

fn last_option(field: &str, option: &Value) -> Value {
    let is_it = |(was, _): &&(&str, &str)| field == "needs" && option == was;
    OPTIONS.iter().find(is_it).map_or_else(|| option.clone(), |(_, last)| json!(last))
}
