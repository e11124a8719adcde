use serde_json::{Value, json};
use sync_protocol::wire::MutationKind;

use crate::check::{Check, Section, Seen, broken, ensure};
use crate::phone::{acknowledged, ids_of, put, read, seq_of};
use crate::world::{World, expect_done, shown_all};

pub const SECTION: Section = Section {
    name: "The exchange",
    checks: &[
        Check {
            name: "outcomes-in-the-order-sent",
            says: "`outcomes`: one per mutation sent, in the order sent",
            run: outcomes_in_the_order_sent,
        },
        Check {
            name: "outcomes-only",
            says: "`limit_bytes` 0: outcomes only, the cursor stays where it is",
            run: outcomes_only,
        },
        Check {
            name: "pages-by-byte-budget",
            says: "`limit_bytes` is the most bytes of operations wanted; `more` says that a page does not complete a \
                   consistent point",
            run: pages_by_byte_budget,
        },
        Check {
            name: "at-least-one-operation",
            says: "the server may send fewer bytes, and at least one operation",
            run: at_least_one_operation,
        },
        Check {
            name: "own-writes-are-acknowledged",
            says: "the author of a change hears of it as `acknowledged`, not as what she wrote",
            run: own_writes_are_acknowledged,
        },
        Check {
            name: "others-are-told",
            says: "a record that the device does not have comes whole",
            run: others_are_told,
        },
        Check {
            name: "nothing-new-is-nothing",
            says: "an exchange goes on from its cursor: what was told is not told again",
            run: nothing_new_is_nothing,
        },
        Check {
            name: "head-is-the-last-sequence",
            says: "`head` is the tenant's last sequence when the page was cut",
            run: head_is_the_last_sequence,
        },
    ],
};

/// Texts as long as these make pages of a few records.
const LONG_CHARACTERS: usize = 1_500;
const RECORDS: usize = 8;
const BUDGET_BYTES: u64 = 4_096;

fn outcomes_in_the_order_sent(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let entity = world.subject().entity.clone();
    let mut mutations = Vec::new();
    for _ in 0..4 {
        let fields = world.subject().clone().fields(&world.name(), &json!({}));
        let record = world.new_record(&entity);
        mutations.push(phone.mutation(MutationKind::Create, &entity, record, 0, &fields));
    }
    let outcomes = phone.push(&mutations)?;
    for (mutation, outcome) in mutations.iter().zip(&outcomes) {
        expect_done(outcome)?;
        ensure(mutation.id == outcome.mutation, || {
            let order: Vec<u64> = outcomes.iter().map(|outcome| outcome.mutation).collect();
            format!("1, 2, 3, 4 were sent, the outcomes are of {order:?}")
        })?;
    }
    Ok("four mutations, four outcomes, in their order".into())
}

fn outcomes_only(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut reader = world.phone_in_step()?;
    let (record, _) = world.make(&mut author, &json!({}))?;
    let page = reader.page(0)?;
    ensure(page.operations.is_empty(), || format!("it sent {}", shown_all(&page.operations)))?;
    let told = reader.pull()?;
    ensure(ids_of(&told, put).contains(&record), || "what came meanwhile was lost with the cursor".into())?;
    Ok("no operation, and the next exchange brought what was new".into())
}

/// A device that has not been told of eight long records, and how many they are.
fn with_long_news(world: &mut World) -> Result<crate::phone::Phone, crate::check::Unmet> {
    let mut author = world.phone()?;
    let reader = world.phone_in_step()?;
    let filling = world.subject().filling(LONG_CHARACTERS);
    for _ in 0..RECORDS {
        world.make(&mut author, &filling)?;
    }
    Ok(reader)
}

