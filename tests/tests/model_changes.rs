//! The model changes while its phones are in the field.

use cartera_tests::{Company, Device, Message, Person, Phone, Server};
use serde_json::{Value, json};

const BEFORE: &str = "
entity: opportunity
fields:
  berth: {type: text, labels: {es: Atraque, en: Berth}}
  colour: {type: text, labels: {es: Color, en: Colour}}
  cover: {type: enum, options: {tin: {es: Chapa, en: Tin}, none: {es: Ninguna, en: None}}, labels: {es: Cubierta, en: Cover}}
";

const AFTER: &str = "
entity: opportunity
removed: [colour]
fields:
  quay: {type: text, max: 6, was: [berth], labels: {es: Muelle, en: Quay}}
  cover: {type: enum, options: {steel: {es: Acero, en: Steel}, none: {es: Ninguna, en: None}}, was_options: {tin: steel}, labels: {es: Cubierta, en: Cover}}
";

fn lay(admin: &Person, name: &str, yaml: &str) {
    let _ = admin.post("/api/v1/model/layers", &json!({"name": name, "yaml": yaml})).ok();
}

/// A deal of Ana's in a harbour, on a phone of hers that was in step.
struct Scene {
    _server: Server,
    company: Company,
    ana: Person,
    deal: String,
    phone: Device,
}

impl Scene {
    fn set() -> Self {
        let server = Server::start();
        let company = Company::found(&server);
        lay(&company.admin, "harbour", BEFORE);
        let ana = server.person(Company::ANA);
        let harbour = json!({"berth": "M-1", "colour": "azul", "cover": "tin"});
        let deal = ana.create("opportunity", &company.deal("Grúas del puerto", &harbour));
        let phone = server.device(Company::ANA);
        assert_eq!(phone.run(&["sync"]).ok()["in_step"], true);
        Self { _server: server, company, ana, deal, phone }
    }

    fn set_on_phone(&self, changes: &[&str]) {
        let _ = self.phone.run(&[&["set", "opportunity", &self.deal], changes].concat()).ok();
    }

    fn upgrade(&self) {
        lay(&self.company.admin, "harbour", AFTER);
    }

    fn sync(&self) -> Value {
        self.phone.run(&["sync"]).ok()
    }

    fn on_phone(&self) -> Value {
        self.phone.run(&["show", "opportunity", &self.deal]).ok()["fields"].clone()
    }

    fn on_server(&self) -> Value {
        self.ana.get(&format!("/api/v1/opportunity/{}", self.deal)).ok()["fields"].clone()
    }

    fn conflict(&self) -> Value {
        self.phone.run(&["conflicts"]).ok()["conflicts"][0].clone()
    }
}

#[test]
fn what_a_phone_holds_is_called_by_its_new_name_and_nothing_is_fetched_for_it() {
    let scene = Scene::set();
    scene.upgrade();
    let synced = scene.sync();
    assert_eq!((&synced["in_step"], &synced["received"]), (&json!(true), &json!(0)), "{synced}");
    let fields = scene.on_phone();
    assert_eq!((&fields["quay"], &fields["cover"]), (&json!("M-1"), &json!("steel")), "{fields}");
    assert!(fields.get("berth").is_none() && fields.get("colour").is_none(), "{fields}");
    assert_eq!(fields, scene.on_server());
}

#[test]
fn an_edit_made_offline_of_a_field_that_was_renamed_meanwhile_is_an_edit_of_the_new_one() {
    let scene = Scene::set();
    scene.set_on_phone(&["berth=M-7", "cover=tin"]);
    scene.upgrade();
    let synced = scene.sync();
    assert_eq!(
        (&synced["in_step"], &synced["applied"], &synced["attention"]),
        (&json!(true), &json!(1), &json!(0)),
        "{synced}"
    );
    assert_eq!((&scene.on_server()["quay"], &scene.on_server()["cover"]), (&json!("M-7"), &json!("steel")));
    assert_eq!(scene.on_phone(), scene.on_server());
}

