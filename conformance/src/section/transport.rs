use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::wire::MutationKind;
use ureq::http::Method;

use crate::check::{Check, Section, Seen, broken, ensure};
use crate::phone::EXCHANGE;
use crate::world::{World, expect_done};

pub const SECTION: Section = Section {
    name: "Transport",
    checks: &[
        Check {
            name: "version-is-negotiated",
            says: "`protocol` names the version; a server that does not speak it answers `unsupported-protocol`",
            run: version_is_negotiated,
        },
        Check {
            name: "unknown-keys-are-skipped",
            says: "unknown keys are skipped, never an error: either side may be newer",
            run: unknown_keys_are_skipped,
        },
        Check {
            name: "requests-in-zstd",
            says: "bodies may be compressed with zstd (a window of at most 8 MiB)",
            run: requests_in_zstd,
        },
        Check { name: "requests-in-gzip", says: "bodies may be compressed with gzip", run: requests_in_gzip },
        Check {
            name: "answers-are-compressed",
            says: "answers are compressed with zstd or gzip when `Accept-Encoding` allows it, and else not",
            run: answers_are_compressed,
        },
        Check {
            name: "a-session-is-needed",
            says: "`Authorization: Bearer …`: who is not signed in gets `unauthenticated`",
            run: a_session_is_needed,
        },
        Check {
            name: "only-devices-exchange",
            says: "the device is known from its session; a session that belongs to none gets `no-device`",
            run: only_devices_exchange,
        },
        Check {
            name: "the-model-is-served-by-its-hash",
            says: "`model` is the hash of the model as this user may see it; `GET /sync/v1/model/{hash}` has it",
            run: the_model_is_served,
        },
    ],
};

fn version_is_negotiated(world: &mut World) -> Seen {
    let phone = world.phone()?;
    for version in [PROTOCOL_VERSION + 1, 999] {
        let mut request = phone.request(&[]);
        request["protocol"] = json!(version);
        phone.exchange(&request)?.refused(400, "unsupported-protocol")?;
    }
    let mut request = phone.request(&[]);
    request["protocol"] = json!(0);
    let answer = phone.exchange(&request)?.ok()?;
    let is_told_to_update = answer["orders"][0]["order"] == "update" && answer["operations"] == json!([]);
    ensure(is_told_to_update, || format!("a device that is too old is answered {answer}"))?;
    let answer = phone.exchange(&phone.request(&[]))?.ok()?;
    ensure(answer["protocol"] == PROTOCOL_VERSION, || format!("it answers with protocol {}", answer["protocol"]))?;
    Ok(format!("it speaks version {PROTOCOL_VERSION} and says so of others"))
}

fn unknown_keys_are_skipped(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let subject = world.subject().clone();
    let (name, record) = (world.name(), world.new_record(&subject.entity));
    let mutation = phone.mutation(MutationKind::Create, &subject.entity, record, 0, &subject.fields(&name, &json!({})));
    let mut request = phone.request(&[mutation]);
    request["from_the_future"] = json!({"deep": [1, {"a": null}]});
    request["mutations"][0]["mood"] = json!("sunny");
    let answer = phone.exchange(&request)?.ok()?;
    let verdict = &answer["outcomes"][0]["verdict"];
    ensure(verdict == "applied", || format!("the mutation with an unknown key came to {}", answer["outcomes"]))?;
    Ok("one in the request and one in a mutation; the mutation was applied".into())
}

/// Sends a mutation in a body of that encoding.
fn sent_encoded(world: &mut World, encoding: &str, encode: fn(&[u8]) -> std::io::Result<Vec<u8>>) -> Seen {
    let mut phone = world.phone()?;
    let subject = world.subject().clone();
    let (name, record) = (world.name(), world.new_record(&subject.entity));
    let mutation = phone.mutation(MutationKind::Create, &subject.entity, record, 0, &subject.fields(&name, &json!({})));
    let plain = phone.request(&[mutation]).to_string();
    let body = encode(plain.as_bytes()).or_else(broken)?;
    let answer = phone.send(&body, &[("content-encoding", encoding)])?.ok()?;
    let outcomes: Vec<sync_protocol::wire::Outcome> = crate::phone::read(&answer, "outcomes")?;
    outcomes.first().map_or_else(|| broken("the mutation has no outcome"), expect_done)?;
    Ok(format!("{} bytes in {encoding} were read as {}", body.len(), plain.len()))
}

fn requests_in_zstd(world: &mut World) -> Seen {
    sent_encoded(world, "zstd", |plain| zstd::stream::encode_all(plain, 1))
}

fn requests_in_gzip(world: &mut World) -> Seen {
    sent_encoded(world, "gzip", |plain| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain)?;
        encoder.finish()
    })
}

fn answers_are_compressed(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let mut request = phone.request(&[]);
    request["limit_bytes"] = json!(64 << 10);
    let text = request.to_string();
    let answer = phone.send(text.as_bytes(), &[("accept-encoding", "zstd")])?;
    ensure(answer.encoding.as_deref() == Some("zstd"), || format!("asked for zstd, it sent {:?}", answer.encoding))?;
    answer.ok()?;
    // What decodes gzip here hides that it did: that the answer can be read is what can be seen.
    phone.send(text.as_bytes(), &[("accept-encoding", "gzip")])?.ok()?;
    let answer = phone.send(text.as_bytes(), &[])?;
    ensure(answer.encoding.is_none(), || format!("asked for nothing, it sent {:?}", answer.encoding))?;
    answer.ok()?;
    Ok("in zstd, and as it is; where gzip alone is accepted, the answer can be read".into())
}

fn a_session_is_needed(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let body = phone.request(&[]).to_string();
    let json = ("content-type", "application/json");
    world.send(Method::POST, EXCHANGE, &[json], body.as_bytes())?.refused(401, "unauthenticated")?;
    let made_up = phone.with_token("made-up");
    made_up.send(body.as_bytes(), &[])?.refused(401, "unauthenticated")?;
    Ok("without a token and with a made-up one: 401".into())
}

fn only_devices_exchange(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let person = phone.with_token(&world.session()?);
    person.exchange(&person.request(&[]))?.refused(403, "no-device")?;
    Ok("a person's session: 403".into())
}

fn the_model_is_served(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let answer = phone.exchange(&phone.request(&[]))?.ok()?;
    let hash: String = crate::phone::read(&answer, "model")?;
    let bearer = format!("Bearer {}", phone.token);
    let get =
        |hash: &str| world.send(Method::GET, &format!("/sync/v1/model/{hash}"), &[("authorization", &bearer)], b"");
    let model = get(&hash)?.ok()?;
    let served: String = crate::phone::read(&model, "hash")?;
    ensure(served == hash, || format!("the model of the hash {hash} says that it is {served}"))?;
    let unknown = get(&"0".repeat(64))?;
    ensure(!unknown.is_ok(), || "it serves a model for a hash that nobody gave".into())?;
    unknown.problem()?;
    Ok(format!(
        "{} entities under {}…",
        model["entities"].as_object().map_or(0, serde_json::Map::len),
        hash.get(..8).unwrap_or(&hash)
    ))
}
