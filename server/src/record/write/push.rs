//! A device's mutations: in order, without a gap, each decided once however often it is sent.

use std::collections::{BTreeMap, HashMap};

use crm::rules::Gaps;
use serde_json::{Value, json};
use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::id::MutationId;
use sync_protocol::wire::{Fields, Mutation, Outcome, Reason, Verdict};

use super::decide::{Refusal, Working, decide as decide_change, decide_group};
use super::error::PushError;
use super::persist::run;
use super::unit::Unit;
use super::{Author, Change, Decision, upcast};

/// What one device asks for.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) author: Author,
    pub(super) mutations: Vec<Mutation>,
    pub(super) acknowledged: MutationId,
    /// Why what is new is not decided for now.
    pub(super) deferred: Option<Reason>,
}

/// How far a device has come.
#[derive(Clone, Debug, Default)]
pub(super) struct DeviceState {
    /// The last mutation decided.
    last: MutationId,
    /// The last whose outcome the device has.
    acknowledged: MutationId,
    /// Outcomes that this transaction read or made, by mutation.
    outcomes: BTreeMap<MutationId, Outcome>,
    /// Mutations above this one were decided in this transaction.
    stored: MutationId,
    is_changed: bool,
}

/// Reads the state of devices that were not seen since the start, and the outcomes that are asked for again.
pub(super) async fn load(unit: &mut Unit, pushes: impl Iterator<Item = &Push>) -> Result<(), sqlx::Error> {
    for push in pushes {
        let device = push.author.device;
        if !unit.devices.contains_key(&device) {
            let row: Option<(i64, i64)> =
                sqlx::query_as("SELECT last_mutation, acknowledged FROM device WHERE num = $1")
                    .bind(device)
                    .fetch_optional(&mut *unit.tx)
                    .await?;
            let Some((last, acknowledged)) = row else { continue };
            let (last, acknowledged) = (last.cast_unsigned(), acknowledged.cast_unsigned());
            unit.devices.insert(device, DeviceState { last, acknowledged, stored: last, ..DeviceState::default() });
        }
        let state = unit.devices.get_mut(&device).expect("inserted above");
        let wanted = |mutation: &Mutation| mutation.id <= state.last || mutation.depends_on.is_some();
        if push.mutations.iter().any(wanted) {
            let rows: Vec<(i64, sqlx::types::Json<Outcome>)> =
                sqlx::query_as("SELECT mutation, body FROM outcome WHERE device = $1")
                    .bind(device)
                    .fetch_all(&mut *unit.tx)
                    .await?;
            for (mutation, outcome) in rows {
                state.outcomes.entry(mutation.cast_unsigned()).or_insert(outcome.0);
            }
        }
    }
    Ok(())
}

/// Checks that the push goes on where the last one ended; returns the changes that are new.
pub(super) fn admit(unit: &mut Unit, push: &Push) -> Result<Vec<Change>, PushError> {
    let state = unit.devices.get_mut(&push.author.device).ok_or(PushError::UnknownDevice)?;
    let first = push.mutations.first().map_or(state.last + 1, |first| first.id.min(state.last + 1)).max(1);
    // What was deferred before may be left out of those that are deferred now.
    let to_decide = push.mutations.iter().filter(|mutation| push.deferred.is_none() || mutation.id <= state.last);
    for (expected, mutation) in (first..).zip(to_decide) {
        if mutation.id != expected {
            return Err(PushError::Gap { expected, got: mutation.id });
        }
        // Those above `stored` are about to be decided: the same push came twice into this commit.
        if mutation.id <= state.stored && !state.outcomes.contains_key(&mutation.id) {
            return Err(PushError::Forgotten(mutation.id));
        }
    }
    let last_sent = push.mutations.last().map_or(0, |last| last.id);
    if push.acknowledged > state.last.max(last_sent) || push.mutations.iter().any(|sent| sent.id <= push.acknowledged) {
        return Err(PushError::AcknowledgedAhead(push.acknowledged));
    }
    if push.acknowledged > state.acknowledged {
        state.acknowledged = push.acknowledged;
        state.is_changed = true;
    }
    if push.deferred.is_some() {
        return Ok(Vec::new());
    }
    let last = state.last;
    let model = &unit.snapshot.catalogue.model;
    // What an earlier push of this same commit is about to decide is not decided twice.
    state.last = state.last.max(last_sent);
    Ok(push
        .mutations
        .iter()
        .filter(|mutation| mutation.id > last || is_seeded(Fault::DecideAgain))
        .map(|mutation| upcast::change_of(mutation, model.entity(&mutation.entity)))
        .collect())
}