#[test]
fn of_two_edits_of_a_renamed_field_the_later_is_told_by_the_new_name() {
    let scene = Scene::set();
    scene.set_on_phone(&["berth=M-7"]);
    scene.company.admin.set("opportunity", &scene.deal, &json!({"berth": null}));
    scene.upgrade();
    assert_eq!(scene.sync()["merged"], 1);
    assert_eq!(scene.conflict()["lost"], json!({"quay": "M-7"}));
    assert!(scene.on_phone().get("quay").is_none(), "the server's empty value stands");
    assert_eq!(scene.on_phone(), scene.on_server());
}

#[test]
fn an_edit_of_a_field_that_was_removed_meanwhile_is_told_and_kept_and_the_rest_of_it_is_done() {
    let scene = Scene::set();
    scene.set_on_phone(&["colour=rojo", "next_step=Llamar"]);
    scene.upgrade();
    let synced = scene.sync();
    assert_eq!((&synced["in_step"], &synced["merged"]), (&json!(true), &json!(1)), "{synced}");
    let conflict = scene.conflict();
    assert_eq!(conflict["reason"]["code"], "field-removed");
    assert_eq!(conflict["reason"]["fields"][0]["field"], "colour");
    assert_eq!(conflict["lost"], json!({"colour": "rojo"}), "her words are on the phone until she has dealt with them");
    assert_eq!(scene.on_server()["next_step"], "Llamar");
    assert_eq!(scene.on_phone(), scene.on_server());
    let history = scene.ana.get(&format!("/api/v1/opportunity/{}/history", scene.deal)).ok();
    let entries = history["items"].as_array().expect("entries").clone();
    assert!(entries.iter().any(|entry| entry["kind"] == "lost" && entry["new"] == "rojo"), "{history}");
}

#[test]
fn an_edit_that_the_new_model_is_too_narrow_for_is_refused_with_what_to_do_and_can_be_amended() {
    let scene = Scene::set();
    scene.set_on_phone(&["berth=Muelle norte 12"]);
    scene.upgrade();
    let synced = scene.phone.run_in("es", &["sync"]).ok();
    assert_eq!((&synced["rejected"], &synced["attention"]), (&json!(1), &json!(1)), "{synced}");
    let conflict = scene.conflict();
    let problem = &conflict["reason"]["fields"][0];
    assert_eq!((&problem["field"], &problem["code"]), (&json!("quay"), &json!("too-long")));
    assert_eq!(problem["message"], "«Muelle» es demasiado largo: déjalo en 6 caracteres como mucho.");
    assert_eq!(conflict["mutation"]["set"]["quay"], "Muelle norte 12", "her words, where she can amend them");

    scene.set_on_phone(&["quay=N-12"]);
    let again = scene.sync();
    assert_eq!((&again["applied"], &again["in_step"]), (&json!(1), &json!(true)), "{again}");
    assert_eq!(scene.on_server()["quay"], "N-12");
}

/// An own role of the tenant's whose eyes an overlay can open.
fn auditor(levels: &str) -> String {
    format!(
        "
entity: opportunity
fields:
  verdict: {{type: text, level: 1, labels: {{es: Dictamen, en: Verdict}}}}
permissions:
  auditor: {{read: all, levels: [{levels}]}}
---
entity: account
permissions:
  auditor: {{read: all, levels: [0, 1]}}
"
    )
}

/// Exchanges as a device does that holds the model in force, a small page at a time; its pages' text.
fn pull(phone: &mut Phone, model: &mut Option<String>) -> Vec<String> {
    let mut pages = Vec::new();
    loop {
        let body = json!({"protocol": 1, "model": model, "cursor": phone.cursor, "limit_bytes": 4_000});
        let answer = phone.send(&Message::json(body.to_string())).expect("an answer").ok();
        phone.cursor = answer["cursor"].as_str().map(str::to_owned);
        let told = answer["model"].as_str().map(str::to_owned);
        if model.is_some() && *model != told {
            assert_eq!(answer["operations"], json!([]), "nothing is told in words that the device does not know");
        }
        *model = told;
        pages.push(answer["operations"].to_string());
        if answer["more"] == false {
            return pages;
        }
    }
}

