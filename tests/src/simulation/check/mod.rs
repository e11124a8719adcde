//! What must hold: of each answer, of a device at each commit, of everything in the end.

mod effects;
mod history;

use serde_json::Value;
use serde_json::value::RawValue;
use sync_protocol::id::MutationId;
use sync_protocol::store::Store as _;
use sync_protocol::wire::{ExchangeRequest, ExchangeResponse, FieldOperation, Mutation, Operation, Outcome, Verdict};

use super::device::Device;
use super::names::{last_called, last_told};
use super::oracle::{Oracle, Sight, Viewer};
use super::tally::Tally;
use super::upgrade::devices_carry;
use super::world::World;

/// One outcome for each mutation, in order, and the same as ever, whatever fields are called meanwhile.
pub(super) fn outcomes(
    device: &mut Device,
    request: &ExchangeRequest,
    response: &ExchangeResponse,
    oracle: &Oracle,
    tally: &mut Tally,
) {
    let sent: Vec<_> = request.mutations.iter().map(|mutation| mutation.id).collect();
    let answered: Vec<_> = response.outcomes.iter().map(|outcome| outcome.mutation).collect();
    assert_eq!(answered, sent, "{device}: left: the outcomes, right: the mutations");
    let viewer = oracle.viewer(device.user);
    for (mutation, outcome) in request.mutations.iter().zip(&response.outcomes) {
        if let Some((known, said)) = device.answered.get(&mutation.id) {
            assert_eq!(last_called(known), last_called(mutation), "{device}: a mutation stays what it was");
            assert_eq!(last_told(said), last_told(outcome), "{device}: a retry is answered as before");
        } else {
            tally.count(&name_of(outcome));
            former_names_are_understood(mutation, outcome, viewer.as_ref(), oracle, tally);
            device.answered.insert(mutation.id, (mutation.clone(), outcome.clone()));
        }
    }
}

fn name_of(outcome: &Outcome) -> String {
    match (outcome.verdict, &outcome.reason) {
        (Verdict::Applied, _) => "outcome: applied".into(),
        (Verdict::Merged, _) => "outcome: merged".into(),
        (Verdict::Deferred, _) => "outcome: deferred".into(),
        (Verdict::Rejected, Some(reason)) => format!("outcome: rejected, {}", reason.code),
        (Verdict::Rejected, None) => panic!("a rejection has a reason: {outcome:?}"),
    }
}

/// Nobody is refused, or told of a loss, for calling a field what it was called when she wrote.
fn former_names_are_understood(
    mutation: &Mutation,
    outcome: &Outcome,
    viewer: Option<&Viewer>,
    oracle: &Oracle,
    tally: &mut Tally,
) {
    let Some(entity) = oracle.model().entity(&mutation.entity) else { return };
    let named = mutation.set.keys().map(String::as_str).chain(mutation.ops.iter().map(FieldOperation::field));
    let mut renamed = Vec::new();
    for name in named {
        if entity.removed.iter().any(|removed| removed == name) {
            tally.count("outcome: of a change of a removed field");
        }
        if let Some(now) = entity.now_called(name).filter(|now| *now != name) {
            tally.count("outcome: of a change by a former name");
            // A field that her role does not show is unknown to her by any name.
            if viewer.is_some_and(|viewer| oracle.shows(viewer, &mutation.entity, now)) {
                renamed.push(now);
            }
        }
    }
    for problem in outcome.reason.iter().flat_map(|reason| &reason.fields) {
        // The outcome itself is in the words of today.
        let is_refused = problem.code == "unknown-field" && renamed.contains(&problem.field.as_str());
        assert!(!is_refused, "{} is refused for its former name: {outcome:?}, {mutation:?}", problem.field);
    }
}

/// Nothing leaves the server that the device's user may not see at this moment.
pub(super) fn operations(device: &Device, operations: &RawValue, oracle: &Oracle, tally: &mut Tally) {
    let operations: Vec<Operation> = serde_json::from_str(operations.get()).expect("operations");
    let viewer = oracle.viewer(device.user).unwrap_or_else(|| panic!("{device} may not sign in, and is answered"));
    for operation in &operations {
        match operation {
            Operation::Put { partial, .. } => {
                tally.count(if *partial { "operation: put partial" } else { "operation: put" });
                is_for(&viewer, operation, oracle);
            }
            Operation::Acknowledged { .. } => tally.count("operation: acknowledged"),
            Operation::Delete { id, .. } => {
                tally.count("operation: delete");
                assert!(oracle.record(*id).is_none(), "{device}: {id} is said to be deleted");
            }
            Operation::Exit { id, .. } => {
                tally.count("operation: exit");
                let stays = oracle.record(*id).is_some_and(|held| !oracle.scopes_of(&viewer, held).is_empty());
                assert!(!stays, "{device}: {id} is said to have left");
            }
            Operation::ScopeAdd { .. } => tally.count("operation: scope_add"),
            Operation::ScopeDrop { .. } => tally.count("operation: scope_drop"),
        }
    }
}

/// What is put, she may see at this moment.
pub(super) fn is_for(viewer: &Viewer, operation: &Operation, oracle: &Oracle) {
    let Operation::Put { entity, id, set, .. } = operation else { return };
    let held = oracle.record(*id).unwrap_or_else(|| panic!("what is put is there: {operation:?}"));
    assert_eq!(entity, &held.entity, "{operation:?}");
    assert!(!oracle.scopes_of(viewer, held).is_empty(), "she may not see {operation:?}");
    for field in set.keys() {
        assert!(oracle.shows(viewer, entity, field), "she may not see {field}: {operation:?}");
    }
}