/// Decides the new mutations; answers all of them, in the order sent.
pub(super) fn decide(
    unit: &mut Unit,
    working: &mut Working,
    author: &Author,
    push: &Push,
    changes: &[Change],
) -> Vec<Outcome> {
    let mut known = unit.devices.get(&author.device).map(|state| state.outcomes.clone()).unwrap_or_default();
    let fresh = &push.mutations[push.mutations.len() - changes.len()..];
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, mutation) in fresh.iter().enumerate() {
        if let Some(group) = mutation.group {
            groups.entry(group).or_default().push(index);
        }
    }
    unit.in_context(Gaps::Refuse, |context| {
        for (index, mutation) in fresh.iter().enumerate() {
            if known.contains_key(&mutation.id) && !is_seeded(Fault::DecideAgain) {
                continue;
            }
            let members = mutation.group.map_or_else(|| vec![index], |group| groups[&group].clone());
            let depends_on_rejected = members.iter().any(|member| {
                fresh[*member]
                    .depends_on
                    .and_then(|dependency| known.get(&dependency))
                    .is_some_and(|outcome| outcome.verdict == Verdict::Rejected)
            });
            let decisions: Vec<Decision> = if depends_on_rejected {
                members
                    .iter()
                    .map(|member| Refusal::dependency().into_decision(changes[*member].record, 0, author.language))
                    .collect()
            } else if mutation.group.is_some() {
                let group: Vec<&Change> = members.iter().map(|member| &changes[*member]).collect();
                decide_group(context, working, author, &group)
            } else {
                vec![decide_change(context, working, author, &changes[index])]
            };
            for (member, decision) in members.into_iter().zip(decisions) {
                let id = fresh[member].id;
                known.insert(id, outcome_of(id, decision));
            }
        }
    });
    let model = unit.snapshot.catalogue.model.clone();
    let answer = |mutation: &Mutation| {
        if let Some(outcome) = known.get(&mutation.id) {
            return Some(upcast::current(outcome.clone(), mutation, model.entity(&mutation.entity)));
        }
        let (mutation, verdict, reason) = (mutation.id, Verdict::Deferred, push.deferred.clone());
        reason.map(|reason| Outcome { mutation, verdict, seq: 0, reason: Some(reason), server: Fields::new() })
    };
    let answers = push.mutations.iter().filter_map(answer).collect();
    if let Some(state) = unit.devices.get_mut(&author.device) {
        state.is_changed |= !fresh.is_empty();
        state.outcomes = known;
    }
    answers
}

/// Writes the outcomes made in this transaction and how far each device has come.
pub(super) async fn store(unit: &mut Unit) -> Result<(), sqlx::Error> {
    let mut outcomes = Vec::new();
    let mut devices = Vec::new();
    for (num, state) in &mut unit.devices {
        let made = state.outcomes.range(state.stored + 1..).filter(|_| !is_seeded(Fault::LoseOutcome));
        outcomes.extend(made.map(|(id, outcome)| json!([num, id, json!(outcome).to_string()])));
        if state.is_changed {
            devices.push(json!([num, state.last, state.acknowledged]));
        }
        state.outcomes.clear();
        state.stored = state.last;
        state.is_changed = false;
    }
    run(include_str!("sql/put_outcomes.sql"), &outcomes, &mut unit.tx).await?;
    run(include_str!("sql/put_device_progress.sql"), &devices, &mut unit.tx).await?;
    let acknowledged: Vec<Value> = devices;
    run(include_str!("sql/delete_acknowledged_outcomes.sql"), &acknowledged, &mut unit.tx).await
}

fn outcome_of(mutation: MutationId, decision: Decision) -> Outcome {
    Outcome { mutation, verdict: decision.verdict, seq: decision.seq, reason: decision.reason, server: decision.server }
}
