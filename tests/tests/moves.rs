//! Records that move little by little: children after their parent, and many at once because somebody asked.

use cartera_tests::{Company, Device, Phone, Server, wait_until};
use serde_json::{Value, json};
use sync_protocol::wire::Verdict;

/// Slow enough to be met on its way, and in many batches.
const SLOWLY: [&str; 2] = ["moves.records_per_second=200", "moves.batch_records=50"];
const CHILDREN: usize = 2_000;

/// Contacts of an account, made on a phone: so many at once.
fn make_contacts(phone: &mut Phone, account: &str, count: usize) {
    let made: Vec<_> = (0..count)
        .map(|n| phone.create("contact", &json!({"last_name": format!("Persona {n}"), "account": account})))
        .collect();
    for push in made.chunks(500) {
        let outcomes = phone.push(push);
        assert!(outcomes.iter().all(|outcome| outcome.verdict == Verdict::Applied), "{:?}", outcomes.first());
    }
}

#[track_caller]
fn holds(device: &Device, entity: &str) -> Value {
    let told = device.run(&["sync"]).ok();
    assert_eq!((&told["in_step"], &told["attention"]), (&json!(true), &json!(0)), "{told}");
    device.run(&["status"]).ok()["records"][entity].clone()
}

#[test]
fn two_thousand_children_follow_while_people_write_and_a_killed_server_goes_on() {
    let mut server = Server::start_with(&SLOWLY);
    let company = Company::found(&server);
    let ana = server.person(Company::ANA);
    let account = ana.create("account", &json!({"name": "Conservas Ana"}));
    make_contacts(&mut server.phone(Company::ANA), &account, CHILDREN);
    make_contacts(&mut server.phone(Company::BERTA), &account, 3);
    let devices = [Company::ANA, Company::BERTA, Company::SARA].map(|email| server.device(email));
    let before = devices.each_ref().map(|device| holds(device, "contact"));
    assert_eq!(before, [json!(CHILDREN + 3), json!(CHILDREN + 3), Value::Null]);

    let sara = server.person(Company::SARA).user;
    company.admin.set("account", &account, &json!({"owner": sara}));
    let mut written_meanwhile = 0;
    while company.admin.following() > 1_000 {
        // One commit moves a batch; whoever writes waits for no more than that.
        ana.set("account", &company.open_account, &json!({"notes": format!("nota {written_meanwhile}")}));
        written_meanwhile += 1;
        let _ = devices.each_ref().map(|device| holds(device, "contact"));
    }
    assert!(written_meanwhile > 0, "people write while records move");
    server.kill();
    server.restart();
    let left = company.admin.following();
    assert!(left > 0 && left <= 1_003, "it goes on where it was: {left}");
    company.admin.wait_for_children();

    let after = devices.each_ref().map(|device| holds(device, "contact"));
    assert_eq!(after, [Value::Null, json!(3), json!(CHILDREN + 3)], "Berta keeps what she made and goes on seeing it");
    let made_by_ana = company.admin.get("/api/v1/contact?limit=1&where=name%20%3D%3D%20'Persona%201999'").ok();
    let fields = &made_by_ana["items"][0]["fields"];
    assert_eq!(
        (&fields["owner"], &fields["team"], &fields["territory"]),
        (&json!(sara), &json!(company.sevilla), &json!(company.sur))
    );
    server.kill();
    let database = rusqlite::Connection::open(server.data().join("cartera.db")).expect("the database opens");
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    let twice =
        "SELECT count(*) FROM (SELECT 1 FROM history JOIN record r ON r.id = record JOIN entity e ON e.code = r.entity
                 WHERE e.name = 'contact' AND field = 'team' GROUP BY record HAVING count(*) <> 1)";
    assert_eq!(count(twice), 0, "each child moved once");
    let admin = company.admin.user.replace('-', "");
    let asked = format!("SELECT count(*) FROM history WHERE field = 'team' AND lower(hex(who)) = '{admin}'");
    assert_eq!(count(&asked), i64::try_from(CHILDREN).expect("few") + 4, "history says who moved the parent");
}

