use std::sync::Arc;

use crm::rules::{check, fill_defaults};

use super::answer::{Refusal, field_problem};
use super::update::{record_lost, told, verdict};
use super::working::{FieldSequences, HistoryRow, Stored, Working};
use super::{Case, Decision, fields, follow};

/// Makes a record that was never there.
pub(super) fn create(case: &Case<'_>, working: &mut Working) -> Result<Decision, Refusal> {
    let id = case.change.record;
    if working.get(id).is_some() || working.tombstones.contains(&id) {
        return Err(Refusal::already_exists(case.entity));
    }
    let mut merged = fields::merge(case, None)?;
    fields::check_links(case, working, None, &merged)?;
    fill_defaults(case.entity, &mut merged.after, &case.variables());
    follow::settle_new_place(case, working, &mut merged);
    if !may_create(case, &merged.after) {
        return Err(Refusal::forbidden(case.entity, ("crear", "create")));
    }
    follow::number(case, working, &mut merged);
    follow::settle_derived(case, &mut merged);
    merged.changed = merged.after.keys().cloned().collect();
    let findings = check(case.entity, None, &merged.after, &merged.changed, &case.variables(), case.context.gaps);
    if !findings.errors.is_empty() {
        return Err(Refusal::invalid(findings.errors));
    }
    fields::hold_unique(case, working, None, &merged)?;
    follow::stamp_create(case, &mut merged);

    let seq = working.sequence_for(id);
    working.history.push(HistoryRow {
        record: id,
        seq,
        kind: "made",
        field: String::new(),
        old: None,
        new: None,
        who: case.author.user.map(|user| user.0),
        device: case.author.device,
        at_ms: case.context.now_ms,
    });
    record_lost(case, working, seq, None, &merged);
    let (verdict, reason) = verdict(case, &merged.lost);
    let server = told(case, &merged.after, &merged.after.keys().cloned().collect());
    let record = Stored {
        num: 0,
        entity: case.code,
        seq,
        created_seq: seq,
        created_by_device: case.author.device,
        fields: Arc::new(merged.after),
        field_seq: Arc::new(FieldSequences::new()),
    };
    fields::note_links(case.entity, working, id, &record.fields, record.fields.keys());
    working.put(&case.entity.name, id, Some(record));
    follow::record_passages(case, working, None);
    Ok(Decision {
        record: id,
        verdict,
        seq,
        reason,
        warnings: findings.warnings.iter().map(|finding| field_problem(finding, case.author.language)).collect(),
        server,
    })
}

/// A role that may create makes records of its own and open ones, and others where it may change them.
fn may_create(case: &Case<'_>, after: &crm::Fields) -> bool {
    let rights = &case.author.rights;
    let place = crm::rules::Place::of(after);
    let own = place.owner == Some(rights.viewer.user) || place.is_open();
    rights.permission(&case.entity.name).is_some_and(|permission| permission.create)
        && (own || rights.reach(&case.entity.name, &place, |permission| permission.update))
}
