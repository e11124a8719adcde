use serde::Deserialize;
use serde_json::json;
use sync_protocol::wire::{Operation, Order, Poke};
use ureq::http::Method;

use super::hello::expect_capability;
use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::events::{Event, Heard};
use crate::machine;
use crate::phone::{Phone, ids_of, put};
use crate::world::{World, shown_all};

pub const SECTION: Section = Section {
    name: "Live",
    checks: &[
        Check {
            name: "live-is-a-stream-of-events",
            says: "the answer is a stream of server-sent events; a device that does not say where it stands is poked at once",
            run: live_is_a_stream_of_events,
        },
        Check {
            name: "a-stream-tells-of-a-change",
            says: "it tells what concerns the device as it comes: `poke`, or `delta` where `from` is what the device said, with \
                   the new cursor as `id`",
            run: a_stream_tells_of_a_change,
        },
        Check {
            name: "a-delta-is-what-an-exchange-brings",
            says: "a delta is what an exchange from the same cursor would have brought",
            run: a_delta_is_what_an_exchange_brings,
        },
        Check {
            name: "a-device-has-one-stream",
            says: "a device has one stream; a new one ends the former",
            run: a_device_has_one_stream,
        },
        Check {
            name: "who-is-signed-out-hears-of-it",
            says: "`order` with `signed-out`: the stream ends",
            run: who_is_signed_out_hears_of_it,
        },
        Check {
            name: "a-poll-without-a-place-is-poked",
            says: "with `wait`, one event as JSON; without `Last-Event-ID`, or with one that the server cannot use, a poke at once",
            run: a_poll_without_a_place_is_poked,
        },
        Check { name: "a-poll-waits", says: "with `wait`, `{}` when nothing came in that time", run: a_poll_waits },
        Check {
            name: "a-poll-answers-when-something-comes",
            says: "with `wait`, one event as soon as there is one",
            run: a_poll_answers_when_something_comes,
        },
        Check {
            name: "another-model-is-ordered",
            says: "`Cartera-Model` names the model that the device holds; `order` with `upgrade` names another",
            run: another_model_is_ordered,
        },
        Check {
            name: "only-devices-listen",
            says: "with the session of the device: `unauthenticated` without one, `no-device` for one that belongs to none",
            run: only_devices_listen,
        },
    ],
};

const PATH: &str = "/sync/v1/live";
/// Long enough for any server to notice a change.
const LONG_SECS: u64 = 20;
/// Short enough for a person to wait.
const SHORT_SECS: u64 = 2;
/// Somebody else may change something at the same time, which is told as well.
const TRIES: usize = 3;

/// One event of a long poll, or none.
#[derive(Debug, Default, Deserialize)]
struct Polled {
    poke: Option<Poke>,
    delta: Option<Delta>,
    order: Option<Order>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    from: String,
    cursor: String,
    operations: Vec<Operation>,
}

fn place(phone: &Phone) -> String {
    phone.cursor.clone().unwrap_or_default()
}

fn listen(
    phone: &Phone,
    headers: &[(&str, &str)],
    opened: impl FnOnce() -> Result<(), Unmet>,
    is_enough: impl Fn(&Event) -> bool,
) -> Result<Heard, Unmet> {
    phone.listen(PATH, headers, opened, is_enough)
}

fn poll(phone: &Phone, secs: u64, headers: &[(&str, &str)]) -> Result<Polled, Unmet> {
    let answer = phone.ask(Method::GET, &format!("{PATH}?wait={secs}"), headers, b"")?.ok()?;
    serde_json::from_value(answer.clone()).or_else(|error| broken(format!("{answer} cannot be read: {error}")))
}

fn tells(event: &Event) -> bool {
    matches!(event.name.as_str(), "poke" | "delta")
}

