//! What is not as it should be is answered by a problem that says so, and changes nothing.

use std::io::Write;

use cartera_tests::{Company, Message, Person, Phone, Server, new_record};
use serde_json::{Value, json};
use sync_protocol::id::Sequence;
use sync_protocol::wire::{Mutation, Problem, Verdict};

/// Larger than any body that the server reads.
const BOMB_BYTES: usize = 64 << 20;

/// One phone that misbehaves, and all that must not move meanwhile.
struct Scene {
    server: Server,
    company: Company,
    ana: Person,
    phone: Phone,
    account: String,
    /// The sequence at which the phone knows the account.
    base: Sequence,
}

impl Scene {
    fn set() -> Self {
        let server = Server::start();
        let company = Company::found(&server);
        let ana = server.person(Company::ANA);
        let account = ana.create("account", &json!({"name": "Conservas Ana"}));
        let mut phone = server.phone(Company::ANA);
        let base = phone.pull().head;
        Self { server, company, ana, phone, account, base }
    }

    /// The last sequence, the records of each entity, and the one record that the stories try to change.
    fn state(&self) -> Value {
        let entities =
            ["account", "contact", "lead", "opportunity", "product", "activity", "team", "territory", "user"];
        let counts: Vec<u64> = entities.iter().map(|entity| self.company.admin.count(entity)).collect();
        let head = self.phone.exchange(&self.phone.request(&[])).ok()["head"].clone();
        let account = self.company.admin.get(&format!("/api/v1/account/{}", self.account)).ok();
        json!({"head": head, "counts": counts, "account": account})
    }

    /// Sends it and expects a problem of that status and code, and that nothing changed.
    #[track_caller]
    fn refuses(&self, what: &str, message: &Message, status: u16, code: &str) -> Problem {
        let before = self.state();
        let answer = self.phone.send(message).unwrap_or_else(|error| panic!("{what} had no answer: {error}"));
        let problem = answer.problem();
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{what}: {problem:?}");
        assert_eq!(self.state(), before, "{what} changed something");
        problem
    }

    fn change(&mut self, fields: &Value) -> Mutation {
        self.phone.update("account", &self.account, self.base, fields)
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("memory takes it")
}

#[test]
fn a_body_that_cannot_be_read_is_refused_with_the_place() {
    let mut scene = Scene::set();
    let mutation = scene.change(&json!({"notes": "no debe quedar"}));
    let good = scene.phone.request(&[mutation]);
    let text = good.to_string();

    let malformed = Message::json(text.replacen(':', "=", 1));
    let problem = scene.refuses("malformed JSON", &malformed, 400, "malformed-json");
    assert!(problem.extra["line"].is_u64() && problem.extra["column"].is_u64(), "{problem:?}");
    for cut in [1, text.len() / 2, text.len() - 1] {
        let problem = scene.refuses("truncated JSON", &Message::json(&text[..cut]), 400, "malformed-json");
        assert!(problem.detail.is_some_and(|detail| detail.contains("ends too early")));
    }
    let _ = scene.refuses("an empty body", &Message::json(""), 400, "malformed-json");
    let _ = scene.refuses("bytes that are no text", &Message::json([0xff, 0xfe, 0x00]), 400, "malformed-json");
    let well = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = text.replace("\"no debe quedar\"", &well);
    let _ = scene.refuses("JSON as deep as a well", &Message::json(deep), 400, "malformed-json");

    let typed = |path: &str, value: Value| {
        let mut wrong = good.clone();
        *wrong.pointer_mut(path).unwrap_or_else(|| panic!("{path} is in the request")) = value;
        Message::json(wrong.to_string())
    };
    for (path, value, named) in [
        ("/protocol", json!("one"), "protocol"),
        ("/mutations", json!({}), "mutations"),
        ("/mutations/0/id", json!("first"), "mutations[0].id"),
        ("/mutations/0/kind", json!("upsert"), "mutations[0].kind"),
        ("/mutations/0/record", json!("not an id"), "mutations[0].record"),
        ("/mutations/0/base", json!(-1), "mutations[0].base"),
        ("/mutations/0/set", json!([1, 2]), "mutations[0].set"),
    ] {
        let problem = scene.refuses(named, &typed(path, value), 422, "invalid-body");
        assert_eq!(problem.fields[0].field, named, "{problem:?}");
    }
    let _ = scene.refuses("JSON that is no object", &Message::json("[]"), 422, "invalid-body");
}

#[test]
fn a_body_that_is_too_large_wrongly_encoded_or_no_json_is_refused() {
    let scene = Scene::set();
    let good = scene.phone.request(&[]).to_string().into_bytes();
    let bomb = [b"{\"protocol\":1,\"mutations\":[".as_slice(), &vec![b' '; BOMB_BYTES], b"]}"].concat();
    let encoded = |body: Vec<u8>, encoding: &str| Message { encoding: Some(encoding.into()), ..Message::json(body) };

    for (encoding, bomb) in [("gzip", gzip(&bomb)), ("zstd", zstd(&bomb))] {
        assert!(bomb.len() < 1 << 20, "a bomb is small before it goes off");
        let _ = scene.refuses(encoding, &encoded(bomb, encoding), 413, "body-too-large");
    }
    let oversized = Message::json(&bomb[..=8 << 20]);
    let _ = scene.refuses("an oversized body", &oversized, 413, "body-too-large");

    for (encoding, whole) in [("gzip", gzip(&good)), ("zstd", zstd(&good))] {
        let _ = scene.refuses("not what its header says", &encoded(good.clone(), encoding), 400, "bad-encoding");
        let cut = whole[..whole.len() - 3].to_vec();
        let _ = scene.refuses("cut off", &encoded(cut, encoding), 400, "bad-encoding");
    }
    let _ = scene.refuses("an unknown encoding", &encoded(good.clone(), "br"), 415, "unsupported-encoding");
    let twice = encoded(zstd(&gzip(&good)), "gzip, zstd");
    let _ = scene.refuses("two encodings", &twice, 415, "unsupported-encoding");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/msgpack"] {
        let message = Message { content_type: content_type.into(), ..Message::json(good.clone()) };
        let _ = scene.refuses(content_type, &message, 415, "unsupported-media-type");
    }
}