fn pages_by_byte_budget(world: &mut World) -> Seen {
    let mut reader = with_long_news(world)?;
    let mut whole = reader.clone();
    let all = whole.page(1 << 20)?;
    let total: usize = all.bytes.iter().sum();
    // A quarter of the news a page, whatever the records of this entity can hold.
    let budget = BUDGET_BYTES.min(total as u64 / 4);
    let mut told = Vec::new();
    let mut pages = 0;
    loop {
        let page = reader.page(budget)?;
        pages += 1;
        // A page ends with the operation that reaches the budget at the latest.
        let before_last: usize = page.bytes.iter().rev().skip(1).sum();
        ensure((before_last as u64) < budget, || {
            format!("of {budget} bytes wanted, a page has {before_last} and one more operation")
        })?;
        ensure(page.more || told.len() + page.operations.len() >= all.operations.len(), || {
            format!("page {pages} says that it is the last, {} of {} operations came", told.len(), all.operations.len())
        })?;
        told.extend(page.operations);
        if !page.more {
            break;
        }
        ensure(pages < 1_000, || "a thousand pages came and there is still more".into())?;
    }
    ensure(pages > 1, || format!("{total} bytes of news came in one page, although {budget} were wanted"))?;
    let (in_pages, at_once) = (ids_of(&told, put), ids_of(&all.operations, put));
    ensure(at_once.is_subset(&in_pages), || {
        format!("{} records came at once, {} in pages", at_once.len(), in_pages.len())
    })?;
    Ok(format!("{total} bytes of news came in {pages} pages of {budget}"))
}

fn at_least_one_operation(world: &mut World) -> Seen {
    let mut reader = with_long_news(world)?;
    let mut pages = 0;
    loop {
        let page = reader.page(1)?;
        pages += 1;
        ensure(!page.operations.is_empty() || !page.more, || "a page with `more` has no operation".into())?;
        if !page.more {
            return Ok(format!("{pages} pages of one byte came to an end"));
        }
        ensure(pages < 1_000, || "a thousand pages came and there is still more".into())?;
    }
}

fn own_writes_are_acknowledged(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    let (record, seq) = world.make(&mut phone, &json!({}))?;
    let told = phone.pull()?;
    ensure(!ids_of(&told, put).contains(&record), || {
        format!("what the device wrote itself was sent back: {}", shown_all(&told))
    })?;
    ensure(ids_of(&told, acknowledged).contains(&record), || {
        format!("the device was not told where its record stands: {}", shown_all(&told))
    })?;
    let at = phone.records.get(&record).map(|told| told.seq);
    ensure(at == Some(seq), || format!("the outcome says sequence {seq}, the acknowledgement {at:?}"))?;
    Ok(format!("a record made by this device came as `acknowledged` at sequence {seq}"))
}

fn others_are_told(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut reader = world.phone_in_step()?;
    let subject = world.subject().clone();
    let name = world.name();
    let record = world.new_record(&subject.entity);
    let mutation =
        author.mutation(MutationKind::Create, &subject.entity, record, 0, &subject.fields(&name, &json!({})));
    expect_done(&author.push_one(&mutation)?)?;
    let told = reader.pull()?;
    let Some(known) = reader.records.get(&record) else {
        return broken(format!("another device of the same user was not told: {}", shown_all(&told)));
    };
    let title = known.fields.get(&subject.title);
    ensure(title == Some(&json!(name)), || format!("`{}` is {title:?} and not “{name}”", subject.title))?;
    ensure(!known.scopes.is_empty(), || "the record stands in no scope that the device holds".into())?;
    Ok(format!("its `{}` and {} fields besides", subject.title, known.fields.len() - 1))
}

fn nothing_new_is_nothing(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    let (record, _) = world.make(&mut phone, &json!({}))?;
    phone.pull()?;
    let page = phone.page(1 << 20)?;
    let again = page
        .operations
        .iter()
        .any(|operation| [put(operation), acknowledged(operation)].into_iter().flatten().any(|told| told == record));
    ensure(!again, || format!("it told the same again: {}", shown_all(&page.operations)))?;
    Ok("the next exchange did not repeat it".into())
}

fn head_is_the_last_sequence(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    let (_, seq) = world.make(&mut phone, &json!({}))?;
    let page = phone.page(1 << 20)?;
    let head: u64 = read(&Value::Object(page.answer), "head")?;
    let highest = page.operations.iter().filter_map(seq_of).max().unwrap_or(0);
    ensure(head >= seq && head >= highest, || {
        format!("`head` is {head}, although sequence {} was told", highest.max(seq))
    })?;
    Ok(format!("head {head}, the record's sequence {seq}"))
}
