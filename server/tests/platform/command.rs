//! The command itself, as scripts and people run it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

fn cartera(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartera"));
    command.env("CARTERA_AUTH_PASSWORD_MEMORY_KIB", "19456").env("CARTERA_AUTH_PASSWORD_PASSES", "2");
    command.env_remove("CARTERA_PASSWORD").env("CARTERA_DATA_DIR", data).current_dir(data);
    command.stdin(Stdio::null());
    command
}

fn run(data: &Path, arguments: &[&str], input: Option<&str>) -> Output {
    let mut command = cartera(data);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(input) = input {
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("the command was built");
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that refuses its arguments reads nothing.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        return child.wait_with_output().expect("it ends");
    }
    command.output().expect("the command was built")
}

/// What went to standard output must be one JSON document and nothing else.
#[track_caller]
fn json_of(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

/// Starts `cartera serve`; the process and its announcement.
pub fn serve(data: &Path, arguments: &[&str]) -> (Child, Value) {
    let mut command = cartera(data);
    command.args(["serve", "--json", "--listen", "127.0.0.1:0"]).args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command was built");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it announces itself");
    (child, serde_json::from_str(&line).expect("one JSON document"))
}

pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status().expect("kill is everywhere");
    assert!(sent.success());
}

/// The status of what a started server answers at `path`.
pub fn ask(started: &Value, path: &str, token: Option<&str>) -> u16 {
    let url = format!("{}{path}", started["url"].as_str().expect("an address"));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut request = agent.get(&url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.call().expect("it answers").status().as_u16()
}

#[test]
fn users_are_added_in_an_empty_folder_and_beside_a_running_server_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path();
    let add = |email: &str| run(data, &["user", "add", email, "--role", "admin", "--json"], Some("a long password\n"));
    let first = add("ana@example.com");
    assert_eq!(json_of(&first)["created"], json!(true));

    let (mut server, started) = serve(data, &[]);
    assert_eq!(started["needs_first_user"], json!(false));
    assert_eq!(json_of(&add("bea@example.com"))["email"], json!("bea@example.com"));
    let listed = json_of(&run(data, &["user", "list", "--json"], None));
    assert_eq!(listed["users"].as_array().map(Vec::len), Some(2));

    let set = run(data, &["user", "password", "bea@example.com", "--json"], Some("another password"));
    assert!(set.status.success(), "{}", json_of(&set));
    let url = format!("{}/api/v1/sessions", started["url"].as_str().expect("an address"));
    let sign_in = |password: &str| {
        let body = json!({ "email": "bea@example.com", "password": password }).to_string();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        agent.post(&url).header("content-type", "application/json").send(body).expect("it answers").status().as_u16()
    };
    assert_eq!((sign_in("a long password"), sign_in("another password")), (401, 201));

    signal(&server, "-TERM");
    assert!(server.wait().expect("it ends").success(), "asked to stop, it stops cleanly");
}

#[test]
fn with_json_every_failure_is_one_problem_on_standard_output() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path();
    let password = Some("a long password");
    let cases: [(&[&str], Option<&str>, i32, &str); 8] = [
        (&["user", "add", "--json"], None, 2, "usage"),
        (&["nonsense", "--json"], None, 2, "usage"),
        (&["user", "list", "--json", "--set", "nonsense"], None, 2, "usage"),
        (&["user", "list", "--json", "--set", "listen=nowhere"], None, 1, "configuration"),
        (&["user", "list", "--json", "--config", "missing.toml"], None, 1, "configuration"),
        (&["user", "add", "ana@example.com", "--role", "admin", "--json"], Some(""), 2, "usage"),
        (&["user", "add", "ana@example.com", "--role", "boss", "--json"], password, 1, "invalid"),
        (&["user", "password", "nobody@example.com", "--json"], password, 1, "not-found"),
    ];
    for (arguments, input, exit, code) in cases {
        let output = run(data, arguments, input);
        assert_eq!((output.status.code(), &json_of(&output)["code"]), (Some(exit), &json!(code)), "{arguments:?}");
    }
}