#[test]
fn an_exchange_out_of_step_or_of_somebody_else_is_refused() {
    let mut scene = Scene::set();
    let wrong = |scene: &Scene, key: &str, value: Value| {
        let mut request = scene.phone.request(&[]);
        request[key] = value;
        Message::json(request.to_string())
    };
    // One that is too old may still hand in its work.
    for version in [2, 999] {
        let problem =
            scene.refuses("protocol", &wrong(&scene, "protocol", json!(version)), 400, "unsupported-protocol");
        assert_eq!(problem.extra["supported"], json!([1]));
    }

    let own = scene.phone.cursor.clone().expect("the phone has pulled");
    let mut forged = own.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("still ASCII");
    let elsewhere = Server::start();
    let mut stranger = elsewhere.phone(cartera_tests::ADMIN);
    let _ = stranger.pull();
    for (cursor, code) in [
        (json!("¡no!"), "cursor-malformed"),
        (json!(""), "cursor-malformed"),
        // Whole groups of four characters, so that what is left is still base64.
        (json!(&own[..own.len() / 8 * 4]), "cursor-forged"),
        (json!(forged), "cursor-forged"),
        (json!(stranger.cursor), "cursor-forged"),
    ] {
        let _ = scene.refuses(&cursor.to_string(), &wrong(&scene, "cursor", cursor.clone()), 400, code);
    }

    let first = scene.change(&json!({"notes": "uno"}));
    let second = scene.change(&json!({"notes": "dos"}));
    let third = scene.change(&json!({"notes": "tres"}));
    let message = |scene: &Scene, mutations: &[&Mutation]| {
        let mutations: Vec<Mutation> = mutations.iter().copied().cloned().collect();
        Message::json(scene.phone.request(&mutations).to_string())
    };
    let problem = scene.refuses("a gap at the start", &message(&scene, &[&second]), 409, "mutation-gap");
    assert_eq!(problem.extra["expected"], 1);
    let problem = scene.refuses("a gap within", &message(&scene, &[&first, &third]), 409, "mutation-gap");
    assert_eq!(problem.extra["expected"], 2);
    let _ = scene.refuses("out of order", &message(&scene, &[&first, &third, &second]), 409, "mutation-gap");
    let _ = scene.refuses("the same twice", &message(&scene, &[&first, &first]), 409, "mutation-gap");
    let many = Message::json(scene.phone.request(&vec![first.clone(); 1_001]).to_string());
    let _ = scene.refuses("too many mutations", &many, 422, "too-many-mutations");
    let ahead = {
        let mut request = scene.phone.request(std::slice::from_ref(&first));
        request["acknowledged"] = json!(7);
        Message::json(request.to_string())
    };
    let _ = scene.refuses("an acknowledgement of what was never told", &ahead, 422, "acknowledged-ahead");

    let good = Message::json(scene.phone.request(&[first]).to_string());
    for (token, status, code) in [
        (String::new(), 401, "unauthenticated"),
        ("forged".into(), 401, "unauthenticated"),
        (stranger.token.clone(), 401, "unauthenticated"),
        (scene.ana.token().to_owned(), 403, "no-device"),
    ] {
        let before = scene.state();
        let mut impostor = scene.phone.clone();
        impostor.token = token;
        let problem = impostor.send(&good).expect("every request has an answer").problem();
        assert_eq!((problem.status, problem.code.as_str()), (status, code));
        assert_eq!(scene.state(), before);
    }
    // None of this stood in the way of what is right.
    assert_eq!(scene.phone.send(&good).expect("an answer").ok()["outcomes"][0]["verdict"], "applied");
}

