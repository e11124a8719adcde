//! Records that are shared: who gets them, who may do what with them, and when they go again.

use cartera_tests::{ADMIN, Company, Person, Phone, Pulled, Server};
use serde_json::{Value, json};
use sync_protocol::id::Sequence;
use sync_protocol::wire::{FieldOperation, Mutation, Operation, Verdict};

/// Sara of Sevilla's account and her deal; the others see nothing of them.
struct Scene {
    server: Server,
    company: Company,
    sara: Person,
    account: String,
    deal: String,
}

impl Scene {
    fn set() -> Self {
        let server = Server::start();
        let company = Company::found(&server);
        let sara = server.person(Company::SARA);
        let account = sara.create("account", &json!({"name": "Conservas Sara"}));
        let deal = sara.create("opportunity", &company.deal("Grúa de Sara", &json!({"account": account})));
        Self { server, company, sara, account, deal }
    }

    fn user(&self, email: &str) -> String {
        self.server.person(email).user
    }

    fn phone(&self, email: &str) -> Phone {
        let mut phone = self.server.phone(email);
        let _ = phone.pull();
        phone
    }
}

fn ops(mut mutation: Mutation, ops: Vec<FieldOperation>) -> Mutation {
    mutation.ops = ops;
    mutation
}

fn add(field: &str, id: &str) -> FieldOperation {
    FieldOperation::Add { field: field.into(), values: vec![json!(id)] }
}

fn remove(field: &str, id: &str) -> FieldOperation {
    FieldOperation::Remove { field: field.into(), values: vec![json!(id)] }
}

/// The records that left the phone: by an exit, or with a scope that it no longer holds.
fn is_gone(pulled: &Pulled, id: &str) -> bool {
    pulled.exits().iter().any(|exit| exit == id)
}

/// The sequence of a record as a pull told it: what a device knows of it.
#[track_caller]
fn seq_of(pulled: &Pulled, record: &str) -> Sequence {
    let told = pulled.operations.iter().rev().find_map(|operation| match operation {
        Operation::Put { id, seq, .. } if id.to_string() == record => Some(*seq),
        _ => None,
    });
    told.unwrap_or_else(|| panic!("{record} is not in {}", pulled.text))
}

#[test]
fn a_share_brings_a_record_to_a_user_or_a_team_and_its_end_takes_it_away() {
    let scene = Scene::set();
    let (account, bilbao) = (&scene.account, &scene.company.bilbao);
    let mut phones = [Company::ANA, Company::BERTA, Company::OSCAR, ADMIN].map(|email| scene.phone(email));
    let mut saras = scene.server.phone(Company::SARA);
    let base = saras.pull().head;

    let share =
        ops(saras.update("account", account, base, &json!({})), vec![add("shared_with", &scene.user(Company::OSCAR))]);
    assert_eq!(saras.push(&[share])[0].verdict, Verdict::Applied);
    let [ana, berta, oscar, admin] = phones.each_mut().map(Phone::pull);
    assert_eq!(oscar.put("account"), std::slice::from_ref(account), "whole, as his role sees it");
    assert!(oscar.text.contains("Conservas Sara"));
    for others in [&ana, &berta] {
        assert!(!others.text.contains(account.as_str()), "it was not shared with them");
    }
    assert!(admin.put("account").contains(account), "who sees all is told of the change");
    let oscars = scene.server.person(Company::OSCAR);
    assert_eq!(oscars.get(&format!("/api/v1/account/{account}")).ok()["fields"]["name"], "Conservas Sara");
    assert_eq!(oscars.get("/api/v1/search?q=conservas").ok()["items"][0]["id"], json!(account));
    let history = oscars.get(&format!("/api/v1/account/{account}/history")).ok();
    assert_eq!(
        (&history["items"][0]["field"], &history["items"][0]["who"]),
        (&json!("shared_with"), &json!(scene.sara.user))
    );

    let widen = ops(saras.update("account", account, base, &json!({})), vec![add("shared_with_teams", bilbao)]);
    assert_eq!(saras.push(&[widen])[0].verdict, Verdict::Applied);
    let [ana, berta, oscar, _] = phones.each_mut().map(Phone::pull);
    for members in [&ana, &berta] {
        assert_eq!(members.put("account"), std::slice::from_ref(account));
    }
    assert!(!oscar.text.contains("Conservas"), "he has it already: {}", oscar.text);

    let end = ops(saras.update("account", account, base, &json!({})), vec![remove("shared_with_teams", bilbao)]);
    assert_eq!(saras.push(&[end])[0].verdict, Verdict::Applied);
    let [ana, berta, oscar, _] = phones.each_mut().map(Phone::pull);
    assert!(is_gone(&ana, account) && is_gone(&berta, account), "{} {}", ana.text, berta.text);
    assert!(!is_gone(&oscar, account), "another scope holds it for him");
    assert_eq!(
        scene.server.person(Company::ANA).get(&format!("/api/v1/account/{account}")).problem().code,
        "not-found"
    );
}

