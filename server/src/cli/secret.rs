//! Secrets come from the environment or standard input, never from arguments, which every user of the machine can see.

use std::io::{self, BufRead, IsTerminal};

use super::output::Failure;

/// Where a password may stand.
pub(super) const VARIABLE: &str = "CARTERA_PASSWORD";

/// The password to set: from the environment, else asked for on a terminal, else the first line of standard input.
pub(super) fn read_new_password() -> Result<String, Failure> {
    read(VARIABLE, ask_twice)
}

/// The password of `email`, who has one: from the environment variable, else asked for on a terminal, else the next line
/// of standard input.
pub(super) fn read_password(variable: &str, email: &str) -> Result<String, Failure> {
    read(variable, || ask(&format!("Password of {email}: ")))
}

fn read(variable: &str, ask: impl FnOnce() -> Result<String, Failure>) -> Result<String, Failure> {
    if let Some(password) = from_environment(variable)? {
        return Ok(password);
    }
    let password = if io::stdin().is_terminal() { ask()? } else { next_line()? };
    if password.is_empty() {
        return Err(Failure::usage(format!(
            "there is no password: write it to standard input, or set {variable} to it"
        )));
    }
    Ok(password)
}

fn from_environment(variable: &str) -> Result<Option<String>, Failure> {
    match std::env::var(variable) {
        Ok(password) if password.is_empty() => Ok(None),
        Ok(password) => Ok(Some(password)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{variable} is not UTF-8"))),
    }
}

fn next_line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| unreadable(&error))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn ask_twice() -> Result<String, Failure> {
    let password = ask("New password: ")?;
    if ask("Once more: ")? != password {
        return Err(Failure::usage("the two passwords differ; nothing was changed"));
    }
    Ok(password)
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt).map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::usage(format!("could not read the password: {error}"))
}
