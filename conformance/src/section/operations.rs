use std::collections::BTreeSet;

use serde_json::json;
use sync_protocol::wire::{MutationKind, Operation};

use crate::check::{Check, Section, Seen, ensure};
use crate::phone::{Phone, delete, exit, ids_of, put, seq_of};
use crate::world::{World, expect_done, shown_all};

pub const SECTION: Section = Section {
    name: "Operations",
    checks: &[
        Check {
            name: "scopes-come-before-their-records",
            says: "`scope_add` comes first; a `put` names the held scopes that its record stands in",
            run: scopes_come_before_their_records,
        },
        Check {
            name: "news-in-order-of-sequence",
            says: "news come in the order of their sequence",
            run: news_in_order_of_sequence,
        },
        Check {
            name: "deletions-reach-others",
            says: "`delete`: the record is gone for everybody",
            run: deletions_reach_others,
        },
        Check {
            name: "deletions-reach-their-author",
            says: "the author of a change hears of it too: as `delete`",
            run: deletions_reach_their_author,
        },
        Check {
            name: "what-came-and-went-is-not-put",
            says: "a device is told how things are, not how they became so",
            run: what_came_and_went_is_not_put,
        },
        Check {
            name: "exits-reach-who-loses-a-record",
            says: "`exit`: the record left every scope that the user holds, and lives on for others",
            run: exits_reach_who_loses_a_record,
        },
    ],
};

fn delete_record(
    world: &World,
    phone: &mut Phone,
    record: sync_protocol::id::RecordId,
    base: u64,
) -> Result<(), crate::check::Unmet> {
    let entity = world.subject().entity.clone();
    let mutation = phone.mutation(MutationKind::Delete, &entity, record, base, &json!({}));
    expect_done(&phone.push_one(&mutation)?)
}

fn scopes_come_before_their_records(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    world.make(&mut author, &json!({}))?;
    let mut phone = world.phone()?;
    let told = phone.pull()?;
    let mut held = BTreeSet::new();
    for operation in &told {
        match operation {
            Operation::ScopeAdd { scope } => drop(held.insert(*scope)),
            Operation::Put { id, scopes, partial, .. } => {
                ensure(!scopes.is_empty() && scopes.iter().all(|scope| held.contains(scope)), || {
                    format!("{id} stands in {scopes:?}, the device was given {held:?}")
                })?;
                ensure(!partial, || format!("a device that knows nothing was sent a part of {id}"))?;
            }
            other => {
                return crate::check::broken(format!("a first sync has {}", json!(other)));
            }
        }
    }
    Ok(format!("{} scopes, then {} records", held.len(), ids_of(&told, put).len()))
}

fn news_in_order_of_sequence(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut phone = world.phone_in_step()?;
    for _ in 0..4 {
        world.make(&mut author, &json!({}))?;
    }
    let told = phone.pull()?;
    let sequences: Vec<u64> = told.iter().filter_map(seq_of).collect();
    ensure(sequences.is_sorted(), || format!("the sequences are {sequences:?}"))?;
    ensure(sequences.len() >= 4, || format!("four records were made, this came: {}", shown_all(&told)))?;
    Ok(format!("{} changes, ascending", sequences.len()))
}

fn deletions_reach_others(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let (record, seq) = world.make(&mut author, &json!({}))?;
    let mut phone = world.phone_in_step()?;
    delete_record(world, &mut author, record, seq)?;
    let told = phone.pull()?;
    ensure(ids_of(&told, delete).contains(&record), || format!("another device was told: {}", shown_all(&told)))?;
    Ok("another device was told `delete`".into())
}

fn deletions_reach_their_author(world: &mut World) -> Seen {
    let mut author = world.phone_in_step()?;
    let (record, seq) = world.make(&mut author, &json!({}))?;
    author.pull()?;
    delete_record(world, &mut author, record, seq)?;
    let told = author.pull()?;
    ensure(ids_of(&told, delete).contains(&record), || format!("the author was told: {}", shown_all(&told)))?;
    Ok("the device that deleted it was told `delete`".into())
}

fn what_came_and_went_is_not_put(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut phone = world.phone_in_step()?;
    let (record, seq) = world.make(&mut author, &json!({}))?;
    delete_record(world, &mut author, record, seq)?;
    let told = phone.pull()?;
    ensure(!ids_of(&told, put).contains(&record), || format!("a record that is gone was put: {}", shown_all(&told)))?;
    Ok("made and deleted between two exchanges, it was not put".into())
}

fn exits_reach_who_loses_a_record(world: &mut World) -> Seen {
    let (mut loser, other) = world.other_in_step()?;
    let subject = world.subject().clone();
    let Some(owner) = subject.owner.clone() else {
        return Err(crate::check::Unmet::Unchecked(format!("`{}` has no owner to change", subject.entity)));
    };
    let mut author = world.phone()?;
    let (record, seq) = world.make(&mut author, &json!({&owner: other}))?;
    loser.pull()?;
    ensure(loser.records.contains_key(&record), || "she was not given the record that is hers".into())?;
    let own = world.own_user()?;
    let mutation = author.mutation(MutationKind::Update, &subject.entity, record, seq, &json!({owner: own}));
    expect_done(&author.push_one(&mutation)?)?;
    let told = loser.pull()?;
    ensure(!ids_of(&told, put).contains(&record), || {
        format!("who may no longer see the record was sent it: {}", shown_all(&told))
    })?;
    ensure(ids_of(&told, exit).contains(&record), || format!("who lost the record was told: {}", shown_all(&told)))?;
    Ok("given to her and taken away again, it came and left".into())
}
