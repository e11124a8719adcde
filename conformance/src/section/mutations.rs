use serde_json::json;
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::wire::{Mutation, MutationKind, Verdict};

use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::phone::{Phone, ids_of, put};
use crate::world::{World, expect_done, expect_rejected, shown};

pub const SECTION: Section = Section {
    name: "Mutations",
    checks: &[
        Check {
            name: "a-gap-is-refused",
            says: "ids follow the last decided one without a gap, else the server answers `mutation-gap` with \
                   `expected`, and decides nothing",
            run: a_gap_is_refused,
        },
        Check { name: "ids-ascend", says: "ids are ascending, each once in an exchange", run: ids_ascend },
        Check {
            name: "groups-are-whole-or-nothing",
            says: "mutations with the same group are applied whole or not at all",
            run: groups_are_whole_or_nothing,
        },
        Check {
            name: "what-depends-on-a-rejected-one-is-rejected",
            says: "`depends_on` names an earlier mutation that must not be rejected, else `dependency-rejected`",
            run: what_depends_on_a_rejected_one,
        },
        Check {
            name: "a-wrong-one-holds-up-no-other",
            says: "a mutation that is wrong in itself gets an outcome, so that it blocks nothing but what depends on it",
            run: a_wrong_one_holds_up_no_other,
        },
        Check {
            name: "ids-of-records-are-taken-once",
            says: "`already-exists`: a record has the id that its maker gave it",
            run: ids_of_records_are_taken_once,
        },
        Check {
            name: "null-clears",
            says: "a field that is empty is absent; `null` in a change clears",
            run: null_clears,
        },
    ],
};

/// The next mutation: the creation of a record of the suite.
fn creation(world: &mut World, phone: &mut Phone) -> Mutation {
    let subject = world.subject().clone();
    let (name, record) = (world.name(), world.new_record(&subject.entity));
    phone.mutation(MutationKind::Create, &subject.entity, record, 0, &subject.fields(&name, &json!({})))
}

/// The next mutation: a change of a record's title.
fn change(world: &World, phone: &mut Phone, record: RecordId, base: Sequence) -> Mutation {
    let subject = world.subject();
    phone.mutation(
        MutationKind::Update,
        &subject.entity,
        record,
        base,
        &json!({&subject.title: "Conformance, changed"}),
    )
}

fn a_gap_is_refused(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let first = creation(world, &mut phone);
    let second = creation(world, &mut phone);
    let third = creation(world, &mut phone);
    for (sent, expected) in [(vec![second.clone()], 1), (vec![first.clone(), third.clone()], 2)] {
        let problem = phone.exchange(&phone.request(&sent))?.refused(409, "mutation-gap")?;
        let named = &problem.extra["expected"];
        ensure(*named == expected, || format!("mutation {expected} was missing, `expected` is {named}"))?;
    }
    let outcomes = phone.push(&[first, second, third])?;
    outcomes.iter().try_for_each(expect_done)?;
    Ok("at the start and within, each named what it waits for; then all three were applied".into())
}

fn ids_ascend(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let first = creation(world, &mut phone);
    let second = creation(world, &mut phone);
    for sent in [vec![first.clone(), first.clone()], vec![second.clone(), first.clone()]] {
        phone.exchange(&phone.request(&sent))?.refused(409, "mutation-gap")?;
    }
    phone.push(&[first, second])?.iter().try_for_each(expect_done)?;
    Ok("the same twice and the later first were refused".into())
}