fn live_is_a_stream_of_events(world: &mut World) -> Seen {
    let phone = world.phone()?;
    expect_capability(&phone, "live")?;
    let heard = listen(&phone, &[], || Ok(()), |_| true)?;
    ensure(heard.media_type == "text/event-stream", || format!("it answers with {:?}", heard.media_type))?;
    match heard.events.first() {
        Some(event) if event.name == "poke" => {
            let poke: Poke = event.read()?;
            Ok(format!("a poke with head {}", poke.head))
        }
        event => broken(format!("the first event is {event:?}")),
    }
}

fn a_stream_tells_of_a_change(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let phone = world.phone_in_step()?;
    expect_capability(&phone, "live")?;
    let mut seq = 0;
    let write = || -> Result<(), Unmet> {
        seq = world.make(&mut author, &json!({}))?.1;
        Ok(())
    };
    let heard = listen(&phone, &[("last-event-id", &place(&phone))], write, tells)?;
    match heard.events.iter().find(|event| tells(event)) {
        Some(event) if event.name == "delta" => {
            let delta: Delta = event.read()?;
            ensure(delta.from == place(&phone), || "a delta is from a cursor that the device did not say".into())?;
            ensure(event.id == delta.cursor, || format!("the `id` of a delta is {:?}, not its cursor", event.id))?;
            Ok("a delta, with its cursor as id".into())
        }
        Some(event) => {
            let poke: Poke = event.read()?;
            ensure(poke.head >= seq, || format!("a record was made at {seq}, the poke has head {}", poke.head))?;
            Ok(format!("a poke with head {}", poke.head))
        }
        None => broken("a record was made, and the stream ended without a word of it"),
    }
}

fn a_delta_is_what_an_exchange_brings(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut phone = world.phone_in_step()?;
    expect_capability(&phone, "live")?;
    let mut made = None;
    let write = || -> Result<(), Unmet> {
        made = Some(world.make(&mut author, &json!({}))?.0);
        Ok(())
    };
    let heard = listen(&phone, &[("last-event-id", &place(&phone))], write, tells)?;
    let Some(event) = heard.events.iter().find(|event| event.name == "delta") else {
        return Err(Unmet::Unchecked("the server told of a change by a poke, not by a delta".into()));
    };
    let delta: Delta = event.read()?;
    let mut behind = phone.clone();
    behind.cursor = Some(delta.cursor);
    let brought = phone.pull()?;
    let told = delta.operations;
    let is_missing = made.is_none_or(|record| !ids_of(&told, put).contains(&record));
    ensure(!is_missing, || format!("the new record is not in the delta: {}", shown_all(&told)))?;
    ensure(brought.starts_with(&told), || {
        format!("the delta has {}, an exchange from the same cursor {}", shown_all(&told), shown_all(&brought))
    })?;
    let again = behind.pull()?;
    ensure(ids_of(&again, put).is_disjoint(&ids_of(&told, put)), || {
        format!("what the delta told came again behind its cursor: {}", shown_all(&again))
    })?;
    Ok(format!("{} operations, and the exchange behind them goes on", told.len()))
}

fn a_device_has_one_stream(world: &mut World) -> Seen {
    let phone = world.phone_in_step()?;
    expect_capability(&phone, "live")?;
    let second = || listen(&phone, &[], || Ok(()), |_| true).map(drop);
    let first = listen(&phone, &[("last-event-id", &place(&phone))], second, |_| false)?;
    ensure(first.is_over, || "the first stream did not end".into())?;
    Ok("the first one ended when the second began".into())
}

fn who_is_signed_out_hears_of_it(world: &mut World) -> Seen {
    let phone = world.phone_in_step()?;
    expect_capability(&phone, "live")?;
    let end = || world.sign_out(&phone);
    let heard = listen(&phone, &[("last-event-id", &place(&phone))], end, |_| false)?;
    let last = heard.events.last().filter(|event| event.name == "order").map(Event::read::<Order>).transpose()?;
    ensure(last == Some(Order::SignedOut), || format!("the device was signed out, it heard {:?}", heard.events))?;
    Ok("the order came, and the stream ended".into())
}

