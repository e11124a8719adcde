//! `cartera conformance`

use std::path::PathBuf;

use anyhow::Context as _;
use cartera_conformance::{Person, Report, Target, TargetError, Verdict, checks};
use clap::Args;

use super::Context;
use super::output::{Answer, Failure};
use super::secret::{VARIABLE, read_password};

/// Where the other person's password may stand.
const OTHER_VARIABLE: &str = "CARTERA_OTHER_PASSWORD";

/// Checks whether a server keeps what the sync protocol's specification says
#[derive(Args, Debug)]
#[command(
    about = "Checks whether a server keeps what the sync protocol's specification says; docs/conformance.md is the guide",
    long_about = "Checks whether a server keeps what the sync protocol's specification says, over HTTP alone; docs/conformance.md is the guide.\n\nIt enrols devices of its own, makes records, and deletes them afterwards. Passwords are read from CARTERA_PASSWORD and CARTERA_OTHER_PASSWORD, or line by line from standard input.",
    after_help = "Examples:\n  echo \"$PASSWORD\" | cartera conformance https://crm.example.com --user tester@example.com\n  cartera conformance http://localhost:8080 --user admin@example.com --other rep@example.com --only Cursor"
)]
pub(super) struct Arguments {
    /// The server's address, as https://host:port.
    url: String,
    /// Who signs in: somebody who may make, change and delete records.
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// Somebody who sees less: shows how records leave a device.
    #[arg(long, value_name = "EMAIL")]
    other: Option<String>,
    /// The entity to make records of; what the model suggests when left out.
    #[arg(long)]
    entity: Option<String>,
    /// Only this section of the specification, or this check; may be repeated.
    #[arg(long, value_name = "SECTION|CHECK")]
    only: Vec<String>,
    /// Certificates (PEM) to trust in place of those that browsers trust.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Takes an address without TLS of another machine, where the way to it is known to be safe.
    #[arg(long)]
    plain_http: bool,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let asked = asked(&arguments.only)?;
    let target = target(&arguments)?;
    let bar = context.output.progress(Some(asked), &arguments.url);
    let (only, progress) = (arguments.only, bar.clone());
    let ran = tokio::task::spawn_blocking(move || {
        cartera_conformance::run(&target, &only, |check| {
            progress.set_message(check.to_owned());
            progress.inc(1);
        })
    });
    let report = ran.await.context("the suite ended early")?;
    bar.finish_and_clear();
    conclude(&report.map_err(|error| unchecked(&error))?, context)
}

/// How many checks the names stand for.
fn asked(only: &[String]) -> Result<u64, Failure> {
    let all = checks();
    let is_named = |section: &str, check: &str, name: &str| check == name || section.eq_ignore_ascii_case(name);
    for name in only {
        if !all.iter().any(|(section, checks)| checks.iter().any(|check| is_named(section, check, name))) {
            let sections: Vec<&str> = all.iter().map(|(section, _)| *section).collect();
            return Err(Failure::usage(format!(
                "there is no section and no check called “{name}”; the sections are: {}",
                sections.join(", ")
            )));
        }
    }
    let count = all
        .iter()
        .flat_map(|(section, checks)| checks.iter().map(move |check| (*section, *check)))
        .filter(|(section, check)| only.is_empty() || only.iter().any(|name| is_named(section, check, name)));
    Ok(count.count() as u64)
}

fn target(arguments: &Arguments) -> Result<Target, Failure> {
    let person = |variable: &str, email: &String| -> Result<Person, Failure> {
        Ok(Person { email: email.clone(), password: read_password(variable, email)? })
    };
    // The address is looked at before anybody is asked for a password.
    let nobody = Person { email: arguments.user.clone(), password: String::new() };
    let target = Target::new(&arguments.url, arguments.plain_http, nobody);
    let mut target = target.map_err(|error| Failure::usage(error.to_string()))?;
    target.user = person(VARIABLE, &arguments.user)?;
    target.other = arguments.other.as_ref().map(|email| person(OTHER_VARIABLE, email)).transpose()?;
    target.entity.clone_from(&arguments.entity);
    target.ca_file.clone_from(&arguments.ca_file);
    Ok(target)
}

fn unchecked(error: &TargetError) -> Failure {
    Failure::new("nothing-checked", "Nothing was checked.", error.to_string())
}

/// A server that does otherwise is a failure of the command; what could not be looked at is not.
fn conclude(report: &Report, context: &Context) -> Result<Answer, Failure> {
    let answer = Answer::new(report, report.to_string());
    if report.failed == 0 {
        return Ok(answer);
    }
    if !context.output.json {
        context.output.say(&answer);
    }
    let failed = report.named(Verdict::Failed).join(", ");
    let document = serde_json::to_value(report).context("could not write the report")?;
    Err(Failure::new(
        "does-not-conform",
        "The server does not keep what the specification says.",
        format!("{} does not keep the specification in {} places: {failed}", report.server, report.failed),
    )
    .fact("report", document))
}
