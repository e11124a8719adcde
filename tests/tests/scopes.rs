//! Who gets what: not what a screen shows, but what the exchange sends.

use cartera_tests::{ADMIN, Company, Person, Phone, Server};
use serde_json::json;
use sync_protocol::id::Sequence;
use sync_protocol::wire::{Operation, Outcome, Verdict};

/// A company with a deal of each seller and one that is nobody's.
struct Scene {
    server: Server,
    company: Company,
    ana: String,
    berta: String,
    oscar: String,
    sara: String,
    open: String,
}

impl Scene {
    fn set() -> Self {
        let server = Server::start();
        let company = Company::found(&server);
        let deal = |email, name| server.person(email).create("opportunity", &company.deal(name, &json!({})));
        let ana = deal(Company::ANA, "Grúa de Ana");
        let berta = deal(Company::BERTA, "Grúa de Berta");
        let oscar = deal(Company::OSCAR, "Grúa de Óscar");
        let sara = deal(Company::SARA, "Grúa de Sara");
        let open = deal(ADMIN, "Grúa de nadie");
        company.admin.set("opportunity", &open, &json!({"owner": null}));
        Self { server, company, ana, berta, oscar, sara, open }
    }
}

fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().cloned().collect();
    ids.sort();
    ids
}

/// The sequence of a record as the phone's last pull told it.
fn seq_of(operations: &[Operation], record: &str) -> Sequence {
    let told = operations.iter().rev().find_map(|operation| match operation {
        Operation::Put { id, seq, .. } if id.to_string() == record => Some(*seq),
        _ => None,
    });
    told.unwrap_or_else(|| panic!("{record} was not sent"))
}

/// A deal and its passages from stage to stage, which go where it goes, sorted.
fn with_passages(admin: &Person, deal: &str) -> Vec<String> {
    let page = admin.get("/api/v1/stage_history").ok();
    let passages = page["items"].as_array().expect("a list").iter();
    let hers = passages.filter(|passage| passage["fields"]["opportunity"] == deal);
    let ids = hers.map(|passage| passage["id"].as_str().expect("an id").to_owned());
    let mut ids: Vec<String> = ids.chain([deal.to_owned()]).collect();
    ids.sort();
    ids
}

fn push_one(phone: &mut Phone, record: &str, base: Sequence, fields: &serde_json::Value) -> Outcome {
    let mutation = phone.update("opportunity", record, base, fields);
    let mut outcomes = phone.push(&[mutation]);
    assert_eq!(outcomes.len(), 1, "one outcome for one mutation");
    outcomes.remove(0)
}

#[track_caller]
fn assert_rejected(outcome: &Outcome, code: &str) {
    assert_eq!(outcome.verdict, Verdict::Rejected, "{outcome:?}");
    assert_eq!(outcome.reason.as_ref().map(|reason| reason.code.as_str()), Some(code), "{outcome:?}");
}

#[test]
fn each_phone_gets_exactly_what_its_users_role_reaches() {
    let scene = Scene::set();
    let Scene { server, company, ana, berta, oscar, sara, open } = &scene;
    let money = |minor: i64| json!({"minor": minor, "currency": "EUR"});
    company.admin.set("opportunity", ana, &json!({"amount": money(900_000), "cost": money(771_301)}));
    let crane = company.admin.create("product", &json!({"name": "Grúa pórtico", "cost": money(771_302)}));
    let her_account = server.person(Company::ANA).create("account", &json!({"name": "Conservas Ana"}));
    let his_account = server.person(Company::OSCAR).create("account", &json!({"name": "Minas de Óscar"}));

    let agent = server.phone(Company::ANA).pull();
    assert_eq!(agent.put("opportunity"), sorted([ana, berta, open]));
    assert_eq!(agent.put("account"), sorted([&her_account, &company.open_account]));
    assert_eq!(agent.put("product"), std::slice::from_ref(&crane));
    assert!(!agent.put("stage_history").is_empty(), "what belongs to a deal comes with it");
    for hidden in ["\"cost\"", "\"margin\"", "771301", "771302", "128699"] {
        assert!(!agent.text.contains(hidden), "{hidden} is of a level that she does not see");
    }
    for foreign in [oscar, sara, &his_account, "Grúa de Óscar", "Grúa de Sara", "Minas de Óscar"] {
        assert!(!agent.text.contains(foreign), "{foreign} is no business of her team");
    }

    let manager = server.phone(Company::MARTA).pull();
    assert_eq!(manager.put("opportunity"), sorted([ana, berta, oscar, open]), "the territory's, the other team's too");
    assert_eq!(manager.put("account"), sorted([&her_account, &his_account, &company.open_account]));
    for shown in ["771301", "771302", "128699"] {
        assert!(manager.text.contains(shown), "cost, and the margin that follows from it, are hers to see");
    }
    assert!(!manager.text.contains(sara.as_str()), "the other territory is not hers");

    let administrator = server.phone(ADMIN).pull();
    assert_eq!(administrator.put("opportunity"), sorted([ana, berta, oscar, sara, open]));
    assert_eq!(administrator.put("user").len(), 6);
}