#[test]
fn without_json_failures_are_sentences_on_standard_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run(folder.path(), &["user", "add", "ana@example.com", "--role", "boss"], Some("a long password"));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(said, "error: There is no role \"boss\"; there are admin, sales_manager, sales_rep.\n");
}

#[test]
fn a_password_comes_from_the_environment_where_it_is_there_and_never_from_arguments() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = cartera(folder.path());
    command.args(["user", "add", "ana@example.com", "--role", "admin"]).env("CARTERA_PASSWORD", "a long password");
    let output = command.output().expect("the command was built");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ana@example.com was added.\n");
    let refused = run(folder.path(), &["user", "add", "b@example.com", "--role", "admin", "--password", "x"], None);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn serving_says_how_to_add_the_first_administrator_and_a_second_server_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, started) = serve(folder.path(), &[]);
    assert_eq!(started["needs_first_user"], json!(true));
    let second = run(folder.path(), &["serve", "--json"], None);
    assert_eq!(second.status.code(), Some(1));
    let detail = json_of(&second)["detail"].as_str().expect("a sentence").to_owned();
    assert!(detail.contains("stop that one first"), "{detail}");
    signal(&server, "-INT");
    assert!(server.wait().expect("it ends").success());
}

#[test]
fn a_killed_server_leaves_a_folder_that_works() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, _) = serve(folder.path(), &[]);
    signal(&server, "-KILL");
    server.wait().expect("it ends");
    let listed = json_of(&run(folder.path(), &["user", "list", "--json"], None));
    assert_eq!(listed["users"], json!([]));
}

#[test]
fn every_help_has_an_example() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut pending = vec![Vec::new()];
    let mut read = 0;
    while let Some(command) = pending.pop() {
        let mut arguments: Vec<String> = command.clone();
        arguments.push("--help".into());
        let output = run(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>(), None);
        let help = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && help.contains("Example"), "{arguments:?}:\n{help}");
        read += 1;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        for name in listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()) {
            if name != "help" {
                pending.push(command.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
    }
    assert!(read >= 6, "only {read} commands were found");
}

#[test]
fn an_overlay_is_checked_applied_and_shown_beside_a_running_server_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path();
    let file = data.join("moods.yaml");
    let yaml = "entity: account\nfields:\n  moods: {type: text, labels: {es: Humor, en: Mood}}\n";
    std::fs::write(&file, yaml).expect("the folder is ours");
    let file = file.to_str().expect("UTF-8");

    let checked = json_of(&run(data, &["model", "check", file, "--json"], None));
    assert_eq!((&checked["name"], &checked["changed"]), (&json!("moods"), &json!(true)));
    let (mut server, _) = serve(data, &[]);
    let applied = run(data, &["model", "apply", file], None);
    assert_eq!(String::from_utf8_lossy(&applied.stdout), "The overlay moods is in force.\n");
    let shown = json_of(&run(data, &["model", "show", "account", "--json"], None));
    assert_eq!(shown["fields"]["moods"]["labels"]["en"], json!("Mood"));
    let described = json_of(&run(data, &["openapi"], None));
    assert_eq!(described["components"]["schemas"]["AccountFields"]["properties"]["moods"]["title"], json!("Mood"));

    std::fs::write(file, "entity: account\nfields:\n  moods: {type: colour}\n").expect("the folder is ours");
    let refused = run(data, &["model", "apply", file, "--json"], None);
    assert_eq!((refused.status.code(), &json_of(&refused)["code"]), (Some(1), &json!("invalid-model")));
    let missing = run(data, &["model", "check", "missing.yaml", "--json"], None);
    assert_eq!((missing.status.code(), &json_of(&missing)["code"]), (Some(2), &json!("usage")));
    signal(&server, "-TERM");
    assert!(server.wait().expect("it ends").success());
}
