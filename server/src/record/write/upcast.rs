//! Changes that waited on a device while the model changed, and outcomes that waited for the device, in the words of the
//! model in force.

use crm::model::{Entity, Evolution};
use serde_json::Value;
use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::wire::{FieldOperation, Mutation, Outcome, Verdict};

use crate::record::write::Change;

/// What a mutation asks for, whatever model it was made under. Values of fields that are no more stay under their names:
/// the decision says what becomes of them.
pub(super) fn change_of(mutation: &Mutation, entity: Option<&Entity>) -> Change {
    let mut change = Change {
        kind: mutation.kind,
        entity: mutation.entity.clone(),
        record: mutation.record,
        base: Some(mutation.base),
        set: mutation.set.clone(),
        ops: mutation.ops.clone(),
    };
    let Some(evolution) = entity.map(Evolution::of).filter(|evolution| !evolution.is_nothing()) else { return change };
    if is_seeded(Fault::ForgetFormerNames) {
        return change;
    }
    let gone = evolution.follow(&mut change.set);
    change.set.extend(gone);
    for operation in &mut change.ops {
        follow_operation(&evolution, operation);
    }
    change
}

/// An outcome as a device that holds the model in force understands it, whenever it was decided. What the mutation said of a
/// field that is no more stands nowhere, also where it was applied when the field was there.
pub(super) fn current(mut outcome: Outcome, mutation: &Mutation, entity: Option<&Entity>) -> Outcome {
    let Some(evolution) = entity.map(Evolution::of).filter(|evolution| !evolution.is_nothing()) else { return outcome };
    let gone = evolution.follow(&mut outcome.server);
    outcome.server.extend(gone.into_keys().map(|name| (name, Value::Null)));
    if outcome.verdict != Verdict::Rejected {
        let named = mutation.set.keys().map(String::as_str).chain(mutation.ops.iter().map(FieldOperation::field));
        let gone = named.filter(|name| evolution.name(name).is_none());
        outcome.server.extend(gone.map(|name| (name.to_owned(), Value::Null)));
    }
    for problem in outcome.reason.iter_mut().flat_map(|reason| &mut reason.fields) {
        let end = problem.field.find(['.', '[']).unwrap_or(problem.field.len());
        let (name, below) = problem.field.split_at(end);
        if let Some(now) = evolution.renamed.get(name) {
            problem.field = format!("{now}{below}");
        }
    }
    outcome
}

fn follow_operation(evolution: &Evolution, operation: &mut FieldOperation) {
    let (FieldOperation::Increment { field, .. }
    | FieldOperation::Add { field, .. }
    | FieldOperation::Remove { field, .. }
    | FieldOperation::Append { field, .. }) = operation;
    if let Some(now) = evolution.renamed.get(field) {
        field.clone_from(now);
    }
    if let FieldOperation::Add { field, values } | FieldOperation::Remove { field, values } = operation {
        for value in values {
            evolution.follow_options(field, value);
        }
    }
}