fn a_poll_without_a_place_is_poked(world: &mut World) -> Seen {
    let phone = world.phone()?;
    expect_capability(&phone, "live-wait")?;
    let mut heads = Vec::new();
    for headers in [&[][..], &[("last-event-id", "no-cursor")][..]] {
        let Some(poke) = poll(&phone, LONG_SECS, headers)?.poke else {
            return broken(format!("no poke came in {LONG_SECS} seconds with {headers:?}"));
        };
        heads.push(poke.head);
    }
    Ok(format!("without a place and with one that is none: pokes with heads {heads:?}"))
}

fn a_poll_waits(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    expect_capability(&phone, "live-wait")?;
    let mut last = Polled::default();
    for _ in 0..TRIES {
        let begun_ms = machine::now_ms();
        last = poll(&phone, SHORT_SECS, &[("last-event-id", &place(&phone))])?;
        let waited_ms = machine::now_ms() - begun_ms;
        if last.poke.is_none() && last.delta.is_none() && last.order.is_none() {
            // Clocks are not that exact.
            ensure(waited_ms >= 1_000 * (SHORT_SECS.cast_signed() - 1), || {
                format!("asked to wait {SHORT_SECS} seconds, it answered {{}} after {waited_ms} ms")
            })?;
            return Ok(format!("{{}} after {waited_ms} ms"));
        }
        if !phone.pull()?.is_empty() {
            continue;
        }
        break;
    }
    broken(format!("a device in step was told {last:?}, and an exchange brings nothing"))
}

fn a_poll_answers_when_something_comes(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut phone = world.phone_in_step()?;
    expect_capability(&phone, "live-wait")?;
    let cursor = place(&phone);
    let begun_ms = machine::now_ms();
    let (polled, made) = std::thread::scope(|scope| {
        let polled = scope.spawn(|| poll(&phone, LONG_SECS, &[("last-event-id", &cursor)]));
        let made = world.make(&mut author, &json!({}));
        (polled.join(), made)
    });
    let waited_ms = machine::now_ms() - begun_ms;
    let ((record, seq), Ok(polled)) = (made?, polled) else { return broken("the poll was not answered") };
    let polled = polled?;
    ensure(waited_ms < 1_000 * LONG_SECS.cast_signed(), || {
        format!("a record was made, and the answer came after {waited_ms} ms")
    })?;
    let told = match (&polled.delta, polled.poke) {
        (Some(delta), _) if delta.from == cursor => "a delta",
        (None, Some(poke)) if poke.head >= seq => "a poke",
        _ => return broken(format!("a record was made at {seq}, the poll was answered with {polled:?}")),
    };
    ensure(ids_of(&phone.pull()?, put).contains(&record), || "the exchange after it brought nothing".into())?;
    Ok(format!("{told} after {waited_ms} ms"))
}

fn another_model_is_ordered(world: &mut World) -> Seen {
    let phone = world.phone_in_step()?;
    expect_capability(&phone, "live-wait")?;
    let answer = phone.exchange(&phone.request(&[]))?.ok()?;
    let model: String = crate::phone::read(&answer, "model")?;
    let another = "0".repeat(64);
    let headers = [("last-event-id", &*place(&phone)), ("cartera-model", &another)];
    let polled = poll(&phone, LONG_SECS, &headers)?;
    ensure(polled.order == Some(Order::Upgrade { model }), || {
        format!("a device with a model that there is not was told {polled:?}")
    })?;
    Ok("a device that holds another model is told which one to fetch".into())
}

fn only_devices_listen(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let person = phone.with_token(&world.session()?);
    for path in [PATH.to_owned(), format!("{PATH}?wait=1")] {
        person.ask(Method::GET, &path, &[], b"")?.refused(403, "no-device")?;
        world.send(Method::GET, &path, &[], b"")?.refused(401, "unauthenticated")?;
    }
    Ok("a person's session: 403; none: 401".into())
}