#[test]
fn the_records_api_shows_no_more_than_the_exchange() {
    let scene = Scene::set();
    let Scene { server, company, ana, berta, oscar, sara, open } = &scene;
    let money = |minor: i64| json!({"minor": minor, "currency": "EUR"});
    company.admin.set("opportunity", ana, &json!({"amount": money(900_000), "cost": money(771_301)}));
    let agent = server.person(Company::ANA);

    let hers = sorted([ana, berta, open]);
    assert_eq!(ids(&agent.get("/api/v1/opportunity").ok()), hers);
    assert_eq!(ids(&agent.get("/api/v1/search?q=gr%C3%BAa&entity=opportunity").ok()), hers);
    assert_eq!(agent.count("opportunity"), 3);
    for foreign in [oscar, sara] {
        for path in [format!("/api/v1/opportunity/{foreign}"), format!("/api/v1/opportunity/{foreign}/history")] {
            assert_eq!(agent.get(&path).problem().code, "not-found", "{path}");
        }
    }

    let record = format!("/api/v1/opportunity/{ana}");
    for path in ["/api/v1/opportunity", &record, &format!("{record}/history"), "/api/v1/search?q=ana", "/api/v1/model"]
    {
        let told = agent.get(path);
        let _ = told.ok();
        for hidden in ["\"cost\"", "\"margin\"", "771301", "128699"] {
            assert!(!told.body.contains(hidden), "{path} tells {hidden}");
        }
    }
    // Nor does asking by a hidden field tell what it holds.
    for (query, code) in [
        ("?where=cost%20%3E%20771300", "invalid-expression"),
        ("?sort=cost", "unknown-field"),
        ("?fields=name,cost", "unknown-field"),
        ("/summary?sum=cost", "unknown-field"),
        ("/summary?by=margin", "unknown-field"),
    ] {
        assert_eq!(agent.get(&format!("/api/v1/opportunity{query}")).problem().code, code, "{query}");
    }
}

