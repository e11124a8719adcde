//! The fields of a change, one by one: known, writable, well-formed, and merged with what is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::Fields;
use crm::model::{Entity, Field, FieldKind, MergeClass};
use crm::rules::{Finding, Gaps, SHARE_FIELDS, normalise};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::merge::{self, Class};
use uuid::Uuid;

use super::Case;
use super::answer::{
    Refusal, conflicting, inactive_user, missing_target, no_longer_there, not_unique, not_writable, unknown_field,
};
use super::working::{Stored, Working};
use crate::user::directory::Directory;

/// The protocol's name for the model's merge class.
#[must_use]
pub fn merge_class(class: MergeClass) -> Class {
    match class {
        MergeClass::Lww => Class::Lww,
        MergeClass::Set => Class::Set,
        MergeClass::Append => Class::Append,
        MergeClass::Counter => Class::Counter,
        MergeClass::Max => Class::Max,
        MergeClass::Min => Class::Min,
        MergeClass::Derived => Class::Derived,
        MergeClass::Server => Class::Server,
        MergeClass::Guarded => Class::Guarded,
    }
}

/// A change laid over what is stored.
pub(super) struct Merged {
    /// All fields as they would be.
    pub(super) after: Fields,
    /// Those whose value is another than before.
    pub(super) changed: BTreeSet<String>,
    /// Those whose incoming value is lost, with that value.
    pub(super) lost: Vec<(Finding, Value)>,
}

/// Lays the change's fields over `current` (none on create).
pub(super) fn merge(case: &Case<'_>, current: Option<&Stored>) -> Result<Merged, Refusal> {
    let mut after = current.map_or_else(Fields::new, |record| Arc::unwrap_or_clone(record.fields.clone()));
    let mut changed = BTreeSet::new();
    let mut lost = Vec::new();
    let mut faults = Vec::new();
    let mut refused = Vec::new();
    let mut stopped = Vec::new();
    for (name, value) in &case.change.set {
        let Some(field) = visible(case, name) else {
            match removed(case, name) {
                Some(finding) => lost.push((finding, value.clone())),
                None => faults.push(unknown_field(case.entity, name)),
            }
            continue;
        };
        let incoming = match value {
            Value::Null => Value::Null,
            value => match normalise(field, value.clone()) {
                Ok(value) => value,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            },
        };
        let standing = after.get(name);
        let class = writable_class(case, field);
        let decision = merge::merge_set(class, standing, &incoming, is_clean(case, current, name));
        match &decision {
            merge::Decision::Refuse => refused.push(not_writable(name)),
            merge::Decision::Conflict => stopped.push(conflicting(field)),
            merge::Decision::Keep => lost.push((conflicting(field), incoming)),
            merge::Decision::Same => {}
            merge::Decision::Take | merge::Decision::Combine(_) => {
                let value = decision.standing(standing, &incoming);
                lay(&mut after, name, value);
                changed.insert(name.clone());
            }
        }
    }
    for operation in &case.change.ops {
        let name = operation.field();
        let Some(field) = visible(case, name) else {
            match removed(case, name) {
                Some(finding) => lost.push((finding, json!(operation))),
                None => faults.push(unknown_field(case.entity, name)),
            }
            continue;
        };
        let applied = merge::apply_operation(merge_class(field.merge), after.get(name), operation);
        let value = match applied {
            Ok(Value::Null) => Ok(Value::Null),
            Ok(value) => normalise(field, value),
            Err(error) => Err(Finding { field: name.to_owned(), code: "operation", message: said(&error) }),
        };
        match value {
            Err(fault) => faults.push(fault),
            Ok(value) if after.get(name).unwrap_or(&Value::Null) == &value => {}
            Ok(value) => {
                lay(&mut after, name, value);
                changed.insert(name.to_owned());
            }
        }
    }
    if !faults.is_empty() {
        return Err(Refusal::invalid(faults));
    }
    if !refused.is_empty() {
        return Err(Refusal::forbidden_fields(refused));
    }
    if !stopped.is_empty() {
        let server = stopped
            .iter()
            .filter_map(|finding| Some((finding.field.clone(), current?.fields.get(&finding.field)?.clone())))
            .collect();
        return Err(Refusal::conflict(stopped, server));
    }
    Ok(Merged { after, changed, lost })
}

/// Why a device's value of a field that the model no longer has is not stored; `None` where it never had one.
fn removed(case: &Case<'_>, name: &str) -> Option<Finding> {
    // What others send is sent now: they can ask what there is.
    let is_late = case.author.device != 0 && is_removed(case.entity, name);
    is_late.then(|| no_longer_there(case.entity, name))
}

/// Whether the entity once had a field of that name.
pub(super) fn is_removed(entity: &Entity, name: &str) -> bool {
    entity.removed.iter().any(|removed| removed == name)
}

/// Puts a value into a field; `null` empties it.
pub(super) fn lay(fields: &mut Fields, name: &str, value: Value) {
    if value.is_null() {
        fields.remove(name);
    } else {
        fields.insert(name.to_owned(), value);
    }
}

