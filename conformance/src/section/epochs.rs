use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{Mutation, MutationKind};
use uuid::Uuid;

use crate::check::{Check, Section, Seen, Unmet, ensure};
use crate::phone::Phone;
use crate::world::{World, expect_done, expect_rejected};

pub const SECTION: Section = Section {
    name: "Epochs",
    checks: &[
        Check {
            name: "expected-is-what-is-decided-next",
            says: "`expected`: the mutation of this device that the server decides next",
            run: expected_is_what_is_decided_next,
        },
        Check {
            name: "void-mutations-keep-the-numbers-whole",
            says: "a void mutation is rejected with `unknown-entity`, does nothing and keeps the numbers whole",
            run: void_mutations_keep_the_numbers_whole,
        },
        Check {
            name: "safe-is-not-ahead",
            says: "`safe`: whatever was decided up to this sequence is in a backup",
            run: safe_is_not_ahead,
        },
    ],
};

/// What an answer with a page expects next.
fn expected(phone: &Phone, mutations: &[Mutation]) -> Result<Value, Unmet> {
    let mut request = phone.request_page(mutations);
    request["compare"] = json!(true);
    Ok(phone.exchange(&request)?.ok()?["expected"].clone())
}

fn expected_is_what_is_decided_next(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    let before = expected(&phone, &[])?;
    if before.is_null() {
        return Err(Unmet::Unchecked("the server does not say what it expects".into()));
    }
    ensure(before == json!(1), || format!("of a device that has pushed nothing it expects {before}"))?;
    let mutations = [world.creation(&mut phone), world.creation(&mut phone)];
    let after = expected(&phone, &mutations)?;
    ensure(after == json!(3), || format!("after two mutations it expects {after}"))?;
    Ok("1 of a new device, 3 after two mutations".into())
}

fn void_mutations_keep_the_numbers_whole(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let void = phone.mutation(MutationKind::Update, "", RecordId(Uuid::nil()), 0, &json!({}));
    let next = world.creation(&mut phone);
    let outcomes = phone.push(&[void, next])?;
    expect_rejected(&outcomes[0], "unknown-entity")?;
    expect_done(&outcomes[1])?;
    Ok("a void one was rejected, the one after it applied".into())
}

fn safe_is_not_ahead(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    let mutation = world.creation(&mut phone);
    let request = phone.request_page(std::slice::from_ref(&mutation));
    let answer = phone.exchange(&request)?.ok()?;
    let Some(safe) = answer["safe"].as_u64() else {
        return Err(Unmet::Unchecked("the server does not say what is in a backup".into()));
    };
    let head = answer["head"].as_u64().unwrap_or_default();
    ensure(safe <= head, || format!("{safe} is said to be safe, the last sequence is {head}"))?;
    Ok(format!("{safe}, the last sequence is {head}"))
}
