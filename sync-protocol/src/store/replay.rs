use std::collections::BTreeSet;

use super::BaseRecord;
use crate::id::{RecordId, Sequence};
use crate::merge::{Class, apply_operation};
use crate::wire::{FieldOperation, Fields, Mutation, MutationKind};

/// A record as the person sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its id.
    pub id: RecordId,
    /// Its entity.
    pub entity: String,
    /// The `base` of an edit made now.
    pub base: Sequence,
    /// Its fields; an absent field is empty.
    pub fields: Fields,
    /// The fields that a mutation without an outcome has changed.
    pub unsent: BTreeSet<String>,
}

/// Lays the record's mutations in the outbox, lowest id first, over its base; `None` where the person sees no record.
#[must_use]
pub fn replay<'a>(
    id: RecordId,
    base: Option<&BaseRecord>,
    outbox: impl IntoIterator<Item = &'a Mutation>,
) -> Option<View> {
    let mut view = base.filter(|base| !base.hidden).map(|base| View {
        id,
        entity: base.entity.clone(),
        base: base.seq,
        fields: base.fields.clone(),
        unsent: BTreeSet::new(),
    });
    for mutation in outbox.into_iter().filter(|mutation| mutation.record == id) {
        match mutation.kind {
            MutationKind::Delete => view = None,
            // Where the create's answer was lost but its record arrived, the record stands already.
            MutationKind::Create if view.is_none() => {
                view = Some(View {
                    id,
                    entity: mutation.entity.clone(),
                    base: 0,
                    fields: Fields::new(),
                    unsent: BTreeSet::new(),
                });
            }
            MutationKind::Create | MutationKind::Update => {}
        }
        if let Some(view) = &mut view {
            lay(&mut view.fields, &mutation.set, &mutation.ops);
            view.unsent.extend(mutation.set.keys().cloned());
            view.unsent.extend(mutation.ops.iter().map(|operation| operation.field().to_owned()));
        }
    }
    view
}

/// Lays values (`null` clears) and then operations over the fields of a record.
///
/// An operation that does not fit what the field holds changes nothing: the server decides about it.
pub fn lay(fields: &mut Fields, set: &Fields, ops: &[FieldOperation]) {
    for (field, value) in set {
        put(fields, field, value.clone());
    }
    for operation in ops {
        let field = operation.field();
        let class = Class::of_operation(operation);
        if let Ok(value) = apply_operation(class, fields.get(field), operation) {
            put(fields, field, value);
        }
    }
}

fn put(fields: &mut Fields, field: &str, value: serde_json::Value) {
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value);
    }
}
