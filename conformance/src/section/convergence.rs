use serde_json::{Value, json};
use sync_protocol::engine::Draft;
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldOperation, Fields, MutationKind};

use crate::check::{Check, Section, Seen, ensure};
use crate::engine_phone::EnginePhone;
use crate::machine;
use crate::subject::Subject;
use crate::world::World;

pub const SECTION: Section = Section {
    name: "What a server must keep",
    checks: &[Check {
        name: "two-devices-converge",
        says: "devices that do as the specification says hold the same when all is quiet",
        run: two_devices_converge,
    }],
};

const RECORDS: usize = 6;
const ROUNDS: u64 = 40;

/// Numbers without a pattern, the same in every run: a failure happens again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

fn two_devices_converge(world: &mut World) -> Seen {
    let subject = world.subject().clone();
    let mut devices = [EnginePhone::new(world.phone()?), EnginePhone::new(world.phone()?)];
    let mut records = Vec::new();
    for _ in 0..RECORDS {
        let id = world.new_record(&subject.entity);
        let fields = subject.fields(&world.name(), &json!({}));
        devices[0].edit(vec![draft(MutationKind::Create, &subject, id, 0, &fields, Vec::new())])?;
        records.push(id);
    }
    devices.iter_mut().try_for_each(EnginePhone::sync)?;
    let mut dice = Dice(1);
    let mut edits = 0;
    for round in 0..ROUNDS {
        let device = &mut devices[usize::from(dice.roll(2) == 1)];
        let record = records[usize::try_from(dice.roll(RECORDS as u64)).unwrap_or(0)];
        if dice.roll(4) == 0 {
            device.sync()?;
        } else if let Some(view) = device.view(record) {
            device.edit(vec![edit(&subject, &mut dice, record, view.base, round)])?;
            edits += 1;
        }
    }
    // Twice: what the second sends reaches the first in its next exchange.
    for _ in 0..2 {
        devices.iter_mut().try_for_each(EnginePhone::sync)?;
    }
    let mut anew = EnginePhone::new(world.phone()?);
    anew.sync()?;
    let mut standing = 0;
    for record in &records {
        let held = |device: &EnginePhone| device.view(*record).map(|view| (view.fields, view.unsent));
        let truth = held(&anew);
        standing += usize::from(truth.is_some());
        for device in &devices {
            ensure(held(device) == truth, || {
                differing(*record, held(device).map(|held| held.0), truth.clone().map(|held| held.0))
            })?;
        }
    }
    Ok(format!(
        "{edits} edits of {RECORDS} records on two devices; {standing} records stand, the same on both and on a new one"
    ))
}

fn differing(record: RecordId, held: Option<Fields>, truth: Option<Fields>) -> String {
    let text = |fields: Option<Fields>| fields.map_or_else(|| "nothing".to_owned(), |fields| json!(fields).to_string());
    format!("of {record} one device holds {}, a new one {}", text(held), text(truth))
}

/// A change of one field or several, or now and then a deletion.
fn edit(subject: &Subject, dice: &mut Dice, record: RecordId, base: u64, round: u64) -> Draft {
    let mut set = json!({});
    let mut ops = Vec::new();
    match dice.roll(10) {
        0 => return draft(MutationKind::Delete, subject, record, base, &json!({}), ops),
        1..=3 => set[&subject.title] = json!(format!("Conformance, round {round}")),
        4..=6 if !subject.texts.is_empty() => {
            let at = usize::try_from(dice.roll(subject.texts.len() as u64)).unwrap_or(0);
            set[&subject.texts[at].name] =
                if dice.roll(4) == 0 { Value::Null } else { json!(format!("round {round}")) };
        }
        7 => {
            if let Some(probe) = subject.classes.get("guarded") {
                set[&probe.field] = probe.values[usize::try_from(dice.roll(3)).unwrap_or(0)].clone();
            }
        }
        _ => {
            if let Some(probe) = subject.classes.get("set") {
                let values = vec![probe.values[usize::try_from(dice.roll(3)).unwrap_or(0)][0].clone()];
                let field = probe.field.clone();
                let removes = dice.roll(3) == 0;
                ops.push(if removes {
                    FieldOperation::Remove { field, values }
                } else {
                    FieldOperation::Add { field, values }
                });
            }
        }
    }
    draft(MutationKind::Update, subject, record, base, &set, ops)
}

fn draft(
    kind: MutationKind,
    subject: &Subject,
    record: RecordId,
    base: u64,
    set: &Value,
    ops: Vec<FieldOperation>,
) -> Draft {
    let set = set.as_object().cloned().unwrap_or_default().into_iter().collect();
    Draft { kind, entity: subject.entity.clone(), record, base, set, ops, at_ms: machine::now_ms() }
}