#[test]
fn a_record_that_another_scope_holds_stays_when_its_share_ends() {
    let scene = Scene::set();
    let ana = scene.user(Company::ANA);
    let hers = scene.server.person(Company::ANA).create("account", &json!({"name": "Conservas Ana"}));
    scene.company.admin.set(
        "account",
        &hers,
        &json!({"shared_with": [ana], "shared_with_teams": [scene.company.bilbao]}),
    );
    let mut phone = scene.phone(Company::ANA);
    scene.company.admin.set("account", &hers, &json!({"shared_with": null, "shared_with_teams": null}));
    let pulled = phone.pull();
    assert!(!is_gone(&pulled, &hers), "{}", pulled.text);
    let told = pulled.operations.iter().find_map(|operation| match operation {
        Operation::Put { id, scopes, .. } if id.to_string() == hers => Some(scopes.len()),
        _ => None,
    });
    assert_eq!(told, Some(2), "her own and her team's: {}", pulled.text);
}

#[test]
fn who_has_only_a_share_changes_nothing() {
    let scene = Scene::set();
    let oscar = scene.user(Company::OSCAR);
    scene.sara.set("account", &scene.account, &json!({"shared_with": [oscar]}));
    let mut phone = scene.server.phone(Company::OSCAR);
    let head = phone.pull().head;
    let edit = phone.update("account", &scene.account, head, &json!({"notes": "mío"}));
    let take = phone.update("account", &scene.account, head, &json!({"owner": oscar}));
    let delete = phone.delete("account", &scene.account, head);
    for outcome in phone.push(&[edit, take, delete]) {
        assert_eq!(outcome.verdict, Verdict::Rejected);
        let reason = outcome.reason.expect("a reason");
        assert_eq!(reason.code, "forbidden");
        assert!(reason.message.contains("Ask its owner"), "{}", reason.message);
    }
    let record = scene.sara.get(&format!("/api/v1/account/{}", scene.account)).ok();
    assert_eq!((&record["fields"]["owner"], record["fields"].get("notes")), (&json!(scene.sara.user), None));
    // Nor does he give it to others.
    let device = scene.server.device(Company::OSCAR);
    let _ = device.run(&["sync"]).ok();
    let problem = device.run(&["set", "account", &scene.account, "shared_with+=Berta Sanz"]).problem();
    assert_eq!(problem.code, "forbidden", "{problem:?}");
}

#[test]
fn a_device_shares_without_a_network_and_two_shares_of_one_record_both_stand() {
    let scene = Scene::set();
    let phones = [(); 2].map(|()| scene.server.device(Company::SARA));
    for phone in &phones {
        let _ = phone.run(&["sync"]).ok();
    }
    let set = |phone: usize, change: &str| phones[phone].run(&["set", "account", &scene.account, change]).ok();
    let _ = set(0, "shared_with+=Ana Ruiz");
    let _ = set(1, "shared_with+=Óscar Prieto");
    let _ = set(1, "shared_with_teams+=Oviedo");
    for phone in &phones {
        let told = phone.run(&["sync"]).ok();
        assert_eq!((&told["rejected"], &told["attention"]), (&json!(0), &json!(0)), "{told}");
    }
    let fields = scene.sara.get(&format!("/api/v1/account/{}", scene.account)).ok()["fields"].clone();
    let mut shared = fields["shared_with"].as_array().expect("a list").clone();
    shared.sort_by_key(Value::to_string);
    let mut wanted = [Company::ANA, Company::OSCAR].map(|email| json!(scene.user(email)));
    wanted.sort_by_key(Value::to_string);
    assert_eq!((shared.as_slice(), &fields["shared_with_teams"]), (&wanted[..], &json!([scene.company.oviedo])));
    let _ = set(0, "shared_with-=Ana Ruiz");
    assert_eq!(phones[0].run(&["sync"]).ok()["rejected"], 0);
    let fields = scene.sara.get(&format!("/api/v1/account/{}", scene.account)).ok()["fields"].clone();
    assert_eq!(fields["shared_with"], json!([scene.user(Company::OSCAR)]));
}

