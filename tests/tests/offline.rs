//! Two phones of one agent, without a network and then with one.

use cartera_tests::{Company, Device, Person, Server};
use serde_json::{Value, json};

struct Scene {
    server: Server,
    ana: Person,
    deal: String,
    phones: [Device; 2],
}

impl Scene {
    fn set() -> Self {
        let server = Server::start();
        let company = Company::found(&server);
        let ana = server.person(Company::ANA);
        let deal = ana.create("opportunity", &company.deal("Grúas del puerto", &json!({})));
        let phones = [(); 2].map(|()| server.device(Company::ANA));
        for phone in &phones {
            assert_eq!(phone.run(&["sync"]).ok()["in_step"], true);
        }
        Self { server, ana, deal, phones }
    }

    fn set_on(&self, phone: usize, changes: &[&str]) -> Value {
        let arguments = [&["set", "opportunity", &self.deal], changes].concat();
        self.phones[phone].run(&arguments).ok()
    }

    fn fields_on(&self, phone: usize) -> Value {
        self.phones[phone].run(&["show", "opportunity", &self.deal]).ok()["fields"].clone()
    }
}

#[test]
fn edits_of_different_fields_on_two_phones_both_stand() {
    let scene = Scene::set();
    let [first, second] = &scene.phones;
    let _ = scene.set_on(0, &["next_step=Visita el lunes", "tags+=puerto"]);
    let _ = scene.set_on(1, &["amount=1234.56 EUR", "tags+=urgente"]);
    assert_eq!(scene.fields_on(0)["next_step"], "Visita el lunes", "seen at once, sent later");

    assert_eq!(first.run(&["sync"]).ok()["rejected"], 0);
    let second_sync = second.run(&["sync"]).ok();
    assert_eq!((&second_sync["rejected"], &second_sync["attention"]), (&json!(0), &json!(0)), "{second_sync}");
    assert_eq!(first.run(&["sync"]).ok()["in_step"], true);

    let on_server = scene.ana.get(&format!("/api/v1/opportunity/{}", scene.deal)).ok();
    for fields in [&scene.fields_on(0), &scene.fields_on(1), &on_server["fields"]] {
        assert_eq!(fields["next_step"], "Visita el lunes");
        assert_eq!(fields["amount"], json!({"minor": 123_456, "currency": "EUR"}));
        assert_eq!(fields["tags"], json!(["puerto", "urgente"]));
    }
    assert_eq!(scene.fields_on(0), scene.fields_on(1), "both phones hold the same record");
}

#[test]
fn of_two_edits_of_one_field_the_later_is_told_and_finds_its_value_in_the_history() {
    let scene = Scene::set();
    let [first, second] = &scene.phones;
    let _ = scene.set_on(0, &["next_step=Visita el lunes"]);
    let _ = scene.set_on(1, &["next_step=Llamar el martes"]);
    assert_eq!(first.run(&["sync"]).ok()["applied"], 1);
    let told = second.run(&["sync"]).ok();
    assert_eq!((&told["merged"], &told["attention"]), (&json!(1), &json!(1)), "{told}");

    let conflicts = second.run(&["conflicts"]).ok();
    let conflict = &conflicts["conflicts"][0];
    assert_eq!(conflict["id"], json!(scene.deal));
    assert_eq!(conflict["reason"]["code"], "conflict");
    assert_eq!(conflict["reason"]["fields"][0]["field"], "next_step");
    assert_eq!(conflict["lost"], json!({"next_step": "Llamar el martes"}));
    assert_eq!(conflict["server"]["next_step"], "Visita el lunes");
    assert_eq!(scene.fields_on(1)["next_step"], "Visita el lunes");

    let history = scene.ana.get(&format!("/api/v1/opportunity/{}/history", scene.deal)).ok();
    let entries = history["items"].as_array().expect("a page of entries");
    let lost = entries.iter().find(|entry| entry["kind"] == "lost").expect("what a merge did not take is kept");
    assert_eq!((&lost["field"], &lost["new"]), (&json!("next_step"), &json!("Llamar el martes")));
    assert_eq!(lost["old"], "Visita el lunes");
    assert_eq!(lost["who"], json!(scene.ana.user));

    let number = conflict["number"].to_string();
    assert_eq!(second.run(&["conflicts", "dismiss", &number]).ok()["count"], 0);
    assert_eq!(second.run(&["status"]).ok()["state"]["phase"], "in_step");
}

