//! The conformance suite against the real server, and against servers that break one rule each.

mod faults;
mod proxy;

use cartera_conformance::{Person, Report, Target, Verdict, section_of};
use cartera_tests::{ADMIN, Company, PASSWORD, Server, product, run};
use proxy::{Fault, Proxy};
use serde_json::Value;

fn person(email: &str) -> Person {
    Person { email: email.to_owned(), password: PASSWORD.to_owned() }
}

/// One that has all capabilities.
fn server() -> Server {
    Server::start_with(&["wake.contact=mailto:it@puertos.example"])
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
    let mut unchecked = report.named(Verdict::NotChecked);
    unchecked.sort_unstable();
    let no_such_field = ["counter", "max", "min"];
    assert_eq!(unchecked[..3], no_such_field, "the core model has no field of these classes: {report}");
    assert_eq!(unchecked[3..], ["safe-is-not-ahead"], "nobody has backed this server up: {report}");
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