fn ids(page: &serde_json::Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("a page has items: {page}"));
    let mut ids: Vec<String> =
        items.iter().map(|item| item["id"].as_str().expect("a record has an id").to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn each_changes_only_what_her_role_lets_her_change() {
    let scene = Scene::set();
    let Scene { server, company, ana, berta, oscar, sara, .. } = &scene;
    let next = json!({"next_step": "Llamar"});

    let mut phone = server.phone(Company::ANA);
    let known = phone.pull();
    let (own, colleagues) = (seq_of(&known.operations, ana), seq_of(&known.operations, berta));
    assert_eq!(push_one(&mut phone, ana, own, &next).verdict, Verdict::Applied);
    assert_rejected(&push_one(&mut phone, berta, colleagues, &next), "forbidden");
    // What she does not see is, for her, not there.
    assert_rejected(&push_one(&mut phone, oscar, 0, &next), "not-found");
    assert_rejected(&push_one(&mut phone, sara, 0, &next), "not-found");
    let hidden = push_one(&mut phone, ana, own, &json!({"cost": {"minor": 1, "currency": "EUR"}}));
    assert_rejected(&hidden, "invalid");
    assert_eq!(hidden.reason.expect("a reason").fields[0].code, "unknown-field");

    let mut phone = server.phone(Company::MARTA);
    let known = phone.pull();
    let (teams, others) = (seq_of(&known.operations, berta), seq_of(&known.operations, oscar));
    assert_eq!(push_one(&mut phone, berta, teams, &next).verdict, Verdict::Applied);
    assert_rejected(&push_one(&mut phone, oscar, others, &next), "forbidden");

    let record = |id: &str| company.admin.get(&format!("/api/v1/opportunity/{id}")).ok();
    assert_eq!(record(ana)["fields"]["next_step"], "Llamar");
    assert_eq!(record(berta)["fields"]["next_step"], "Llamar");
    for untouched in [oscar, sara] {
        assert!(record(untouched)["fields"].get("next_step").is_none(), "{untouched} was not hers to change");
    }
    assert!(record(ana)["fields"].get("cost").is_none());
}

#[test]
fn a_record_that_goes_to_another_team_leaves_the_one_and_reaches_the_other() {
    let scene = Scene::set();
    let Scene { server, company, ana, .. } = &scene;
    let mut phones = [Company::ANA, Company::BERTA, Company::MARTA, Company::OSCAR, Company::SARA, ADMIN]
        .map(|email| server.phone(email));
    for phone in &mut phones {
        let _ = phone.pull();
    }
    let reassign = |email| {
        let to = server.person(email).user;
        company.admin.set("opportunity", ana, &json!({"owner": to}));
        company.admin.wait_for_children();
    };
    let hers = with_passages(&company.admin, ana);

    reassign(Company::OSCAR);
    let [seller, colleague, manager, oscar, sara, admin] = phones.each_mut().map(Phone::pull);
    for left in [&seller, &colleague] {
        assert_eq!(left.exits(), hers);
        assert!(left.put("opportunity").is_empty(), "who loses it is not told what it became");
        assert!(!left.text.contains(&company.oviedo), "nor where it went");
    }
    assert_eq!(oscar.put("opportunity"), std::slice::from_ref(ana));
    assert!(oscar.text.contains("Grúa de Ana"), "a record that arrives is whole");
    for kept in [&manager, &admin] {
        assert_eq!((kept.put("opportunity"), kept.exits()), (vec![ana.clone()], vec![]), "still within her reach");
    }
    assert!(!sara.text.contains(ana.as_str()), "it was never hers and is not now");

    reassign(Company::SARA);
    let [seller, colleague, manager, oscar, sara, admin] = phones.each_mut().map(Phone::pull);
    for left in [&manager, &oscar] {
        assert_eq!((left.exits(), left.put("opportunity")), (hers.clone(), vec![]));
    }
    assert_eq!(sara.put("opportunity"), std::slice::from_ref(ana));
    assert_eq!(admin.put("opportunity"), std::slice::from_ref(ana));
    for gone in [&seller, &colleague] {
        assert!(!gone.text.contains(ana.as_str()), "what is gone already is not told again");
    }
}

#[test]
fn a_record_that_left_came_back_and_left_again_between_two_pulls_is_told_as_gone() {
    let scene = Scene::set();
    let Scene { server, company, ana, berta, .. } = &scene;
    let [mut seller, mut manager] = [Company::ANA, Company::MARTA].map(|email| server.phone(email));
    for phone in [&mut seller, &mut manager] {
        let _ = phone.pull();
    }
    let give = |record: &str, to: &str| {
        let owner = server.person(to).user;
        company.admin.set("opportunity", record, &json!({"owner": owner}));
        company.admin.wait_for_children();
    };
    let hers = with_passages(&company.admin, ana);
    let made_meanwhile = server.person(Company::ANA).create("opportunity", &company.deal("Grúa fugaz", &json!({})));
    // Of what was made and taken meanwhile no more is told than that it is gone: an earlier page may have brought it.
    let mut gone = [hers, with_passages(&company.admin, &made_meanwhile)].concat();
    gone.sort_unstable();
    for record in [ana, &made_meanwhile] {
        for owner in [Company::SARA, Company::ANA, Company::SARA] {
            give(record, owner);
        }
    }
    // This one came back and stays.
    for owner in [Company::SARA, Company::BERTA] {
        give(berta, owner);
    }

    for (phone, whose) in [(&mut seller, "the team's"), (&mut manager, "the territory's")] {
        let told = phone.pull();
        assert_eq!(told.exits(), gone, "{whose}: the phone had it and may not keep it");
        assert_eq!(told.put("opportunity"), std::slice::from_ref(berta), "{whose}");
        assert!(!told.text.contains("Grúa de Ana"), "{whose}: who loses a record is not told what it became");
        assert!(!told.text.contains("Grúa fugaz"), "{whose}: nor what was made and taken meanwhile was");
        assert!(told.text.contains("Grúa de Berta"), "{whose}: a record that comes back is whole");
        assert!(phone.pull().operations.is_empty(), "{whose}: everything was told once");
    }
}
