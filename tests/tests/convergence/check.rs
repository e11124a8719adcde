//! What must be true when everything is quiet.

use std::collections::{BTreeMap, BTreeSet};

use crm::model::FieldKind;
use serde_json::Value;
use sync_protocol::id::RecordId;
use sync_protocol::wire::FieldOperation;

use crate::office::Office;
use crate::phone::Phone;

pub fn holds_what_its_user_may_see(office: &Office, phone: &Phone) {
    let saved = phone.store.saved();
    let who = format!("device {} of {}", phone.number, phone.user);
    assert!(saved.outbox.is_empty(), "{who} still waits: {:?}", saved.outbox);
    assert!(saved.position.staged_cursor.is_none(), "{who} is in the middle of a run");
    assert_eq!(saved.position.resets, 0, "{who} had to start over");
    let mut expected: BTreeMap<RecordId, _> =
        office.visible(phone.user).into_iter().map(|record| (record.id, record)).collect();
    for (id, base) in phone.store.bases() {
        assert!(!base.hidden, "{who} hides {id} for nothing");
        let Some(record) = expected.remove(&id) else { panic!("{who} still has {id}: {base:?}") };
        assert_eq!(base.entity, record.entity, "{who}: {id}");
        assert_eq!(base.fields, record.fields, "{who}: {} {id} at {}", record.entity, record.seq);
        assert_eq!(base.seq, record.seq, "{who}: {id}");
    }
    assert!(expected.is_empty(), "{who} never got {expected:?}");
}

pub fn nothing_was_done_twice(office: &Office, phones: &[Phone]) {
    let database = office.database();
    for phone in phones {
        let made: i64 = database
            .query_row("SELECT count(*) FROM history WHERE kind = 'made' AND device = ?1", [phone.number], |row| {
                row.get(0)
            })
            .expect("a count");
        assert_eq!(usize::try_from(made), Ok(phone.made()), "records made by device {}", phone.number);
    }
    let records: BTreeMap<RecordId, _> = office.records().into_iter().map(|record| (record.id, record)).collect();
    for phone in phones {
        for mutation in phone.effects() {
            let Some(record) = records.get(&mutation.record) else { continue };
            for operation in &mutation.ops {
                let FieldOperation::Append { field, values } = operation else { continue };
                let log = record.fields.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
                let times = log.iter().filter(|entry| entry["text"] == values[0]["text"]).count();
                assert_eq!(times, 1, "{values:?} stands so often in {log:?}");
            }
        }
    }
}

pub fn no_link_leads_nowhere(office: &Office) {
    let model = office.app.model();
    let records = office.records();
    let there: BTreeSet<String> = records.iter().map(|record| record.id.to_string()).collect();
    for record in &records {
        let entity = model.entity(&record.entity).expect("a known entity");
        for (name, value) in &record.fields {
            let field = entity.field(name).expect("a known field");
            let targets: Vec<&Value> = match (&field.kind, value) {
                (FieldKind::Link { .. }, Value::Object(link)) => vec![&link["id"]],
                (FieldKind::Link { .. }, id) => vec![id],
                (FieldKind::Links { .. }, Value::Array(ids)) => ids.iter().collect(),
                _ => vec![],
            };
            for target in targets {
                let target = target.as_str().expect("an id");
                assert!(there.contains(target), "{} {}: {name} leads to {target}", record.entity, record.id);
            }
        }
    }
}