#[test]
fn a_record_is_shared_with_who_works_here_and_only_so() {
    let scene = Scene::set();
    let berta = scene.user(Company::BERTA);
    scene.company.admin.set("user", &berta, &json!({"active": false}));
    let path = format!("/api/v1/account/{}", scene.account);
    let problem = scene.sara.patch(&path, &json!({"set": {"shared_with": [berta]}})).problem();
    assert_eq!((problem.code.as_str(), problem.fields[0].code.as_str()), ("invalid", "inactive"), "{problem:?}");
    let problem = scene.sara.patch(&path, &json!({"set": {"shared_with": [scene.account]}})).problem();
    assert_eq!(problem.fields[0].code, "not-found", "{problem:?}");
    // Who was named while she was active does not stand in the way of others.
    scene.company.admin.set("user", &berta, &json!({"active": true}));
    scene.sara.set("account", &scene.account, &json!({"shared_with": [berta]}));
    scene.company.admin.set("user", &berta, &json!({"active": false}));
    scene.sara.set("account", &scene.account, &json!({"shared_with": [berta, scene.user(Company::ANA)]}));
}

#[test]
fn a_change_of_ones_own_may_cost_one_the_record() {
    let scene = Scene::set();
    let mut phone = scene.server.phone(Company::SARA);
    let known = phone.pull();
    let give = phone.update(
        "opportunity",
        &scene.deal,
        seq_of(&known, &scene.deal),
        &json!({"owner": scene.user(Company::OSCAR)}),
    );
    assert_eq!(phone.push(&[give])[0].verdict, Verdict::Applied);
    assert!(is_gone(&phone.pull(), &scene.deal));
    // With a share in the same change it stays, to be read.
    let give = phone.update(
        "account",
        &scene.account,
        seq_of(&known, &scene.account),
        &json!({"owner": scene.user(Company::OSCAR), "shared_with": [scene.sara.user]}),
    );
    assert_eq!(phone.push(&[give])[0].verdict, Verdict::Applied);
    let pulled = phone.pull();
    assert!(!is_gone(&pulled, &scene.account), "{}", pulled.text);
    let edit = phone.update("account", &scene.account, pulled.head, &json!({"notes": "¿?"}));
    assert_eq!(phone.push(&[edit])[0].reason.as_ref().expect("a reason").code, "forbidden");
}

#[test]
fn what_is_made_below_a_shared_record_is_shared_too() {
    let scene = Scene::set();
    scene.sara.set("account", &scene.account, &json!({"shared_with": [scene.user(Company::OSCAR)]}));
    let made = scene.sara.create("contact", &json!({"last_name": "Nuevo", "account": scene.account}));
    let pulled = scene.server.phone(Company::OSCAR).pull();
    assert!(pulled.put("contact").contains(&made), "{}", pulled.text);
}

#[test]
fn a_partner_sees_what_is_shared_with_her_and_nothing_else() {
    let scene = Scene::set();
    let admin = &scene.company.admin;
    let yaml = "
entity: account
permissions:
  partner: {read: shared, fields: [name, phones]}
---
entity: user
permissions:
  partner: {read: none}
";
    let _ = admin.post("/api/v1/model/layers", &json!({"name": "partners", "yaml": yaml})).ok();
    let person = json!({"email": "pia@socios.example", "name": "Pía Socia", "role": "partner", "password": cartera_tests::PASSWORD});
    let pia = admin.post("/api/v1/users", &person).ok()["user"].as_str().expect("an id").to_owned();
    let mut phone = scene.server.phone("pia@socios.example");
    let pulled = phone.pull();
    assert!(pulled.put("account").is_empty(), "not even what is nobody's: {}", pulled.text);
    scene.sara.set("account", &scene.account, &json!({"shared_with": [pia]}));
    let pulled = phone.pull();
    assert_eq!(pulled.put("account"), std::slice::from_ref(&scene.account));
    assert!(!pulled.text.contains("shared_with") && !pulled.text.contains(&scene.sara.user), "{}", pulled.text);
    let person = scene.server.person("pia@socios.example");
    assert_eq!(person.count("account"), 1);
    scene.sara.set("account", &scene.account, &json!({"shared_with": null}));
    assert!(is_gone(&phone.pull(), &scene.account));
    assert_eq!(person.count("account"), 0);
}
