use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sync_protocol::wire::Problem;

/// What a command with `--json` said.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// The one document on standard output.
    pub json: Value,
    /// What people would have read.
    pub stderr: String,
}

impl Ran {
    /// The document of a command that did what it was asked.
    #[track_caller]
    #[must_use]
    pub fn ok(self) -> Value {
        assert_eq!(self.code, 0, "the command failed: {self:#?}");
        self.json
    }

    /// The problem of one that did not.
    #[track_caller]
    #[must_use]
    pub fn problem(self) -> Problem {
        assert_ne!(self.code, 0, "the command should have failed: {self:#?}");
        serde_json::from_value(self.json).expect("what a failing command prints is a problem")
    }
}

/// `cartera` or `cartera-device` as built beside the test, untouched by what the caller's environment says about Cartera.
#[track_caller]
#[must_use]
pub fn product(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARTERA_")) {
        command.env_remove(variable);
    }
    // The floor that the configuration allows: how dear a guess is, is not what stories are about.
    command.env("CARTERA_AUTH_PASSWORD_MEMORY_KIB", "19456").env("CARTERA_AUTH_PASSWORD_PASSES", "2");
    command.stdin(Stdio::null());
    command
}

/// Runs a command that was given `--json`.
#[track_caller]
#[must_use]
pub fn run(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let json = serde_json::from_slice(&stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&stdout);
        panic!("{command:?} ended with {status} and said no single JSON document ({error}): {said}\n{stderr}")
    });
    Ran { code: status.code().unwrap_or(-1), json, stderr }
}

/// The tests lie in `target/PROFILE/deps`, the commands one folder above.
#[track_caller]
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let profile = test.parent().and_then(Path::parent).expect("the test lies in a target folder");
    let binary = profile.join(name);
    assert!(binary.exists(), "{} is missing: build it with `cargo build --bins`", binary.display());
    binary
}
