//! What a command says: with `--json` exactly one JSON document on standard output, else text for people.
//!
//! Progress goes to standard error and only to a terminal; so do prompts.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use sync_protocol::wire::Problem;

/// Exit code of a command that could not do what it was asked.
const FAILED: u8 = 1;

/// Exit code of a command line that cannot be understood.
const USAGE: u8 = 2;

/// What a command has to say at its end.
#[derive(Clone, Debug)]
pub struct Answer {
    json: Value,
    text: String,
    is_said: bool,
}

impl Answer {
    /// One answer in both forms.
    ///
    /// # Panics
    /// When `json` cannot be written as JSON, which is a defect of its type.
    #[must_use]
    pub fn new(json: impl Serialize, text: impl Into<String>) -> Self {
        let json = serde_json::to_value(json).expect("an answer has string keys and no value that JSON lacks");
        Self { json, text: text.into(), is_said: false }
    }

    /// For commands that wrote to standard output themselves: a file that was asked for there, an announcement.
    #[must_use]
    pub fn already_said() -> Self {
        Self { json: Value::Null, text: String::new(), is_said: true }
    }
}

/// Why a command could not do what it was asked.
#[derive(Clone, Debug)]
pub struct Failure {
    problem: Box<Problem>,
    exit: u8,
}

impl Failure {
    /// A failure of that kind; `detail` says what was attempted, on what, and what to do about it.
    #[must_use]
    pub fn new(code: &str, title: &str, detail: impl Into<String>) -> Self {
        let problem = Problem {
            kind: format!("urn:cartera:problem:{code}"),
            code: code.to_owned(),
            title: title.to_owned(),
            status: 0,
            detail: Some(detail.into()),
            fields: Vec::new(),
            extra: serde_json::Map::new(),
        };
        Self { problem: Box::new(problem), exit: FAILED }
    }

    /// Something went wrong that has no kind of its own.
    #[must_use]
    pub fn of(attempt: &str, error: &anyhow::Error) -> Self {
        Self::new("failed", "The command failed.", format!("{attempt}: {error:#}"))
    }

    /// The command line cannot be understood.
    #[must_use]
    pub fn usage(detail: impl Into<String>) -> Self {
        Self { exit: USAGE, ..Self::new("usage", "The command line cannot be understood.", detail) }
    }

    /// The server's own problem, passed on.
    #[must_use]
    pub fn answered(problem: Problem) -> Self {
        Self { problem: Box::new(problem), exit: FAILED }
    }

    /// Adds a fact for machines.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.problem.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The problem that it is.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::of("could not finish", &error)
    }
}

/// Where a command's answer goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// As one JSON document.
    pub json: bool,
}

impl Output {
    /// Says an answer now, for a command that goes on afterwards; it then ends with [`Answer::already_said`].
    pub fn say(self, answer: &Answer) {
        let text = if self.json { answer.json.to_string() } else { answer.text.clone() };
        if !text.is_empty() {
            print(&mut io::stdout().lock(), &text);
        }
    }

    /// A bar for `total` steps, or for an unknown number of them; invisible unless standard error is a terminal.
    ///
    /// # Panics
    /// Never: the templates are constant.
    #[must_use]
    pub fn progress(self, total: Option<u64>, what: &str) -> ProgressBar {
        let template = if total.is_some() {
            "{msg} [{bar:30}] {human_pos}/{human_len} {eta}"
        } else {
            "{msg} {spinner} {human_pos}"
        };
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(template).expect("the template is one of two constants"));
        bar.with_message(what.to_owned())
    }

    pub(super) fn finish(self, done: Result<Answer, Failure>) -> ExitCode {
        match done {
            Ok(answer) => {
                if !answer.is_said {
                    self.say(&answer);
                }
                ExitCode::SUCCESS
            }
            Err(failure) => {
                self.complain(&failure);
                ExitCode::from(failure.exit)
            }
        }
    }

    fn complain(self, failure: &Failure) {
        if self.json {
            let document = serde_json::to_string(&failure.problem);
            print(&mut io::stdout().lock(), &document.expect("a problem has string keys and no value that JSON lacks"));
            return;
        }
        let problem = &failure.problem;
        let mut text = format!("error: {}", problem.detail.as_ref().unwrap_or(&problem.title));
        for field in problem.fields.iter().filter(|field| Some(&field.message) != problem.detail.as_ref()) {
            text.extend(["\n  ", &field.field, ": ", &field.message]);
        }
        if let Some(Value::String(id)) = problem.extra.get("request_id")
            && problem.status >= 500
        {
            text.extend(["\n  request id: ", id]);
        }
        print(&mut io::stderr().lock(), &text);
    }
}

/// A reader that went away, as `head` does, is no reason to fail.
fn print(target: &mut impl Write, text: &str) {
    let _ = writeln!(target, "{}", text.trim_end());
    let _ = target.flush();
}

/// Answers a command line that clap refused, or that asks for help or the version.
pub(super) fn refuse_arguments(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    let is_json = arguments.iter().any(|argument| argument == "--json");
    if !is_json || matches!(error.kind(), DisplayHelp | DisplayVersion) {
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
    }
    let text = error.render().to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    Output { json: true }.finish(Err(Failure::usage(text)))
}
