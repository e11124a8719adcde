//! The commands as scripts use them: help with an example, one JSON document whatever happens, a telling exit code.

use std::process::{Command, Stdio};

use cartera_tests::{ADMIN, Ran, Server, product, run};

/// Every command that scripts rely on.
const SERVER: [&[&str]; 17] = [
    &[],
    &["serve"],
    &["demo"],
    &["import"],
    &["export"],
    &["user"],
    &["user", "add"],
    &["user", "list"],
    &["user", "password"],
    &["sync-rules"],
    &["sync-rules", "list"],
    &["sync-rules", "settle"],
    &["model"],
    &["model", "apply"],
    &["model", "show"],
    &["openapi"],
    &["restored"],
];
const DEVICE: [&[&str]; 12] = [
    &[],
    &["enrol"],
    &["sync"],
    &["list"],
    &["show"],
    &["set"],
    &["new"],
    &["delete"],
    &["search"],
    &["outbox"],
    &["conflicts"],
    &["status"],
];

/// What a command prints for people: standard output.
fn help(binary: &str, command: &[&str]) -> String {
    let output = product(binary).args(command).arg("--help").output().expect("the command starts");
    assert!(output.status.success(), "{binary} {command:?} --help: {output:?}");
    String::from_utf8(output.stdout).expect("help is text")
}

fn device(arguments: &[&str]) -> Command {
    let mut command = product("cartera-device");
    command.args(["--json", "--lang", "en"]).args(arguments);
    command
}

fn cartera(arguments: &[&str]) -> Command {
    let mut command = product("cartera");
    command.arg("--json").args(arguments);
    command
}

/// Nobody looks at a terminal here: whatever is not the document stays unsaid.
#[track_caller]
fn assert_silent(ran: &Ran) {
    assert_eq!(ran.stderr, "", "{ran:?}");
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for (binary, commands) in [("cartera", &SERVER[..]), ("cartera-device", &DEVICE[..])] {
        for command in commands {
            let help = help(binary, command);
            let example = help.lines().skip_while(|line| !line.starts_with("Example")).skip(1);
            let shows_itself = example.into_iter().any(|line| line.contains(&[&[binary], *command].concat().join(" ")));
            let shows_somebody = help.contains("Example") && help.matches(binary).count() > 1;
            assert!(shows_itself || shows_somebody, "{binary} {command:?} has no example of itself:\n{help}");
            assert!(help.contains("--json"), "{binary} {command:?} does not take --json:\n{help}");
        }
    }
}

#[test]
fn no_argument_takes_a_secret() {
    for (binary, commands) in [("cartera", &SERVER[..]), ("cartera-device", &DEVICE[..])] {
        for command in commands {
            let help = help(binary, command).to_lowercase();
            let options = help.split_whitespace().filter(|word| word.starts_with("--"));
            let telling: Vec<&str> = options
                .filter(|option| ["password", "token", "secret"].iter().any(|secret| option.contains(secret)))
                .collect();
            assert!(
                telling.is_empty(),
                "{binary} {command:?} takes {telling:?} where every user of the machine sees it"
            );
        }
    }
    let refused = run(cartera(&["user", "add", "x@puertos.example", "--role", "admin", "--password", "una de ellas"]));
    assert_eq!((refused.code, refused.problem().code.as_str()), (2, "usage"));
}

#[test]
fn what_cannot_be_understood_is_a_problem_on_standard_output_and_exit_code_2() {
    for refused in [
        cartera(&["importt"]),
        cartera(&["serve", "--no-such-option"]),
        cartera(&["import", "account"]),
        cartera(&["user", "add"]),
        cartera(&["user", "list", "--set", "no-equals-sign"]),
        device(&["sink"]),
        device(&["--home", "/nowhere/at/all", "show", "account"]),
        device(&["list"]),
    ] {
        let ran = run(refused);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert_silent(&ran);
        let problem = ran.problem();
        assert_eq!(problem.code, "usage", "{problem:?}");
        assert!(problem.detail.as_ref().is_some_and(|detail| !detail.is_empty()), "{problem:?}");
    }
}

