use serde_json::{Value, json};
use sync_protocol::wire::{MutationKind, Verdict};

use crate::check::{Check, Section, Seen, broken, ensure};
use crate::phone::{ids_of, put};
use crate::world::{World, expect_done, expect_rejected, shown};

pub const SECTION: Section = Section {
    name: "Outcomes",
    checks: &[
        Check {
            name: "outcomes-are-repeated",
            says: "the outcome of a mutation is answered again for every retry, and its effect happens once",
            run: outcomes_are_repeated,
        },
        Check {
            name: "acknowledging-ahead-is-refused",
            says: "`acknowledged-ahead`: an outcome that was never given cannot be acknowledged, nor sent again with its \
                   acknowledgement",
            run: acknowledging_ahead_is_refused,
        },
        Check {
            name: "acknowledged-outcomes-may-be-forgotten",
            says: "until `acknowledged` covers it an outcome is kept; who sends the mutation again later gets the same \
                   outcome or `outcome-forgotten`, and no second effect",
            run: acknowledged_outcomes_may_be_forgotten,
        },
        Check {
            name: "a-rejection-says-why",
            says: "`reason`: a code, a sentence in the user's language, the fields",
            run: a_rejection_says_why,
        },
        Check {
            name: "an-outcome-has-the-sequence",
            says: "`seq`: the record's sequence after the mutation",
            run: an_outcome_has_the_sequence,
        },
    ],
};

fn outcomes_are_repeated(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let (record, seq) = world.make(&mut phone, &json!({}))?;
    let subject = world.subject().clone();
    let title = |name: &str| json!({&subject.title: name});
    let change = phone.mutation(MutationKind::Update, &subject.entity, record, seq, &title("Conformance, once"));
    let wrong = phone.mutation(MutationKind::Update, "no_such_entity", record, seq, &json!({}));
    let request = phone.request(&[change, wrong]);
    let outcomes_of =
        || -> Result<Value, crate::check::Unmet> { Ok(phone.exchange(&request)?.ok()?["outcomes"].clone()) };
    let first = outcomes_of()?;
    for _ in 0..2 {
        let again = outcomes_of()?;
        ensure(again == first, || format!("first {first}, then {again}"))?;
    }
    ensure(first.as_array().is_some_and(|outcomes| outcomes.len() == 2), || format!("two mutations came to {first}"))?;
    Ok("an applied one and a rejected one, three times the same".into())
}

fn acknowledging_ahead_is_refused(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    world.make(&mut phone, &json!({}))?;
    let subject = world.subject().clone();
    let fields = subject.fields(&world.name(), &json!({}));
    let next = phone.mutation(MutationKind::Create, &subject.entity, world.new_record(&subject.entity), 0, &fields);
    for acknowledged in [next.id, 99] {
        let mut request = phone.request(std::slice::from_ref(&next));
        request["acknowledged"] = json!(acknowledged);
        phone.exchange(&request)?.refused(422, "acknowledged-ahead")?;
    }
    expect_done(&phone.push_one(&next)?)?;
    Ok("its own, and one that was never given; the mutation then was applied".into())
}

fn acknowledged_outcomes_may_be_forgotten(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    let mut reader = world.phone_in_step()?;
    let subject = world.subject().clone();
    let mut creation = || {
        let fields = subject.fields(&world.name(), &json!({}));
        let record = world.new_record(&subject.entity);
        phone.mutation(MutationKind::Create, &subject.entity, record, 0, &fields)
    };
    let (first, second) = (creation(), creation());
    let outcome = phone.push_one(&first)?;
    expect_done(&outcome)?;
    let after = phone.push_with(std::slice::from_ref(&second), first.id)?;
    after.iter().try_for_each(expect_done)?;
    let answer = phone.exchange(&phone.request(&[first.clone(), second]))?;
    let seen = if answer.is_ok() {
        let again = answer.ok()?["outcomes"][0].clone();
        ensure(again == json!(outcome), || format!("the outcome was {}, then {again}", shown(&outcome)))?;
        "the outcome is still kept"
    } else {
        answer.refused(409, "outcome-forgotten")?;
        "the outcome was forgotten and the mutation refused"
    };
    let told = ids_of(&reader.pull()?, put);
    ensure(told.contains(&first.record), || "what was applied is not there".into())?;
    Ok(seen.to_owned())
}

fn a_rejection_says_why(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let subject = world.subject().clone();
    let typed = json!({&subject.title: 7});
    let typed = phone.mutation(MutationKind::Create, &subject.entity, world.new_record(&subject.entity), 0, &typed);
    let outcome = phone.push_one(&typed)?;
    expect_rejected(&outcome, "invalid")?;
    let Some(reason) = &outcome.reason else { return broken("there is no reason") };
    ensure(!reason.message.trim().is_empty(), || "the reason has no sentence".into())?;
    let named = reason.fields.iter().find(|field| field.field == subject.title);
    let Some(field) = named.filter(|field| !field.message.trim().is_empty()) else {
        return broken(format!("`{}` is wrong, and the reason does not say so: {}", subject.title, shown(&outcome)));
    };
    Ok(format!("{}/{}: {}", field.field, field.code, field.message))
}

fn an_outcome_has_the_sequence(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let (record, first) = world.make(&mut phone, &json!({}))?;
    let mut reader = world.phone_in_step()?;
    let subject = world.subject().clone();
    let change = json!({&subject.title: "Conformance, changed"});
    let change = phone.mutation(MutationKind::Update, &subject.entity, record, first, &change);
    let outcome = phone.push_one(&change)?;
    ensure(outcome.verdict == Verdict::Applied && outcome.seq > first, || {
        format!("made at sequence {first}, a change came to {}", shown(&outcome))
    })?;
    reader.pull()?;
    let told = reader.records.get(&record).map(|told| told.seq);
    ensure(told == Some(outcome.seq), || format!("the outcome says {}, another device is told {told:?}", outcome.seq))?;
    Ok(format!("{first}, then {}; another device is told the same", outcome.seq))
}