#[test]
fn a_loss_without_a_reason_is_refused_on_the_phone_and_when_forced_by_the_server() {
    let scene = Scene::set();
    let [phone, other] = &scene.phones;
    let lose = ["set", "opportunity", &scene.deal, "stage=lost"];
    for (language, word) in [("en", "Close reason"), ("es", "Motivo de cierre")] {
        let problem = phone.run_in(language, &lose).problem();
        assert_eq!((problem.code.as_str(), problem.fields.len()), ("invalid", 1), "{problem:?}");
        assert_eq!((problem.fields[0].field.as_str(), problem.fields[0].code.as_str()), ("close_reason", "required"));
        assert!(problem.fields[0].message.contains(word), "{problem:?}");
    }
    assert_eq!(phone.run(&["outbox"]).ok()["count"], 0, "what is refused is not queued");

    for (device, language, word) in [(phone, "en", "Close reason"), (other, "es", "Motivo de cierre")] {
        let _ = device.run(&[&lose[..], &["--unchecked"]].concat()).ok();
        let told = device.run_in(language, &["sync"]).ok();
        assert_eq!((&told["rejected"], &told["in_step"]), (&json!(1), &json!(true)), "{told}");
        let conflict = device.run(&["conflicts"]).ok()["conflicts"][0].clone();
        assert_eq!((&conflict["verdict"], &conflict["reason"]["code"]), (&json!("rejected"), &json!("invalid")));
        let field = &conflict["reason"]["fields"][0];
        assert_eq!((&field["field"], &field["code"]), (&json!("close_reason"), &json!("required")));
        assert!(field["message"].as_str().is_some_and(|message| message.contains(word)), "{conflict}");
    }
    assert_eq!(scene.fields_on(0)["stage"], "prospecting", "what was rejected does not stand on the phone");
    let on_server = scene.ana.get(&format!("/api/v1/opportunity/{}", scene.deal)).ok();
    assert_eq!(on_server["fields"]["stage"], "prospecting");

    let _ = scene.set_on(0, &["stage=lost", "close_reason=price"]);
    assert_eq!(phone.run(&["sync"]).ok()["applied"], 1, "with a reason it is lost");
}

#[test]
fn without_a_server_a_phone_reads_searches_adds_up_and_edits() {
    let mut scene = Scene::set();
    scene.server.kill();
    let phone = &scene.phones[0];
    let unreachable = phone.run(&["sync"]).problem();
    assert_eq!(unreachable.code, "unreachable", "{unreachable:?}");

    let _ = scene.set_on(0, &["amount=1500 EUR", "close_date=2031-05-01"]);
    let made = phone.run(&["new", "opportunity", "name=Muelle sur", "account=Astilleros Ría", "amount=500 EUR"]).ok();
    let made = made["id"].as_str().expect("a new record has its id at once");

    let found = phone.run(&["search", "astil"]).ok();
    assert_eq!(found["records"][0]["title"], "Astilleros Ría");
    assert_eq!(phone.run(&["search", "ASTILLEROS ria"]).ok()["count"], 1, "neither case nor accents matter");
    assert_eq!(phone.run(&["search", "muelle"]).ok()["records"][0]["id"], json!(made), "what is not sent yet too");

    let listed = phone.run(&["list", "opportunity", "--where", "stage.kind == 'open' && amount > 100000"]);
    let listed = phone_records(&listed.ok());
    assert_eq!(listed, [scene.deal.clone()]);
    let sum = phone.run(&["sum", "opportunity", "amount"]).ok();
    assert_eq!((&sum["records"], &sum["sums"]["EUR"]), (&json!(2), &json!(200_000)), "{sum}");

    let outbox = phone.run(&["outbox"]).ok();
    assert_eq!((&outbox["count"], &outbox["mutations"][0]["record"]), (&json!(2), &json!(scene.deal)));
    let status = phone.run(&["status"]).ok();
    assert_eq!((&status["state"]["phase"], &status["state"]["waiting"]), (&json!("waiting"), &json!(2)), "{status}");
    assert_eq!(status["records"]["opportunity"], 2);

    scene.server.restart();
    let phone = &scene.phones[0];
    let told = phone.run(&["sync"]).ok();
    assert_eq!((&told["applied"], &told["in_step"], &told["waiting"]), (&json!(2), &json!(true), &json!(0)), "{told}");
    let on_server = scene.ana.get(&format!("/api/v1/opportunity/{made}")).ok();
    assert_eq!(on_server["fields"]["amount"], json!({"minor": 50_000, "currency": "EUR"}));
}

fn phone_records(listed: &Value) -> Vec<String> {
    let records = listed["records"].as_array().expect("a list has records");
    records.iter().map(|record| record["id"].as_str().expect("a record has an id").to_owned()).collect()
}
