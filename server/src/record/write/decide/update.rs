use std::collections::BTreeSet;
use std::sync::Arc;

use crm::Fields;
use crm::rules::{Finding, check};
use serde_json::Value;
use sync_protocol::wire::{FieldOperation, Reason, Verdict};

use super::answer::{Refusal, field_problem, merged as merged_reason};
use super::fields::{self, Merged};
use super::follow;
use super::working::{HistoryRow, Stored, Working};
use super::{Case, Decision};

/// Changes fields of a record that is there, visible to the author, and hers to change.
pub(super) fn update(case: &Case<'_>, working: &mut Working) -> Result<Decision, Refusal> {
    let current = visible_record(case, working)?;
    if !case.author.rights.reach(&case.entity.name, &current.place(), |permission| permission.update) {
        return Err(Refusal::forbidden(case.entity, ("cambiar", "change")));
    }
    let mut merged = fields::merge(case, Some(&current))?;
    if merged.changed.is_empty() {
        return Ok(nothing_to_do(case, working, &current, &merged));
    }
    fields::check_links(case, working, Some(&current), &merged)?;
    follow::settle_place(case, working, &mut merged);
    follow::settle_derived(case, &mut merged);
    let findings =
        check(case.entity, Some(&current.fields), &merged.after, &merged.changed, &case.variables(), case.context.gaps);
    if !findings.errors.is_empty() {
        return Err(Refusal::invalid(findings.errors));
    }
    fields::hold_unique(case, working, Some(&current), &merged)?;
    follow::stamp_update(case, &mut merged);

    let seq = working.sequence_for(case.change.record);
    record_history(case, working, seq, Some(&current), &merged);
    let mut field_seq = current.field_seq.as_ref().clone();
    for name in &merged.changed {
        field_seq.insert(name.clone(), (seq, case.author.device));
    }
    let next =
        Stored { seq, fields: Arc::new(merged.after), field_seq: Arc::new(field_seq), ..current.as_ref().clone() };
    let server = told(case, &next.fields, &merged.changed);
    fields::note_links(case.entity, working, case.change.record, &next.fields, merged.changed.iter());
    working.put(&case.entity.name, case.change.record, Some(next));
    follow::record_passages(case, working, Some(&current));

    let (verdict, reason) = verdict(case, &merged.lost);
    Ok(Decision {
        record: case.change.record,
        verdict,
        seq,
        reason,
        warnings: findings.warnings.iter().map(|finding| field_problem(finding, case.author.language)).collect(),
        server,
    })
}

/// The record of the change, if it is there for the author.
pub(super) fn visible_record(case: &Case<'_>, working: &Working) -> Result<Arc<Stored>, Refusal> {
    working
        .get(case.change.record)
        .filter(|record| record.entity == case.code)
        .filter(|record| case.author.rights.sees(&case.entity.name, &record.place()))
        .cloned()
        .ok_or_else(|| Refusal::not_found(case.entity))
}

/// Every value that was sent stands already, or lost to what stands.
fn nothing_to_do(case: &Case<'_>, working: &mut Working, current: &Stored, merged: &Merged) -> Decision {
    record_history(case, working, current.seq, Some(current), merged);
    let server = told(case, &current.fields, &BTreeSet::new());
    let (verdict, reason) = verdict(case, &merged.lost);
    Decision { record: case.change.record, verdict, seq: current.seq, reason, warnings: Vec::new(), server }
}

/// What became of a change of which this was lost, and why.
pub(super) fn verdict(case: &Case<'_>, lost: &[(Finding, Value)]) -> (Verdict, Option<Reason>) {
    if lost.is_empty() {
        return (Verdict::Applied, None);
    }
    let lost: Vec<Finding> = lost.iter().map(|(finding, _)| finding.clone()).collect();
    (Verdict::Merged, Some(merged_reason(&lost, case.author.language)))
}

/// Writes down what changes and what is lost.
fn record_history(case: &Case<'_>, working: &mut Working, seq: u64, before: Option<&Stored>, merged: &Merged) {
    let value = |name: &str| before.and_then(|record| record.fields.get(name));
    for name in merged.changed.iter().filter(|name| !follow::is_stamp(case.entity, name)) {
        working.history.push(history_row(case, seq, "changed", name, value(name), merged.after.get(name)));
    }
    record_lost(case, working, seq, before, merged);
}

/// Writes down what is lost.
pub(super) fn record_lost(case: &Case<'_>, working: &mut Working, seq: u64, before: Option<&Stored>, merged: &Merged) {
    for (finding, value) in &merged.lost {
        let stands = before.and_then(|record| record.fields.get(&finding.field));
        working.history.push(history_row(case, seq, "lost", &finding.field, stands, Some(value)));
    }
}

fn history_row(
    case: &Case<'_>,
    seq: u64,
    kind: &'static str,
    field: &str,
    old: Option<&Value>,
    new: Option<&Value>,
) -> HistoryRow {
    HistoryRow {
        record: case.change.record,
        seq,
        kind,
        field: field.to_owned(),
        old: old.map(Value::to_string),
        new: new.map(Value::to_string),
        who: case.author.user.map(|user| user.0),
        device: case.author.device,
        at_ms: case.context.now_ms,
    }
}

/// Of the fields that changed and those that the change named, the ones that the author may see and whose value is
/// another than the change said. One that stood already is among them when the change spelt it otherwise: the device
/// has only its own spelling.
pub(super) fn told(case: &Case<'_>, fields: &Fields, changed: &BTreeSet<String>) -> Fields {
    let Some(projection) = case.author.rights.projection(&case.entity.name) else { return Fields::new() };
    let named = case.change.set.keys().map(String::as_str).chain(case.change.ops.iter().map(FieldOperation::field));
    let names: BTreeSet<&str> = changed.iter().map(String::as_str).chain(named).collect();
    names
        .into_iter()
        .filter(|name| projection.shows(name) || fields::is_removed(case.entity, name))
        .map(|name| (name, fields.get(name).unwrap_or(&Value::Null)))
        .filter(|(name, value)| case.change.set.get(*name) != Some(value))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}