#[test]
fn a_wrong_mutation_is_rejected_with_the_field_and_holds_up_no_other() {
    let mut scene = Scene::set();
    let before = scene.state();
    let (account, absent) = (scene.account.clone(), new_record());
    let colleague = scene.server.person(Company::BERTA).user;
    let (base, phone) = (scene.base, &mut scene.phone);
    let cases = [
        (phone.create("unicorn", &json!({"name": "Uno"})), "unknown-entity", ""),
        (phone.create("account", &json!({"name": "Dos", "colour": "blue"})), "invalid", "colour/unknown-field"),
        (phone.create("account", &json!({"legal_name": "Tres, S. A."})), "invalid", "name/required"),
        (phone.update("account", &account, base, &json!({"name": 4})), "invalid", "name/type"),
        (phone.update("account", &account, base, &json!({"employees": "five"})), "invalid", "employees/type"),
        (phone.update("account", &account, base, &json!({"employees": 1.5})), "invalid", "employees/type"),
        (phone.update("account", &account, base, &json!({"kind": "seven"})), "invalid", "kind/option"),
        (phone.update("account", &account, base, &json!({"parent": absent})), "invalid", "parent/not-found"),
        (phone.update("account", &account, base, &json!({"parent": colleague})), "invalid", "parent/not-found"),
        (phone.update("account", &account, base, &json!({"created_on": 1})), "forbidden", "created_on/forbidden"),
        (phone.update("account", &absent, 0, &json!({"notes": "once"})), "not-found", ""),
        (phone.delete("account", &account, base), "forbidden", ""),
        (phone.create("team", &json!({"name": "Los míos"})), "forbidden", ""),
    ];
    let mut taken = phone.create("account", &json!({"name": "Otra con el mismo id"}));
    taken.record.clone_from(&cases[3].0.record);
    let cases: Vec<_> = cases.into_iter().chain([(taken, "already-exists", "")]).collect();
    let mutations: Vec<Mutation> = cases.iter().map(|(mutation, ..)| mutation.clone()).collect();

    let outcomes = scene.phone.push(&mutations);
    for ((mutation, code, field), outcome) in cases.iter().zip(&outcomes) {
        assert_eq!((outcome.mutation, outcome.verdict), (mutation.id, Verdict::Rejected), "{mutation:?}: {outcome:?}");
        let reason = outcome.reason.as_ref().unwrap_or_else(|| panic!("{mutation:?} was rejected without a reason"));
        assert_eq!(reason.code, *code, "{mutation:?}: {reason:?}");
        assert!(!reason.message.is_empty(), "{mutation:?}: nothing says what to do");
        let named: Vec<String> = reason.fields.iter().map(|field| format!("{}/{}", field.field, field.code)).collect();
        assert_eq!(named.join(" "), *field, "{mutation:?}: {reason:?}");
    }
    assert_eq!(outcomes.len(), cases.len());
    assert_eq!(scene.state(), before);
    let good = scene.change(&json!({"notes": "por fin"}));
    assert_eq!(scene.phone.push(&[good])[0].verdict, Verdict::Applied, "what is wrong blocks nothing after it");
}

#[test]
fn a_wrong_request_for_records_is_refused() {
    let scene = Scene::set();
    let (ana, record) = (&scene.ana, format!("/api/v1/account/{}", scene.account));
    let before = scene.state();
    let refused = [
        (ana.post("/api/v1/unicorn", &json!({"fields": {}})), 404, "unknown-entity"),
        (ana.post("/api/v1/account", &json!({"fields": {"name": "Dos", "colour": "blue"}})), 422, "invalid"),
        (ana.post("/api/v1/account", &json!({"fields": {"name": 3}})), 422, "invalid"),
        (ana.post("/api/v1/account", &json!({"name": "Cuatro"})), 422, "invalid-body"),
        (ana.patch(&record, &json!({"set": {"created_on": 1}})), 403, "forbidden"),
        (ana.patch(&record, &json!({"set": "all"})), 422, "invalid-body"),
        (ana.patch(&format!("/api/v1/account/{}", new_record()), &json!({"set": {"notes": "x"}})), 404, "not-found"),
        (ana.get("/api/v1/account/not-an-id"), 400, "invalid-path"),
        (ana.get("/api/v1/account?where=name%20%3D%3D"), 422, "invalid-expression"),
        (ana.get("/api/v1/account?colour=blue"), 400, "invalid-query"),
        (ana.delete(&record), 403, "forbidden"),
        (ana.get("/api/v1/users"), 403, "forbidden"),
        (ana.get("/nowhere"), 404, "unknown-route"),
    ];
    for (answer, status, code) in refused {
        let problem = answer.problem();
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    }
    assert_eq!(scene.state(), before);
}
