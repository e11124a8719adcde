//! `cartera-device` as scripts call it: one JSON document on standard output, an exit code, and no network but for
//! `enrol` and `sync`.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{FakeServer, ME, Noon, enrol, furnish, id, open};
use cartera_client::device::{Assignment, Checks, Device, Query};
use crm::model::Language;
use serde_json::{Value, json};

struct Phone {
    home: tempfile::TempDir,
}

impl Phone {
    fn in_step() -> Self {
        let phone = Self { home: tempfile::tempdir().expect("a folder") };
        let server = FakeServer::new("sales_rep");
        furnish(&server);
        enrol(phone.home.path());
        open(phone.home.path()).sync(&server, &mut |_| {}).expect("syncs");
        phone
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(self.home.path(), arguments)
    }

    /// The document of a command that succeeds.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stdout));
        document(&output)
    }

    /// The problem of one that does not.
    fn problem(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(!output.status.success(), "{arguments:?} succeeds");
        document(&output)
    }
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartera-device"));
    command.env_clear().arg("--home").arg(home).args(arguments);
    command.stdin(std::process::Stdio::null()).output().expect("runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON document")
}

#[test]
fn a_phone_can_be_worked_on_by_a_script() {
    let phone = Phone::in_step();
    let deal = id(0x500).to_string();
    let listed = phone.json(&["list", "opportunity", "--where", "amount > 100000", "--fields", "name,amount"]);
    assert_eq!(
        listed,
        json!({
            "entity": "opportunity", "count": 1,
            "records": [{
                "id": deal, "entity": "opportunity", "seq": 6, "title": "Grúas", "unsent": [],
                "fields": {"name": "Grúas", "amount": {"currency": "EUR", "minor": 120_000}}
            }]
        })
    );
    let queued = phone.json(&["set", "opportunity", &deal, "amount=5 EUR"]);
    assert_eq!((&queued["id"], &queued["mutation"]), (&json!(deal), &json!(1)));
    let shown = phone.json(&["show", "opportunity", &deal]);
    assert_eq!((&shown["unsent"], &shown["fields"]["amount"]["minor"]), (&json!(["amount"]), &json!(500)));
    let outbox = phone.json(&["outbox"]);
    assert_eq!((&outbox["count"], &outbox["mutations"][0]["record"]), (&json!(1), &json!(deal)));
    let sum = phone.json(&["sum", "opportunity", "amount"]);
    assert_eq!(sum, json!({"records": 2, "filled": 2, "sums": {"EUR": 5_500}}));
    let found = phone.json(&["search", "gruas"]);
    assert_eq!((&found["count"], &found["records"][0]["id"]), (&json!(1), &json!(deal)));
    let status = phone.json(&["status"]);
    assert_eq!((&status["state"]["phase"], &status["state"]["waiting"]), (&json!("waiting"), &json!(1)));
    assert_eq!((&status["user"], &status["role"]), (&json!(id(ME)), &json!("sales_rep")));
    assert_eq!(status["records"]["opportunity"], 2);
    assert!(!status.to_string().contains("secret"), "the token stays in the file");
    assert_eq!(phone.json(&["conflicts"]), json!({"count": 0, "conflicts": []}));
    assert_eq!(phone.json(&["new", "account", "name=Beta"])["mutation"], 2);
}

#[test]
fn a_problem_is_a_document_too_and_the_exit_code_tells() {
    let phone = Phone::in_step();
    let deal = id(0x500).to_string();
    let lost = phone.problem(&["set", "opportunity", &deal, "stage=lost", "--lang", "es"]);
    assert_eq!((&lost["code"], &lost["fields"][0]["field"]), (&json!("invalid"), &json!("close_reason")));
    assert!(lost["fields"][0]["message"].as_str().is_some_and(|message| message.contains("Motivo de cierre")));
    let english = phone.problem(&["set", "opportunity", &deal, "stage=lost", "--lang", "en"]);
    assert!(english["fields"][0]["message"].as_str().is_some_and(|message| message.contains("Close reason")));
    for (arguments, code) in [
        (&["list", "unicorn"][..], "unknown-entity"),
        (&["list", "account", "--where", "colour == 1"], "invalid-expression"),
        (&["list", "account", "--fields", "colour"], "unknown-field"),
        (&["show", "account", "x"], "not-found"),
        (&["set", "opportunity", &deal, "nonsense"], "usage"),
        (&["conflicts", "dismiss", "9"], "not-found"),
        (&["sync"], "unreachable"),
        (&["sum", "account", "name"], "usage"),
        (&["list"], "usage"),
    ] {
        let problem = phone.problem(arguments);
        assert_eq!(problem["code"], code, "{arguments:?}");
        assert_eq!(problem["type"], format!("urn:cartera:problem:{code}"));
    }
    assert_eq!(phone.run(&["list"]).status.code(), Some(2));
    assert_eq!(phone.run(&["list", "unicorn"]).status.code(), Some(1));
}

#[test]
fn reading_does_not_wait_for_another_command_and_sees_one_moment() {
    let phone = Phone::in_step();
    let mut busy = open(phone.home.path());
    assert_eq!(phone.json(&["list", "opportunity"])["count"], 2);
    let deal = id(0x500).to_string();
    let looking = Device::look(phone.home.path(), Language::En, Box::new(Noon::default())).expect("looks");
    let change = [Assignment::parse("next_step=llamar").expect("is an assignment")];
    busy.set("opportunity", &deal, &change, Checks::Made).expect("is allowed");
    let before = looking.list("opportunity", Query::default()).expect("lists");
    assert!(before.iter().all(|record| record.unsent.is_empty()), "the look began before the edit");
    drop(looking);
    assert_eq!(phone.json(&["outbox"])["count"], 1);
}

#[test]
fn people_read_tables_in_their_language() {
    let phone = Phone::in_step();
    let spanish = phone.run(&["list", "opportunity", "--lang", "es"]);
    let lines = text(&spanish.stdout);
    assert!(lines.contains("Importe") && lines.contains("1200.00 EUR") && lines.contains("Ácme, S.L."), "{lines}");
    let english = phone.run(&["show", "opportunity", &id(0x500).to_string(), "--lang", "en"]);
    assert!(text(&english.stdout).contains("Stage: Prospecting"), "{}", text(&english.stdout));
}

#[test]
fn a_folder_that_is_no_device_says_how_to_make_it_one() {
    let home = tempfile::tempdir().expect("a folder");
    let output = run(home.path(), &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("enrol"), "{}", text(&output.stderr));
    assert!(home.path().read_dir().expect("is there").next().is_none(), "and stays as it is");
}

#[test]
fn enrolling_needs_a_password_and_a_safe_way() {
    let home = tempfile::tempdir().expect("a folder");
    let enrolling = |url| {
        let output = run(home.path(), &["enrol", url, "--user", "ana@example.com", "--json"]);
        assert!(!output.status.success());
        document(&output)["code"].clone()
    };
    assert_eq!(enrolling("http://crm.example.com"), "transport");
    assert_eq!(enrolling("http://localhost:1"), "usage");
}