/// Every link that the change adds must point to a record that is there for the author; of those that stood already,
/// some may lead to what she does not see.
pub(super) fn check_links(
    case: &Case<'_>,
    working: &Working,
    current: Option<&Stored>,
    merged: &Merged,
) -> Result<(), Refusal> {
    let faults: Vec<Finding> = merged
        .changed
        .iter()
        .filter_map(|name| {
            let field = case.entity.field(name)?;
            let before = current.and_then(|record| record.fields.get(name));
            let before = before.map(|value| link_targets(field, value)).unwrap_or_default();
            let mut added = link_targets(field, merged.after.get(name)?);
            added.retain(|target| !before.contains(target));
            if added.iter().any(|target| !is_there(case, working, field, *target)) {
                return Some(missing_target(field));
            }
            let is_share = SHARE_FIELDS.contains(&name.as_str());
            let is_gone = |user: &RecordId| working.directory.user(user.0).is_some_and(|user| !user.active);
            (is_share && added.iter().any(is_gone)).then(|| inactive_user(field))
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Refusal::invalid(faults)) }
}

/// No changed unique field may hold another record's value; on success the values are this record's.
pub(super) fn hold_unique(
    case: &Case<'_>,
    working: &mut Working,
    current: Option<&Stored>,
    merged: &Merged,
) -> Result<(), Refusal> {
    let id = case.change.record;
    for name in &merged.changed {
        let Some(field) = case.entity.field(name).filter(|field| field.unique) else { continue };
        if let Some(old) = current.and_then(|record| record.fields.get(name)).and_then(unique_text) {
            working.hold_unique((case.code, name.clone(), old), None);
        }
        if let Some(new) = merged.after.get(name).and_then(unique_text) {
            let key = (case.code, name.clone(), new);
            if working.unique.get(&key).copied().flatten().is_some_and(|holder| holder != id) {
                return Err(Refusal::invalid(vec![not_unique(field)]));
            }
            working.hold_unique(key, Some(id));
        }
    }
    Ok(())
}

/// What no two records may share where `value` is one of a unique field; two spellings of a name are one.
#[must_use]
pub fn unique_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(crm::rules::fold(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Remembers where the fields `names` of a record link to, for deletions later in the same transaction.
pub(super) fn note_links<'a>(
    entity: &Entity,
    working: &mut Working,
    id: RecordId,
    fields: &Fields,
    names: impl Iterator<Item = &'a String>,
) {
    for name in names {
        let (Some(field), Some(value)) = (entity.field(name), fields.get(name)) else { continue };
        if may_be_deleted(field) {
            for target in link_targets(field, value) {
                working.note_link(id, name, target);
            }
        }
    }
}

/// Whether a link leads to records that can be deleted; users, teams, territories and roles never are.
pub(in crate::record::write) fn may_be_deleted(field: &Field) -> bool {
    match &field.kind {
        FieldKind::Link { to } => !to.iter().all(|name| Directory::follows(name)),
        FieldKind::Links { to } => !Directory::follows(to),
        _ => false,
    }
}

/// The ids in a link field's value.
pub(in crate::record::write) fn link_targets(field: &Field, value: &Value) -> Vec<RecordId> {
    let id = |value: &Value| value.as_str().and_then(|text| Uuid::parse_str(text).ok()).map(RecordId);
    match (&field.kind, value) {
        (FieldKind::Link { .. }, Value::Object(link)) => link.get("id").and_then(id).into_iter().collect(),
        (FieldKind::Link { .. }, value) => id(value).into_iter().collect(),
        (FieldKind::Links { .. }, Value::Array(links)) => links.iter().filter_map(id).collect(),
        _ => Vec::new(),
    }
}

fn is_there(case: &Case<'_>, working: &Working, field: &Field, target: RecordId) -> bool {
    let Some(record) = working.get(target) else { return false };
    let Some(entity) = case.context.catalogue.name_of(record.entity) else { return false };
    let allowed = match &field.kind {
        FieldKind::Link { to } => to.iter().any(|name| name == entity),
        FieldKind::Links { to } => to == entity,
        _ => false,
    };
    allowed && case.author.rights.sees(entity, &record.place())
}

fn visible<'a>(case: &Case<'a>, name: &str) -> Option<&'a Field> {
    let shown = case.author.rights.projection(&case.entity.name).is_some_and(|projection| projection.shows(name));
    case.entity.field(name).filter(|_| shown)
}

/// An import brings history: it may set what otherwise only the server writes, such as when a record was made.
fn writable_class(case: &Case<'_>, field: &Field) -> Class {
    match (field.merge, case.context.gaps) {
        (MergeClass::Server, Gaps::Keep) => Class::Lww,
        (class, _) => merge_class(class),
    }
}

fn is_clean(case: &Case<'_>, current: Option<&Stored>, name: &str) -> bool {
    let (Some(record), Some(base)) = (current, case.change.base) else { return true };
    let (changed, by) = record.changed(name);
    merge::is_clean(changed, by != 0 && by == case.author.device, base)
}

fn said(error: &merge::OperationError) -> crm::model::Label {
    use merge::OperationError::{Overflow, WrongClass, WrongType};
    let (es, en) = match error {
        WrongClass { .. } => ("no admite esta operación", "it takes no such operation"),
        WrongType { .. } => ("no contiene lo que la operación cambia", "it does not hold what the operation changes"),
        Overflow { .. } => ("la suma no cabe en 64 bits", "the sum does not fit 64 bits"),
    };
    crm::model::Label {
        es: format!("El cambio no se puede aplicar a este campo: {es}. Envía su valor entero."),
        en: format!("The change cannot be applied to this field: {en}. Send its whole value."),
    }
}