fn groups_are_whole_or_nothing(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let mut reader = world.phone_in_step()?;
    let mut good = creation(world, &mut phone);
    let absent = world.new_record("nothing");
    let mut bad = change(world, &mut phone, absent, 0);
    (good.group, bad.group) = (Some(good.id), Some(good.id));
    let outcomes = phone.push(&[good.clone(), bad])?;
    expect_rejected(&outcomes[0], "group-rejected")?;
    ensure(outcomes[1].verdict == Verdict::Rejected, || format!("the wrong one came to {}", shown(&outcomes[1])))?;
    let mut one = creation(world, &mut phone);
    let mut two = creation(world, &mut phone);
    (one.group, two.group) = (Some(one.id), Some(one.id));
    phone.push(&[one.clone(), two.clone()])?.iter().try_for_each(expect_done)?;
    let told = ids_of(&reader.pull()?, put);
    ensure(!told.contains(&good.record), || "a record of a rejected group is there".into())?;
    ensure(told.contains(&one.record) && told.contains(&two.record), || {
        "of a group that was applied, not every record is there".into()
    })?;
    Ok("a group with one wrong mutation left nothing, one without came whole".into())
}

fn what_depends_on_a_rejected_one(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let (taken, seq) = world.make(&mut phone, &json!({}))?;
    let mut again = creation(world, &mut phone);
    again.record = taken;
    let mut dependent = change(world, &mut phone, taken, seq);
    dependent.depends_on = Some(again.id);
    let outcomes = phone.push(&[again, dependent])?;
    expect_rejected(&outcomes[0], "already-exists")?;
    expect_rejected(&outcomes[1], "dependency-rejected")?;
    let create = creation(world, &mut phone);
    let mut edit = change(world, &mut phone, create.record, 0);
    edit.depends_on = Some(create.id);
    phone.push(&[create, edit])?.iter().try_for_each(expect_done)?;
    Ok("rejected after a rejected one, applied after an applied one".into())
}

fn a_wrong_one_holds_up_no_other(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let subject = world.subject().clone();
    let unknown = phone.mutation(MutationKind::Create, "no_such_entity", world.new_record("nothing"), 0, &json!({}));
    let misspelt = subject.fields(&world.name(), &json!({"no_such_field": 1}));
    let misspelt =
        phone.mutation(MutationKind::Create, &subject.entity, world.new_record(&subject.entity), 0, &misspelt);
    let typed = json!({&subject.title: {"not": "a text"}});
    let typed = phone.mutation(MutationKind::Create, &subject.entity, world.new_record(&subject.entity), 0, &typed);
    let absent = world.new_record("nothing");
    let absent = change(world, &mut phone, absent, 0);
    let right = creation(world, &mut phone);
    let outcomes = phone.push(&[unknown, misspelt, typed, absent, right])?;
    for (outcome, code) in outcomes.iter().zip(["unknown-entity", "invalid", "invalid", "not-found"]) {
        expect_rejected(outcome, code)?;
    }
    expect_done(&outcomes[4])?;
    Ok("an unknown entity, an unknown field, a wrong type and a missing record were rejected, the next was applied"
        .into())
}

fn ids_of_records_are_taken_once(world: &mut World) -> Seen {
    let (mut one, mut other) = (world.phone()?, world.phone()?);
    let (taken, _) = world.make(&mut one, &json!({}))?;
    let mut again = creation(world, &mut other);
    again.record = taken;
    expect_rejected(&other.push_one(&again)?, "already-exists")?;
    Ok("a second device could not make it again".into())
}

fn null_clears(world: &mut World) -> Seen {
    let subject = world.subject().clone();
    let Some(text) = subject.texts.first() else {
        return Err(Unmet::Unchecked(format!("`{}` has no text beside its title", subject.entity)));
    };
    let mut phone = world.phone()?;
    let (record, seq) = world.make(&mut phone, &json!({&text.name: "something"}))?;
    let mut reader = world.phone_in_step()?;
    let clear = phone.mutation(MutationKind::Update, &subject.entity, record, seq, &json!({&text.name: null}));
    expect_done(&phone.push_one(&clear)?)?;
    reader.pull()?;
    let mut anew = world.phone_in_step()?;
    anew.pull()?;
    for phone in [&reader, &anew] {
        let Some(told) = phone.records.get(&record) else { return broken("the record did not come") };
        let value = told.fields.get(&text.name);
        ensure(value.is_none(), || format!("`{}` was cleared and is {value:?}", text.name))?;
    }
    Ok(format!("`{}` was there, and is absent", text.name))
}
