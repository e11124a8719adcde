//! Nobody overwrites what she has not seen: read from the history, without the server's own decision.

use std::collections::HashMap;

use crm::model::MergeClass;
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::wire::Mutation;
use uuid::Uuid;

use super::super::names::last_name;
use super::super::oracle::Oracle;
use super::super::world::World;
use super::{answered, is_done};

/// A change of a field, by its last name: of which record, at which sequence, by which device.
type ChangeKey = (RecordId, String, Sequence, i64);

struct Row {
    record: RecordId,
    kind: String,
    field: String,
    seq: Sequence,
    device: i64,
}

fn rows(world: &World) -> Vec<Row> {
    let database = world.office.database();
    let sql = "SELECT record, kind, field, seq, device FROM history ORDER BY rowid";
    let mut statement = database.prepare(sql).expect("a statement");
    let rows = statement.query_map([], |row| {
        let record = RecordId(Uuid::from_slice(&row.get::<_, Vec<u8>>(0)?).expect("16 bytes"));
        let seq = row.get::<_, i64>(3)?.cast_unsigned();
        let field = last_name(&row.get::<_, String>(2)?).to_owned();
        Ok(Row { record, kind: row.get(1)?, field, seq, device: row.get(4)? })
    });
    rows.expect("a query").map(|row| row.expect("a row")).collect()
}

/// Whether the field's class lets the value that reached the server first stand.
fn first_stands(oracle: &Oracle, entity: &str, field: &str) -> bool {
    let field = oracle.model().entity(entity).and_then(|entity| entity.field(entity.now_called(field)?));
    field.is_some_and(|field| matches!(field.merge, MergeClass::Lww | MergeClass::Guarded))
}

/// The mutations that may have set a field, by what the history would say of it.
fn setters<'w>(world: &'w World, oracle: &Oracle) -> HashMap<ChangeKey, Vec<&'w Mutation>> {
    let mut setters: HashMap<ChangeKey, Vec<&Mutation>> = HashMap::new();
    for (device, mutation, outcome) in answered(world).filter(|(_, _, outcome)| is_done(outcome)) {
        for field in mutation.set.keys().filter(|field| first_stands(oracle, &mutation.entity, field)) {
            let key = (mutation.record, last_name(field).to_owned(), outcome.seq, device.number);
            setters.entry(key).or_default().push(mutation);
        }
    }
    setters
}

/// A device's value replaced another author's only where the device knew the other's; what lost is in the history.
pub(super) fn tells_of_no_blind_overwriting(world: &World, oracle: &Oracle) {
    let setters = setters(world, oracle);
    let mut made: HashMap<RecordId, (Sequence, i64)> = HashMap::new();
    let mut changed: HashMap<(RecordId, String), (Sequence, i64)> = HashMap::new();
    let mut lost: Vec<(RecordId, String, i64)> = Vec::new();
    for Row { record, kind, field, seq, device } in rows(world) {
        match kind.as_str() {
            "made" => drop(made.insert(record, (seq, device))),
            "lost" => lost.push((record, field, device)),
            "changed" => {
                let before = changed.insert((record, field.clone()), (seq, device));
                let before = before.or_else(|| made.get(&record).copied());
                let Some((last, author)) = before.filter(|(_, author)| *author == 0 || *author != device) else {
                    continue;
                };
                let Some(setters) = setters.get(&(record, field.clone(), seq, device)) else { continue };
                let knew = setters.iter().any(|mutation| mutation.base >= last);
                assert!(knew, "{field} of {record}: device {device} overwrote {author}'s change {last}: {setters:?}");
            }
            _ => {}
        }
    }
    for (device, mutation, outcome) in answered(world).filter(|(_, _, outcome)| is_done(outcome)) {
        for problem in outcome.reason.iter().flat_map(|reason| &reason.fields) {
            let key = (mutation.record, last_name(&problem.field).to_owned(), device.number);
            assert!(lost.contains(&key), "{device}: what {} lost is in no history: {outcome:?}", mutation.id);
        }
    }
}