#[test]
fn what_cannot_be_done_is_one_problem_that_says_on_what_and_why() {
    let server = Server::start();
    let table = server.data().join("table.csv");
    std::fs::write(&table, "name\nAcme\n").expect("a file");
    let table = table.to_str().expect("a path is text");
    for (arguments, names) in [
        (&["import", "account", "/nowhere/accounts.csv"][..], "/nowhere/accounts.csv"),
        (&["import", "unicorn", table], "unicorn"),
        (&["import", "account", table, "--map", "name=colour"], "colour"),
        (&["export", "unicorn", "-o", "/nowhere/unicorns.csv"], "unicorn"),
        (&["user", "add", "eva@puertos.example", "--role", "queen"], "queen"),
        (&["user", "add", "eva@puertos.example", "--role", "sales_rep", "--team", "Atlantis"], "Atlantis"),
        (&["user", "password", "nobody@puertos.example"], "nobody@puertos.example"),
        (&["model", "apply", "/nowhere/overlay.yaml"], "/nowhere/overlay.yaml"),
        (&["model", "show", "unicorn"], "unicorn"),
        (&["serve", "--listen", "somewhere"], "listen"),
    ] {
        let ran = server.cartera(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert_silent(&ran);
        let said = ran.json.to_string();
        let problem = ran.problem();
        assert!(problem.kind.ends_with(&problem.code), "{arguments:?}: {problem:?}");
        assert!(said.contains(names), "{arguments:?} does not say on what: {said}");
    }
    // The same folder cannot have two servers.
    let second = server.cartera(&["serve", "--listen", "127.0.0.1:0"]);
    assert_ne!(second.code, 0, "{second:?}");
    assert!(second.problem().detail.is_some_and(|detail| detail.contains("data")));

    let phone = server.device(ADMIN);
    for (arguments, names) in [
        (&["list", "unicorn"][..], "unicorn"),
        (&["list", "account", "--where", "name ="], "name ="),
        (&["show", "account", "0191d8e2-7c52-7a9e-8a54-1f0a6b2c3d4e"], "0191d8e2-7c52-7a9e-8a54-1f0a6b2c3d4e"),
        (&["new", "account", "colour=red"], "colour"),
        (&["conflicts", "dismiss", "7"], "7"),
        (&["sum", "account", "name"], "name"),
    ] {
        // Nothing is here before the first sync, not even the model.
        let before = phone.run(arguments);
        assert_ne!(before.code, 0, "{arguments:?}: {before:?}");
        let _ = phone.run(&["sync"]).ok();
        let ran = phone.run(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert_silent(&ran);
        let said = ran.json.to_string();
        let _ = ran.problem();
        assert!(said.contains(names), "{arguments:?} does not say on what: {said}");
    }
}

#[test]
fn what_is_done_is_one_document() {
    let server = Server::start();
    let folder = server.data();
    let file = |name: &str| folder.join(name).to_str().expect("a path is text").to_owned();
    std::fs::write(file("in.csv"), "name,industry\nAcme,steel\n").expect("a file");
    std::fs::write(file("overlay.yaml"), "entity: account\n").expect("a file");
    for arguments in [
        &["user", "add", "eva@puertos.example", "--role", "sales_rep", "--name", "Eva Sol"][..],
        &["user", "list"],
        &["user", "password", "eva@puertos.example"],
        &["import", "account", &file("in.csv"), "--dry-run"],
        &["import", "account", &file("in.csv")],
        &["export", "account", "--format", "csv", "-o", &file("out.csv")],
        &["export", "account", "--format", "xlsx", "-o", &file("out.xlsx")],
        &["export", "all", "-o", &file("all.zip")],
        &["model", "show"],
        &["openapi"],
    ] {
        let ran = server.cartera(arguments);
        assert_silent(&ran);
        assert!(!ran.ok().is_null(), "{arguments:?} says nothing");
    }
    assert!(std::fs::read_to_string(file("out.csv")).expect("it was written").contains("Acme"));

    let phone = server.device(ADMIN);
    let synced = phone.run(&["sync"]);
    assert_silent(&synced);
    assert_eq!(synced.ok()["in_step"], true);
    let made = phone.run(&["new", "account", "name=Norte SL"]).ok();
    let id = made["id"].as_str().expect("the new record's id");
    for arguments in [
        &["list", "account", "--where", "name == 'Acme'"][..],
        &["show", "account", id],
        &["set", "account", id, "industry=glass"],
        &["search", "norte"],
        &["outbox"],
        &["sync"],
        &["conflicts"],
        &["status"],
        &["delete", "account", id],
        &["sync"],
    ] {
        let ran = phone.run(arguments);
        assert_silent(&ran);
        assert!(ran.ok().is_object(), "{arguments:?} says no object");
    }
    let listed = phone.run(&["list", "account"]).ok();
    assert_eq!((&listed["count"], &listed["records"][0]["fields"]["name"]), (&1.into(), &"Acme".into()), "{listed}");
}

#[test]
fn a_password_comes_from_standard_input_where_the_environment_has_none() {
    use std::io::Write;
    let server = Server::start();
    let mut add = product("cartera");
    add.args(["user", "add", "eva@puertos.example", "--role", "admin", "--json", "--data"]).arg(server.data());
    let mut child = add.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    writeln!(stdin, "{}", cartera_tests::PASSWORD).expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    let _ = server.person("eva@puertos.example");

    let mut nothing = product("cartera");
    nothing.args(["user", "add", "leo@puertos.example", "--role", "admin", "--json", "--data"]).arg(server.data());
    let refused = run(nothing);
    assert_eq!(refused.code, 2, "an empty standard input is no password: {refused:?}");
}
