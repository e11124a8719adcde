//! The conformance suite against the real server, and against servers that break one rule each.

mod faults;
mod proxy;

use std::collections::BTreeSet;

use cartera_conformance::{Person, Report, Target, Verdict, section_of};
use cartera_tests::{ADMIN, Company, PASSWORD, Server, product, run};
use proxy::{Fault, Proxy};
use rusqlite::Connection;
use serde_json::{Value, json};

fn person(email: &str) -> Person {
    Person { email: email.to_owned(), password: PASSWORD.to_owned() }
}

/// Fields of the merge classes that the core model has none of.
const CLASSES: &str = "
entity: account
fields:
  visits: {type: integer, merge: counter, labels: {es: Visitas, en: Visits}}
  largest_order: {type: integer, merge: max, labels: {es: Mayor pedido, en: Largest order}}
  first_contact: {type: date, merge: min, labels: {es: Primer contacto, en: First contact}}
";

/// One that has all capabilities and merge classes, and of which there is a backup.
fn server() -> Server {
    let mut server = Server::start_with(&["wake.contact=mailto:it@puertos.example"]);
    let _ = server.person(ADMIN).post("/api/v1/model/layers", &json!({"name": "classes", "yaml": CLASSES})).ok();
    server.kill();
    let database = Connection::open(server.data().join("cartera.db")).expect("the database opens");
    database.execute("UPDATE tenant SET safe = head", []).expect("it is said to be in a backup");
    drop(database);
    server.restart();
    server
}

fn check(url: &str, only: &[&str]) -> Report {
    let mut target = Target::new(url, false, person(ADMIN)).expect("an address of this machine");
    target.other = Some(person(Company::ANA));
    cartera_conformance::run(&target, only, |_| {}).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_server_keeps_the_specification_and_the_suite_leaves_nothing_behind() {
    let server = server();
    let company = Company::found(&server);
    let entities = ["account", "contact", "lead", "product", "activity", "opportunity"];
    let before = entities.map(|entity| company.admin.count(entity));

    let mut command = product("cartera");
    command.args(["conformance", &server.url(), "--user", ADMIN, "--other", Company::ANA, "--json", "--data"]);
    command.arg(server.data()).env("CARTERA_PASSWORD", PASSWORD).env("CARTERA_OTHER_PASSWORD", PASSWORD);
    let report: Report = serde_json::from_value(run(command).ok()).expect("a report");
    assert_eq!(report.failed, 0, "{report}");
    assert!(report.passed > 80, "{report}");
    assert_eq!(report.named(Verdict::NotChecked), [""; 0], "all of it can be looked at here: {report}");
    assert!(report.left_behind.is_empty(), "{report}");

    assert_eq!(entities.map(|entity| company.admin.count(entity)), before);
    let devices = company.admin.get("/api/v1/devices").ok();
    let active = devices["devices"].as_array().expect("devices").iter().filter(|device| device["active"] == true);
    assert_eq!(active.count(), 0, "its devices are signed out");
}

#[test]
fn whoever_signs_in_must_be_able_to_make_records() {
    let server = Server::start();
    let _ = Company::found(&server);
    let mut command = product("cartera");
    command.args(["conformance", &server.url(), "--user", ADMIN, "--entity", "team", "--json", "--data"]);
    command.arg(server.data()).env("CARTERA_PASSWORD", PASSWORD);
    let problem = run(command).problem();
    assert_eq!(problem.code, "nothing-checked");
    assert!(problem.detail.is_some_and(|detail| detail.contains("team")), "it says what is missing");

    let mut command = product("cartera");
    command.args(["conformance", &server.url(), "--user", ADMIN, "--only", "cursors", "--json", "--data"]);
    command.arg(server.data()).env("CARTERA_PASSWORD", PASSWORD);
    assert_eq!(run(command).code, 2, "a section that there is not is a mistake of the command line");
}

/// Servers among which the faults are shared out: much of a run is waiting.
const SERVERS: usize = 8;

#[test]
fn every_check_has_a_fault_that_it_must_see() {
    let broken: BTreeSet<&str> = faults::all().into_iter().map(|(check, _)| check).collect();
    let checks = cartera_conformance::checks().into_iter().flat_map(|(_, checks)| checks);
    let unseen: Vec<&str> = checks.filter(|check| !broken.contains(check)).collect();
    assert!(unseen.is_empty(), "no fault shows that these checks can fail: {unseen:?}");
}

#[test]
fn a_server_that_breaks_a_rule_fails_on_exactly_that_check() {
    let faults = faults::all();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        // Those of one section, which take alike, are not one share.
        let share = |at: usize| faults.iter().skip(at).step_by(SERVERS);
        let running: Vec<_> = (0..SERVERS).map(|at| scope.spawn(move || seen_otherwise(share(at)))).collect();
        running.into_iter().flat_map(|share| share.join().expect("the suite runs")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The faults that were not caught by exactly their check: among those of its section, or with `CONFORMANCE_WHOLE` set among
/// all.
fn seen_otherwise<'a>(faults: impl Iterator<Item = &'a (&'static str, Fault)>) -> Vec<String> {
    let server = server();
    let _ = Company::found(&server);
    let mut wrong = Vec::new();
    for (check_name, fault) in faults {
        let proxy = Proxy::start(server.address(), *fault);
        let section = section_of(check_name).unwrap_or_else(|| panic!("there is no check {check_name}"));
        let is_whole = std::env::var_os("CONFORMANCE_WHOLE").is_some();
        let report = check(&proxy.url(), if is_whole { &[] } else { std::slice::from_ref(&section) });
        if report.named(Verdict::Failed) != [*check_name] {
            wrong.push(format!("{check_name} was broken:\n{report}"));
        }
    }
    wrong
}

#[test]
fn what_failed_is_said_with_what_the_specification_says_and_the_command_fails() {
    let server = Server::start();
    let _ = Company::found(&server);
    let (check_name, fault) = faults::all()[0];
    let proxy = Proxy::start(server.address(), fault);
    let command = |more: &[&str]| {
        let mut command = product("cartera");
        command.args(["conformance", &proxy.url(), "--user", ADMIN, "--only", check_name, "--data"]).args(more);
        command.arg(server.data()).env("CARTERA_PASSWORD", PASSWORD);
        command
    };
    let output = command(&[]).output();
    let output = output.expect("the command starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("FAILED       {check_name}")) && said.contains("the specification: "), "{said}");
    let mut in_json = product("cartera");
    in_json.args(["conformance", &proxy.url(), "--user", ADMIN, "--only", check_name, "--json", "--data"]);
    in_json.arg(server.data()).env("CARTERA_PASSWORD", PASSWORD);
    let problem = run(in_json).problem();
    assert_eq!((problem.code.as_str(), &problem.extra["report"]["failed"]), ("does-not-conform", &Value::from(1)));
}
