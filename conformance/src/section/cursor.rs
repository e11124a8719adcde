use serde_json::json;
use sync_protocol::cursor::{Cursor, CursorKey};
use sync_protocol::id::{RecordId, TenantId};
use sync_protocol::wire::MutationKind;
use uuid::Uuid;

use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::phone::{Phone, ids_of, put};
use crate::world::{World, expect_done};

pub const SECTION: Section = Section {
    name: "Cursor",
    checks: &[
        Check {
            name: "an-altered-cursor-is-refused",
            says: "a cursor that was altered, or comes from another tenant, is refused with a code that begins with \
                   `cursor-`",
            run: an_altered_cursor_is_refused,
        },
        Check {
            name: "what-is-no-cursor-is-refused",
            says: "what never was a cursor is refused with a code that begins with `cursor-`",
            run: what_is_no_cursor_is_refused,
        },
        Check {
            name: "an-overlong-cursor-is-refused",
            says: "a cursor has at most 64 KiB",
            run: an_overlong_cursor_is_refused,
        },
        Check {
            name: "an-older-cursor-still-serves",
            says: "a cursor is a place: an exchange that was lost is made again from the same one",
            run: an_older_cursor_still_serves,
        },
        Check {
            name: "starting-over-brings-everything",
            says: "an exchange without a cursor asks for everything that the user holds",
            run: starting_over_brings_everything,
        },
        Check {
            name: "numbers-survive-starting-over",
            says: "a device that starts over keeps its outbox: its mutations go on where they were",
            run: numbers_survive_starting_over,
        },
    ],
};

/// Sends a cursor and expects it to be refused; returns the code.
fn refused(phone: &Phone, cursor: &str) -> Result<String, Unmet> {
    let mut request = phone.request(&[]);
    request["cursor"] = json!(cursor);
    let answer = phone.exchange(&request)?;
    let shown: String = cursor.chars().take(40).collect();
    if answer.is_ok() {
        return broken(format!("the cursor “{shown}” was taken"));
    }
    let problem = answer.problem()?;
    ensure(answer.status == 400 && problem.code.starts_with("cursor-"), || {
        format!("the cursor “{shown}” was answered with {}", answer.shown())
    })?;
    Ok(problem.code)
}

fn own(phone: &Phone) -> Result<String, Unmet> {
    phone.cursor.clone().map_or_else(|| broken("an answer had no cursor"), Ok)
}

fn an_altered_cursor_is_refused(world: &mut World) -> Seen {
    let phone = world.phone_in_step()?;
    let cursor = own(&phone)?;
    for place in [cursor.len() / 4, cursor.len() / 2, cursor.len() * 3 / 4] {
        let altered: String = cursor
            .char_indices()
            .map(|(at, character)| match (at == place, character) {
                (false, _) => character,
                (true, 'A') => 'B',
                (true, _) => 'A',
            })
            .collect();
        refused(&phone, &altered)?;
    }
    // Whole groups of four characters, so that what is left may still be some encoding.
    refused(&phone, &cursor.chars().take(cursor.len() / 8 * 4).collect::<String>())?;
    let foreign = Cursor {
        epoch: 1,
        seq: 1,
        from: 1,
        scopes: vec![1],
        backfill: Vec::new(),
        first_sync: false,
        view: 0,
        gaining: None,
    };
    let code = refused(&phone, &foreign.seal(&CursorKey::new([1; 32]), TenantId(Uuid::from_u128(1))))?;
    Ok(format!("altered in three places, cut, and made elsewhere: {code}"))
}

fn what_is_no_cursor_is_refused(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let mut codes = Vec::new();
    for text in ["", "¡no!", "0"] {
        codes.push(refused(&phone, text)?);
    }
    codes.dedup();
    Ok(format!("nothing, a word and a digit: {}", codes.join(", ")))
}

fn an_overlong_cursor_is_refused(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let code = refused(&phone, &"A".repeat((64 << 10) + 4))?;
    Ok(format!("64 KiB and four characters: {code}"))
}

fn an_older_cursor_still_serves(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut phone = world.phone_in_step()?;
    let before = phone.clone();
    let (record, _) = world.make(&mut author, &json!({}))?;
    phone.pull()?;
    let told = before.clone().pull()?;
    ensure(ids_of(&told, put).contains(&record), || "the second time what is new did not come".into())?;
    Ok("the answer came again, with what was new".into())
}

fn starting_over_brings_everything(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut phone = world.phone_in_step()?;
    let made: Vec<RecordId> =
        (0..3).map(|_| world.make(&mut author, &json!({})).map(|(record, _)| record)).collect::<Result<_, _>>()?;
    phone.pull()?;
    let mut anew = world.phone()?;
    anew.pull()?;
    for record in &made {
        let (known, told) = (phone.records.get(record), anew.records.get(record));
        let fields = |told: Option<&crate::phone::Told>| told.map(|told| (told.seq, told.fields.clone()));
        ensure(known.is_some() && fields(known) == fields(told), || {
            format!("a device in step has {:?}, one that starts over {:?}", fields(known), fields(told))
        })?;
    }
    Ok(format!("{} records, the suite's as on a device in step", anew.records.len()))
}

fn numbers_survive_starting_over(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    world.make(&mut phone, &json!({}))?;
    phone.cursor = None;
    phone.records.clear();
    phone.pull()?;
    let subject = world.subject().clone();
    let (name, record) = (world.name(), world.new_record(&subject.entity));
    let next = phone.mutation(MutationKind::Create, &subject.entity, record, 0, &subject.fields(&name, &json!({})));
    expect_done(&phone.push_one(&next)?)?;
    Ok(format!("mutation {} followed after an exchange without a cursor", next.id))
}