#[test]
fn a_share_and_its_end_go_down_to_the_children_of_children() {
    let server = Server::start();
    let company = Company::found(&server);
    let yaml = "
entity: machine
labels: {es: [Máquina, Máquinas], en: [Machine, Machines]}
title: serial
parent: account
fields:
  serial: {type: text, labels: {es: Serie, en: Serial}}
  account: {type: link, to: account, labels: {es: Cuenta, en: Account}}
mixins: [owned, team, territory, shared]
permissions: {admin: {create: true, read: all, update: all}, sales_rep: {create: true, read: team, update: own}}
---
entity: part
labels: {es: [Pieza, Piezas], en: [Part, Parts]}
title: name
parent: machine
fields:
  name: {type: text, labels: {es: Nombre, en: Name}}
  machine: {type: link, to: machine, labels: {es: Máquina, en: Machine}}
mixins: [owned, team, territory, shared]
permissions: {admin: {create: true, read: all, update: all}, sales_rep: {create: true, read: team, update: own}}
";
    let _ = company.admin.post("/api/v1/model/layers", &json!({"name": "machines", "yaml": yaml})).ok();
    let sara = server.person(Company::SARA);
    let account = sara.create("account", &json!({"name": "Conservas Sara"}));
    let machine = sara.create("machine", &json!({"serial": "M-1", "account": account}));
    let part = sara.create("part", &json!({"name": "Rodamiento", "machine": machine}));
    let deal = sara.create("opportunity", &company.deal("Grúa", &json!({"account": account})));
    let oscar = server.person(Company::OSCAR);
    let mut phone = server.phone(Company::OSCAR);
    let _ = phone.pull();

    sara.set("account", &account, &json!({"shared_with": [oscar.user]}));
    wait_until("the part", || oscar.get(&format!("/api/v1/part/{part}")).status == 200);
    let pulled = phone.pull();
    assert_eq!((pulled.put("machine"), pulled.put("part")), (vec![machine.clone()], vec![part.clone()]));
    assert!(pulled.put("opportunity").is_empty(), "a deal is nobody's child: {}", pulled.text);
    sara.set("opportunity", &deal, &json!({"shared_with": [oscar.user]}));
    wait_until("its passage", || oscar.count("stage_history") == 1);

    sara.set("account", &account, &json!({"shared_with": null}));
    wait_until("the end of the share", || oscar.get(&format!("/api/v1/part/{part}")).status == 404);
    let pulled = phone.pull();
    for gone in [&account, &machine, &part] {
        assert!(pulled.exits().contains(gone), "{gone} in {}", pulled.text);
    }
    let part = sara.get(&format!("/api/v1/part/{part}")).ok();
    assert!(part["fields"].get("shared_with").is_none() && part["fields"]["owner"] == json!(sara.user), "{part}");
}