#[test]
fn of_a_field_that_her_role_comes_to_see_a_device_fetches_that_field_alone() {
    const DEALS: usize = 120;
    let server = Server::start();
    let company = Company::found(&server);
    lay(&company.admin, "audit", &auditor("0"));
    let roles = company.admin.get("/api/v1/role").ok();
    let role = roles["items"].as_array().expect("roles").iter().find(|role| role["fields"]["key"] == "auditor");
    let role = role.expect("the overlay's role")["id"].clone();
    let sara = server.phone(Company::SARA).user;
    company.admin.set("user", &sara, &json!({"role": role}));
    for number in 0..DEALS {
        let verdict = (number % 2 == 0).then(|| format!("Conforme {number}"));
        let name = format!("Grúa número {number} para la ampliación del muelle de levante");
        let _ = company.admin.create(
            "opportunity",
            &company.deal(&name, &json!({"verdict": verdict, "next_step": "Esperar al dictamen"})),
        );
    }
    let mut phone = server.phone(Company::SARA);
    let mut model = None;
    let first: usize = pull(&mut phone, &mut model).iter().map(String::len).sum();
    let device = server.device(Company::SARA);
    assert_eq!(device.run(&["sync"]).ok()["in_step"], true);

    lay(&company.admin, "audit", &auditor("0, 1"));
    let pages = pull(&mut phone, &mut model);
    assert!(pages.len() > 3, "resumed page by page: {}", pages.len());
    let operations: Vec<Value> =
        pages.iter().flat_map(|page| serde_json::from_str::<Vec<Value>>(page).expect("operations")).collect();
    assert_eq!(operations.len(), DEALS / 2, "those that have a verdict, each once");
    for operation in &operations {
        assert_eq!((&operation["op"], &operation["partial"]), (&json!("put"), &json!(true)), "{operation}");
        let set: Vec<&String> = operation["set"].as_object().expect("fields").keys().collect();
        assert_eq!(set, ["verdict"], "{operation}");
    }
    let gained: usize = pages.iter().map(String::len).sum();
    assert!(gained * 4 < first, "{gained} bytes for one field, where all of it took {first}");

    let synced = device.run(&["sync"]).ok();
    assert_eq!((&synced["in_step"], &synced["received"]), (&json!(true), &json!(DEALS / 2)), "{synced}");
    assert!(device_shows(&device, &operations[0]));

    lay(&company.admin, "audit", &auditor("0"));
    let synced = device.run(&["sync"]).ok();
    assert_eq!((&synced["in_step"], &synced["received"]), (&json!(true), &json!(0)), "{synced}");
    assert!(!device_shows(&device, &operations[0]), "what she lost sight of is gone from her device");
}

fn device_shows(device: &Device, operation: &Value) -> bool {
    let id = operation["id"].as_str().expect("an id");
    device.run(&["show", "opportunity", id]).ok()["fields"].get("verdict").is_some()
}

#[test]
fn a_device_that_is_too_old_to_be_told_anything_still_hands_in_its_work() {
    let server = Server::start();
    let company = Company::found(&server);
    let ana = server.person(Company::ANA);
    let deal = ana.create("opportunity", &company.deal("Grúas del puerto", &json!({})));
    let mut phone = server.phone(Company::ANA);
    let base = ana.get(&format!("/api/v1/opportunity/{deal}")).ok()["seq"].as_u64().expect("a sequence");
    let mutation = phone.update("opportunity", &deal, base, &json!({"next_step": "Llamar"}));
    let body = json!({"protocol": 0, "mutations": [mutation]});
    for _ in 0..2 {
        let answer = phone.send(&Message::json(body.to_string())).expect("an answer").ok();
        assert_eq!(answer["outcomes"][0]["verdict"], "applied", "{answer}");
        assert_eq!(answer["orders"], json!([{"order": "update", "protocol": 1}]));
        assert_eq!((&answer["operations"], &answer["more"]), (&json!([]), &json!(true)));
    }
    let shown = company.admin.get(&format!("/api/v1/opportunity/{deal}")).ok();
    assert_eq!(shown["fields"]["next_step"], "Llamar");
}