/// The device holds what its user saw on the server when the page was cut that completes its checkpoint.
pub(super) fn holds(device: &Device, sight: &Sight) {
    let mut expected: std::collections::BTreeMap<_, _> = sight.iter().collect();
    for (id, base) in device.store.bases().filter(|(_, base)| !base.hidden) {
        let Some(shown) = expected.remove(&id) else { panic!("{device} still has {id}: {base:?}") };
        let what = format!("{device}, {} {id}: left: the device, right: the server", shown.entity);
        assert_eq!(base.entity, shown.entity, "{what}");
        assert_eq!(base.fields, shown.fields, "{what}");
        assert_eq!(base.seq, shown.seq, "{what}");
        assert_eq!(base.scopes, shown.scopes.iter().copied().collect::<Vec<_>>(), "{what}");
    }
    assert!(expected.is_empty(), "{device} never got {expected:?}");
}

/// Every mutation that has a number waits in the outbox or has its outcome; what the person was told is among them.
pub(super) fn nothing_told_is_lost(device: &Device) {
    let saved = device.store.saved();
    let is_answered = |id| device.answered.get(&id).is_some_and(|(_, said)| said.verdict != Verdict::Deferred);
    for id in 1..=saved.position.last_mutation {
        let waits = saved.outbox.iter().find(|mutation| mutation.id == id);
        let is_kept = device.undone.contains_key(&id) && is_in_journal(device, id);
        assert!(waits.is_some() || is_answered(id) || is_kept, "{device}: mutation {id} is lost");
        if let (Some(told), Some(waits)) = (device.told.get(&id), waits) {
            let is_same = last_called(told) == last_called(waits) || device.is_void_in_place(id, waits);
            assert!(is_same, "{device}: the person was told {told:?}, and {waits:?} waits");
        }
    }
    let last_told = device.told.keys().next_back().copied().unwrap_or(0);
    assert!(last_told <= saved.position.last_mutation, "{device}: mutation {last_told} was told and is not there");
}

fn is_in_journal(device: &Device, id: MutationId) -> bool {
    let Ok(journal) = device.store.journal(id);
    journal.first().is_some_and(|entry| entry.mutation.id == id)
}

/// Every device holds what its user may see, and waits for nothing.
pub(super) fn every_device_is_in_step(world: &World) {
    let oracle = Oracle::read(&world.office);
    for device in &world.devices {
        is_in_step(device, &oracle);
    }
}

/// What must hold when all is quiet.
pub(super) fn in_the_end(world: &World) {
    every_device_is_in_step(world);
    let oracle = Oracle::read(&world.office);
    effects::were_done_once(world, &oracle);
    history::tells_of_no_blind_overwriting(world, &oracle);
    no_link_leads_nowhere(&oracle);
    devices_carry_what_the_rules_say(world, &oracle);
}

fn is_in_step(device: &Device, oracle: &Oracle) {
    let saved = device.store.saved();
    assert!(saved.outbox.is_empty(), "{device} still waits: {:?}", saved.outbox);
    assert!(saved.position.staged_cursor.is_none(), "{device} is in the middle of a run");
    assert!(saved.position.resets == 0 || device.may_start_over, "{device} had to start over");
    assert!(!device.is_undone(), "{device} has not brought back {:?}", device.undone);
    if let Some((id, base)) = device.store.bases().find(|(_, base)| base.hidden) {
        panic!("{device} hides {id} for nothing: {base:?}");
    }
    holds(device, &oracle.sight(device.user));
    device.check_file();
    assert_eq!(device.engine.saved(), &saved, "{device}: left: what the engine knows, right: what is stored");
    for attention in &saved.attention {
        assert_ne!(attention.outcome.verdict, Verdict::Applied, "{device}: {attention:?}");
        assert!(!attention.mutation.is_void(), "{device} lacks what it would bring back: {attention:?}");
    }
    for (id, mutation) in &device.told {
        let (sent, _) = device.answered.get(id).unwrap_or_else(|| panic!("{device}: {id} was never answered"));
        let is_same = last_called(sent) == last_called(mutation) || device.is_void_in_place(*id, sent);
        assert!(is_same, "{device}: the person was told {mutation:?}, and {sent:?} was sent");
    }
}

fn devices_carry_what_the_rules_say(world: &World, oracle: &Oracle) {
    let today = world.office.app.sync_rules().today();
    for record in oracle.records() {
        let entity = oracle.model().entity(&record.entity).expect("a known entity");
        let expected = devices_carry(entity, &record.fields, today);
        assert_eq!(record.is_carried, expected, "{} {}: left: is carried", record.entity, record.id);
    }
}

fn no_link_leads_nowhere(oracle: &Oracle) {
    use crm::model::FieldKind;
    for record in oracle.records() {
        let entity = oracle.model().entity(&record.entity).expect("a known entity");
        for (name, value) in &record.fields {
            let field = entity.field(name).expect("a known field");
            let targets: Vec<&Value> = match (&field.kind, value) {
                (FieldKind::Link { .. }, Value::Object(link)) => vec![&link["id"]],
                (FieldKind::Link { .. }, id) => vec![id],
                (FieldKind::Links { .. }, Value::Array(ids)) => ids.iter().collect(),
                _ => vec![],
            };
            for target in targets {
                let id = serde_json::from_value(target.clone()).expect("an id");
                assert!(oracle.record(id).is_some(), "{} {}: {name} leads to {target}", record.entity, record.id);
            }
        }
    }
}

/// Whether the mutation changed anything.
fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Applied | Verdict::Merged)
}

/// What every device sent and was told, in order.
fn answered(world: &World) -> impl Iterator<Item = (&Device, &Mutation, &Outcome)> {
    let of_device = |device| Device::answers(device).map(move |(mutation, outcome)| (device, mutation, outcome));
    world.devices.iter().chain(&world.lost).flat_map(of_device)
}