#[test]
fn a_rep_s_accounts_go_to_another_because_somebody_asked() {
    let server = Server::start_with(&["moves.batch_records=7"]);
    let company = Company::found(&server);
    let mut phone = server.phone(Company::ANA);
    let accounts: Vec<_> = (0..40).map(|n| phone.create("account", &json!({"name": format!("Cuenta {n}")}))).collect();
    assert!(phone.push(&accounts).iter().all(|outcome| outcome.verdict == Verdict::Applied));
    let [ana, berta, sara] = [Company::ANA, Company::BERTA, Company::SARA].map(|email| server.person(email).user);
    make_contacts(&mut server.phone(Company::ANA), &accounts[0].record.to_string(), 5);
    let sara_s = server.person(Company::SARA).create("account", &json!({"name": "Conservas Sara"}));
    let move_to = |who: &str, more: &Value| {
        let mut body = json!({"entity": "account", "where": format!("owner == '{ana}' || owner == '{sara}'"), "set": {"owner": berta}});
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        server.person(who).post("/api/v1/moves", &body)
    };

    assert_eq!(move_to(Company::ANA, &json!({})).problem().code, "forbidden", "a rep gives away one by one");
    for (wrong, field) in [
        (json!({"set": {}}), "set"),
        (json!({"set": {"owner": company.bilbao}}), "set.owner"),
        (json!({"set": {"name": "x"}}), "set.name"),
        (json!({"where": " "}), "where"),
    ] {
        let problem = move_to(Company::MARTA, &wrong).problem();
        assert_eq!((problem.code.as_str(), problem.fields[0].field.as_str()), ("invalid", field), "{problem:?}");
    }
    assert_eq!(move_to(Company::MARTA, &json!({"where": "nothing > 1"})).problem().code, "invalid-expression");
    let dry = move_to(Company::MARTA, &json!({"dry_run": true})).ok();
    assert_eq!(dry, json!({"records": 40}), "what is not within her reach does not count");
    assert_eq!(server.person(Company::BERTA).get("/api/v1/moves").ok()["moves"], json!([]));

    let marta = server.person(Company::MARTA);
    let asked = move_to(Company::MARTA, &json!({})).ok();
    let path = format!("/api/v1/moves/{}", asked["id"].as_str().expect("an id"));
    wait_until("the end of the move", || marta.get(&path).ok()["state"] == "done");
    let done = marta.get(&path).ok();
    assert_eq!((&done["moved"], &done["refused"], &done["left"]), (&json!(40), &json!(0), &json!(0)), "{done}");
    assert_eq!(server.person(Company::BERTA).get(&path).problem().code, "not-found");
    company.admin.wait_for_children();
    let owned = |entity: &str| {
        let path = format!("/api/v1/{entity}/summary?where=owner%20%3D%3D%20'{berta}'");
        company.admin.get(&path).ok()["count"].clone()
    };
    assert_eq!((owned("account"), owned("contact")), (json!(40), json!(5)), "their contacts follow");
    let hers = company.admin.get(&format!("/api/v1/account/{sara_s}")).ok();
    assert_eq!(hers["fields"]["owner"], json!(sara), "it was never within Marta's reach");
    let history = company.admin.get(&format!("/api/v1/account/{}/history", accounts[0].record)).ok();
    assert_eq!((&history["items"][0]["field"], &history["items"][0]["who"]), (&json!("owner"), &json!(marta.user)));
}

#[test]
fn who_leaves_a_team_and_a_role_with_work_unsent_is_answered_and_keeps_nothing() {
    let server = Server::start();
    let company = Company::found(&server);
    let berta = server.person(Company::BERTA);
    let account = berta.create("account", &json!({"name": "Conservas Berta"}));
    let device = server.device(Company::MARTA);
    assert_eq!(holds(&device, "account"), json!(2));
    let _ = device.run(&["set", "account", &account, "notes=Llamar el lunes"]).ok();

    let marta = server.person(Company::MARTA).user;
    let roles = company.admin.get("/api/v1/role?where=key%20%3D%3D%20'sales_rep'").ok();
    let rep = &roles["items"][0]["id"];
    company.admin.set("team", &company.bilbao, &json!({"manager": null}));
    company.admin.set("user", &marta, &json!({"role": rep, "team": company.sevilla}));

    let told = device.run(&["sync"]).ok();
    assert_eq!((&told["rejected"], &told["in_step"], &told["waiting"]), (&json!(1), &json!(true), &json!(0)), "{told}");
    let conflict = device.run(&["conflicts"]).ok()["conflicts"][0].clone();
    assert_eq!(
        (&conflict["reason"]["code"], &conflict["lost"]["notes"]),
        (&json!("not-found"), &json!("Llamar el lunes"))
    );
    assert_eq!(device.run(&["list", "account"]).ok()["count"], 1, "only what is nobody's");
    assert_eq!(device.run(&["show", "account", &account]).problem().code, "not-found");
    let untouched = berta.get(&format!("/api/v1/account/{account}")).ok();
    assert!(untouched["fields"].get("notes").is_none(), "{untouched}");
}
