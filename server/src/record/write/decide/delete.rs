use std::collections::HashSet;
use std::sync::Arc;

use crm::model::OnDelete;
use serde_json::Value;
use sync_protocol::id::RecordId;
use sync_protocol::wire::Verdict;

use super::answer::Refusal;
use super::update::visible_record;
use super::working::{HistoryRow, Stored, Working};
use super::{Case, Decision, fields};

/// Removes a record, and does with those that link to it what their fields say.
pub(super) fn delete(case: &Case<'_>, working: &mut Working) -> Result<Decision, Refusal> {
    let id = case.change.record;
    let current = visible_record(case, working)?;
    if !case.author.rights.reach(&case.entity.name, &current.place(), |permission| permission.delete) {
        return Err(Refusal::forbidden(case.entity, ("eliminar", "delete")));
    }
    if case.change.base.is_some_and(|base| changed_by_others_since(case, &current, base)) {
        return Err(Refusal::changed_since(case.entity));
    }
    let seq = remove(case, working, id, &mut HashSet::new())?;
    Ok(Decision {
        record: id,
        verdict: Verdict::Applied,
        seq,
        reason: None,
        warnings: Vec::new(),
        server: crm::Fields::new(),
    })
}

fn changed_by_others_since(case: &Case<'_>, record: &Stored, base: u64) -> bool {
    let by_others = |(seq, device): (u64, i64)| seq > base && (device == 0 || device != case.author.device);
    by_others((record.created_seq, record.created_by_device)) || record.field_seq.values().copied().any(by_others)
}

fn remove(case: &Case<'_>, working: &mut Working, id: RecordId, going: &mut HashSet<RecordId>) -> Result<u64, Refusal> {
    let catalogue = case.context.catalogue;
    let Some(record) = working.get(id).cloned() else { return Ok(working.head) };
    if !going.insert(id) {
        return Ok(record.seq);
    }
    let referrers = working.referrers_of(id);
    for (source, field_name) in &referrers {
        let Some(referrer) = working.get(*source).cloned() else { continue };
        let Some(entity) = catalogue.entity_of(referrer.entity) else { continue };
        let Some(field) = entity.field(field_name) else { continue };
        let still_linked =
            referrer.fields.get(field_name).is_some_and(|value| fields::link_targets(field, value).contains(&id));
        if going.contains(source) || !still_linked {
            continue;
        }
        match field.on_delete {
            OnDelete::Restrict => {
                let own = catalogue.entity_of(record.entity).unwrap_or(case.entity);
                return Err(Refusal::restricted(own, entity, referrers.len()));
            }
            OnDelete::Cascade => {
                remove(case, working, *source, going)?;
            }
            OnDelete::Clear => clear_link(case, working, *source, &referrer, field_name, id),
        }
    }
    let entity_name = catalogue.name_of(record.entity).unwrap_or_default().to_owned();
    if let Some(entity) = catalogue.entity_of(record.entity) {
        for field in entity.fields.values().filter(|field| field.unique) {
            if let Some(value) = record.fields.get(&field.name).and_then(fields::unique_text) {
                working.hold_unique((record.entity, field.name.clone(), value), None);
            }
        }
    }
    // A deletion is news even when the record was made in this very transaction.
    working.head += 1;
    let seq = working.head;
    let body = serde_json::to_string(record.fields.as_ref()).unwrap_or_default();
    working.history.push(row(case, id, seq, "deleted", "", Some(body), None));
    working.put(&entity_name, id, None);
    working.deleted.insert(id, seq);
    Ok(seq)
}

fn clear_link(
    case: &Case<'_>,
    working: &mut Working,
    source: RecordId,
    referrer: &Arc<Stored>,
    field: &str,
    gone: RecordId,
) {
    let mut after = referrer.fields.as_ref().clone();
    let old = after.get(field).map(Value::to_string);
    match after.get_mut(field) {
        Some(Value::Array(ids)) => {
            let gone = gone.to_string();
            ids.retain(|id| id.as_str() != Some(&gone));
            if ids.is_empty() {
                after.remove(field);
            }
        }
        _ => drop(after.remove(field)),
    }
    let seq = working.sequence_for(source);
    working.history.push(row(case, source, seq, "changed", field, old, after.get(field).map(Value::to_string)));
    let mut field_seq = referrer.field_seq.as_ref().clone();
    field_seq.insert(field.to_owned(), (seq, 0));
    let next = Stored { seq, fields: Arc::new(after), field_seq: Arc::new(field_seq), ..referrer.as_ref().clone() };
    let entity = case.context.catalogue.name_of(referrer.entity).unwrap_or_default().to_owned();
    working.put(&entity, source, Some(next));
}

fn row(
    case: &Case<'_>,
    record: RecordId,
    seq: u64,
    kind: &'static str,
    field: &str,
    old: Option<String>,
    new: Option<String>,
) -> HistoryRow {
    HistoryRow {
        record,
        seq,
        kind,
        field: field.to_owned(),
        old,
        new,
        who: case.author.user.map(|user| user.0),
        device: case.author.device,
        at_ms: case.context.now_ms,
    }
}
