//! Each effect once: what was done was done once, what was refused was not done, what belongs together stands together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldOperation, MutationKind, Verdict};
use uuid::Uuid;

use super::super::names::last_name;
use super::super::oracle::Oracle;
use super::super::world::World;
use super::{answered, is_done};

pub(super) fn were_done_once(world: &World, oracle: &Oracle) {
    records_were_made_once(world);
    entries_stand_once(world, oracle);
    counters_add_up(world, oracle);
    groups_stand_or_fall_together(world);
}

fn records_were_made_once(world: &World) {
    let database = world.office.database();
    let sql = "SELECT record, device FROM history WHERE kind = 'made' AND device <> 0";
    let mut statement = database.prepare(sql).expect("a statement");
    let rows = statement.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?))).expect("a query");
    let mut made: HashMap<(RecordId, i64), usize> = HashMap::new();
    for row in rows {
        let (record, device) = row.expect("a row");
        *made.entry((RecordId(Uuid::from_slice(&record).expect("16 bytes")), device)).or_default() += 1;
    }
    for (device, mutation, outcome) in answered(world).filter(|(_, mutation, _)| mutation.kind == MutationKind::Create)
    {
        let times = made.remove(&(mutation.record, device.number)).unwrap_or(0);
        assert_eq!(times, usize::from(is_done(outcome)), "{device} made {} so often: {outcome:?}", mutation.record);
    }
    assert!(made.is_empty(), "made by nobody's mutation: {made:?}");
}

fn entries_stand_once(world: &World, oracle: &Oracle) {
    for (device, mutation, outcome) in answered(world) {
        let Some(held) = oracle.record(mutation.record) else { continue };
        for operation in &mutation.ops {
            let FieldOperation::Append { field, values } = operation else { continue };
            let log = held.fields.iter().find(|(name, _)| last_name(name) == last_name(field));
            let log = log.and_then(|(_, log)| log.as_array().cloned()).unwrap_or_default();
            let times = log.iter().filter(|entry| entry["text"] == values[0]["text"]).count();
            assert_eq!(times, usize::from(is_done(outcome)), "{device}: {values:?} stands so often in {log:?}");
        }
    }
}

fn counters_add_up(world: &World, oracle: &Oracle) {
    let mut sums: BTreeMap<(RecordId, String), i64> = BTreeMap::new();
    let mut add = |record, operations: &[FieldOperation]| {
        for operation in operations {
            if let FieldOperation::Increment { field, by } = operation {
                *sums.entry((record, last_name(field).to_owned())).or_default() += by;
            }
        }
    };
    for (_, mutation, _) in answered(world).filter(|(_, _, outcome)| is_done(outcome)) {
        add(mutation.record, &mutation.ops);
    }
    for intent in &world.written {
        add(intent.record, &intent.ops);
    }
    for held in oracle.records() {
        let model = oracle.model().entity(&held.entity).expect("a known entity");
        for field in model.fields.values().filter(|field| field.merge == crm::model::MergeClass::Counter) {
            let expected = sums.get(&(held.id, last_name(&field.name).to_owned())).copied().unwrap_or(0);
            let stands = held.fields.get(&field.name).and_then(Value::as_i64).unwrap_or(0);
            assert_eq!(stands, expected, "{} of {}: left: what stands, right: the sum", field.name, held.id);
        }
    }
}

fn groups_stand_or_fall_together(world: &World) {
    let mut verdicts: BTreeMap<(i64, u64), BTreeSet<bool>> = BTreeMap::new();
    for (device, mutation, outcome) in answered(world) {
        if let Some(group) = mutation.group {
            let is_rejected = outcome.verdict == Verdict::Rejected;
            verdicts.entry((device.number, group)).or_default().insert(is_rejected);
        }
        if let Some((_, first)) = mutation.depends_on.and_then(|first| device.answered.get(&first)) {
            let stands_alone = first.verdict == Verdict::Rejected && is_done(outcome);
            assert!(!stands_alone, "{device}: {} was done without what it depends on", mutation.id);
        }
    }
    for ((device, group), verdicts) in verdicts {
        assert_eq!(verdicts.len(), 1, "device {device}: group {group} was done in part");
    }
}
