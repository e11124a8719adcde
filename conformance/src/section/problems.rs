use std::io::Read as _;

use serde_json::{Value, json};
use sync_protocol::wire::MutationKind;

use crate::check::{Check, Section, Seen, broken, ensure};
use crate::http::Answer;
use crate::phone::{ids_of, put};
use crate::world::{World, expect_done};

pub const SECTION: Section = Section {
    name: "Problems",
    checks: &[
        Check {
            name: "problems-are-rfc-9457",
            says: "every answer that is not a success is `application/problem+json`: `type` (`urn:cartera:problem:` and the \
                   code), `code`, `title`, `status`",
            run: problems_are_rfc_9457,
        },
        Check {
            name: "malformed-json",
            says: "`malformed-json` (400), `invalid-body` (422): what cannot be read is told apart from what is wrong",
            run: malformed_json,
        },
        Check {
            name: "damaged-bodies",
            says: "a body that is not what its `Content-Encoding` says is refused, one in an unknown encoding too",
            run: damaged_bodies,
        },
        Check {
            name: "too-many-mutations",
            says: "`mutations`: at most 1,000, else `too-many-mutations`",
            run: too_many_mutations,
        },
        Check {
            name: "bodies-too-large",
            says: "`body-too-large` (413): however small a body travels, it does not unfold without limit",
            run: bodies_too_large,
        },
        Check {
            name: "refused-is-unchanged",
            says: "with every problem: nothing was changed",
            run: refused_is_unchanged,
        },
    ],
};

/// What a bomb unfolds to: more than any server of this protocol reads, and little on the way.
const BOMB_BYTES: u64 = 300 << 20;

fn problems_are_rfc_9457(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let with = |key: &str, value: Value| {
        let mut request = phone.request(&[]);
        request[key] = value;
        phone.exchange(&request)
    };
    let answers = [
        with("protocol", json!(999))?,
        with("cursor", json!("no cursor"))?,
        with("mutations", json!("none"))?,
        phone.send(b"{", &[])?,
        phone.clone().with_token("made-up").exchange(&phone.request(&[]))?,
    ];
    let mut codes = Vec::new();
    for answer in answers {
        let problem = answer.problem()?;
        ensure(answer.media_type == "application/problem+json", || {
            format!("`{}` came as {:?}", problem.code, answer.media_type)
        })?;
        ensure(problem.status == answer.status, || {
            format!("`{}` says status {}, the answer {}", problem.code, problem.status, answer.status)
        })?;
        ensure(problem.kind == format!("urn:cartera:problem:{}", problem.code) && !problem.title.is_empty(), || {
            format!("`{}` has the type `{}` and the title “{}”", problem.code, problem.kind, problem.title)
        })?;
        codes.push(problem.code);
    }
    Ok(codes.join(", "))
}

fn malformed_json(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let whole = phone.request(&[]).to_string();
    let cut = &whole.as_bytes()[..whole.len() / 2];
    for body in [cut, b"{\"protocol\" 1}", b"\xff\xfe"] {
        phone.send(body, &[])?.refused(400, "malformed-json")?;
    }
    let deep = format!("{{\"protocol\":1,\"later\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = phone.send(deep.as_bytes(), &[])?;
    ensure(answer.is_ok() || answer.status < 500, || format!("deep JSON was answered with {}", answer.shown()))?;
    for wrong in [json!([]), json!({"protocol": "one"}), json!({"protocol": 1, "mutations": {}})] {
        phone.exchange(&wrong)?.refused(422, "invalid-body")?;
    }
    Ok("cut, no text, deep as a well; a list, a text for a number, an object for a list".into())
}

fn damaged_bodies(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let plain = phone.request(&[]).to_string();
    let refused = |answer: &Answer, what: &str| {
        ensure((400..500).contains(&answer.status), || format!("{what} was answered with {}", answer.shown()))?;
        answer.problem()
    };
    for encoding in ["zstd", "gzip"] {
        refused(
            &phone.send(plain.as_bytes(), &[("content-encoding", encoding)])?,
            "plain text that says it is compressed",
        )?;
    }
    let zstd = zstd::stream::encode_all(plain.as_bytes(), 1).or_else(broken)?;
    refused(&phone.send(&zstd[..zstd.len() - 3], &[("content-encoding", "zstd")])?, "a body that was cut")?;
    let problem = refused(&phone.send(plain.as_bytes(), &[("content-encoding", "br")])?, "an unknown encoding")?;
    Ok(format!("mislabelled, cut; an unknown encoding: {}", problem.code))
}

fn too_many_mutations(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let entity = world.subject().entity.clone();
    let mutations: Vec<_> = (0..1_001)
        .map(|_| phone.mutation(MutationKind::Delete, &entity, crate::machine::new_record_id(), 0, &json!({})))
        .collect();
    phone.exchange(&phone.request(&mutations))?.refused(422, "too-many-mutations")?;
    let outcomes = phone.push(&mutations[..1_000])?;
    ensure(outcomes.len() == 1_000, || format!("1,000 mutations came to {} outcomes", outcomes.len()))?;
    Ok("1,001 were refused, 1,000 answered".into())
}

fn bodies_too_large(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let unfolded = std::io::repeat(b' ').take(BOMB_BYTES);
    let bomb = zstd::stream::encode_all(unfolded, 1).or_else(broken)?;
    phone.send(&bomb, &[("content-encoding", "zstd")])?.refused(413, "body-too-large")?;
    Ok(format!("{} bytes that unfold to {} MiB", bomb.len(), BOMB_BYTES >> 20))
}

fn refused_is_unchanged(world: &mut World) -> Seen {
    let mut phone = world.phone_in_step()?;
    let mut reader = world.phone_in_step()?;
    let subject = world.subject().clone();
    let fields = subject.fields(&world.name(), &json!({}));
    let creation = phone.mutation(MutationKind::Create, &subject.entity, world.new_record(&subject.entity), 0, &fields);
    for (key, value) in [("protocol", json!(999)), ("cursor", json!("no cursor")), ("acknowledged", json!(99))] {
        let mut request = phone.request(std::slice::from_ref(&creation));
        request[key] = value;
        phone.exchange(&request)?.problem()?;
    }
    let told = ids_of(&reader.pull()?, put);
    ensure(!told.contains(&creation.record), || "a mutation of a refused exchange took effect".into())?;
    expect_done(&phone.push_one(&creation)?)?;
    let told = ids_of(&reader.pull()?, put);
    ensure(told.contains(&creation.record), || "the mutation was applied and is not there".into())?;
    Ok("a mutation in three refused exchanges was not decided; sent rightly it was applied".into())
}
