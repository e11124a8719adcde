//! `cartera import`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, header};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use super::Context;
use super::import_report;
use super::local_api::{LocalApi, read_answer};
use super::output::{Answer, Failure};
use crate::import::job::{ImportJob, State};
use crate::import::mapping::Mapping;

/// How often a running import is asked how far it is.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is sent of a file at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Brings a CSV, XLSX or vCard file in, all of it or nothing
#[derive(Args, Debug)]
#[command(
    about = "Brings a CSV, XLSX or vCard file in, all of it or nothing; docs/import-export.md is the guide",
    after_help = "Examples:\n  cartera import account accounts.csv --dry-run\n  cartera import opportunity deals.xlsx --map 'Deal owner=owner' --on-missing account=keep\n  cartera import user teams.csv --map teams.yaml\n  cartera import --undo 0199c3f2-6d1e-7f3a-9c58-0a1b2c3d4e5f"
)]
pub(super) struct Arguments {
    /// What each row is: account, contact, opportunity, …
    #[arg(required_unless_present = "undo")]
    entity: Option<String>,
    /// The file; its format is told from its content.
    #[arg(required_unless_present = "undo")]
    file: Option<PathBuf>,
    /// Where a column goes (`-`: nowhere), or a YAML file that says it all; may be repeated.
    #[arg(long = "map", value_name = "FILE|COLUMN=FIELD")]
    maps: Vec<String>,
    /// What becomes of rows that name a record that there is not, or lack a required value: reject, create or keep.
    #[arg(long = "on-missing", value_name = "POLICY|FIELD=POLICY")]
    on_missing: Vec<String>,
    /// The worksheet of an XLSX file.
    #[arg(long)]
    sheet: Option<String>,
    /// The currency of amounts that name none.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// The country of telephone numbers without a country code.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// Only says what would happen.
    #[arg(long)]
    dry_run: bool,
    /// Takes an import back: deletes what it made and restores what it changed, where nobody changed it since.
    #[arg(long, value_name = "ID", conflicts_with_all = ["entity", "file", "maps", "on_missing", "dry_run"])]
    undo: Option<uuid::Uuid>,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    if let Some(id) = arguments.undo {
        let api = LocalApi::open(context).await?;
        let undone: Result<ImportJob, Failure> = api.post(&format!("/api/v1/imports/{id}/undo"), &json!(null)).await;
        api.close().await;
        let undone = undone?;
        return Ok(Answer::new(&undone, import_report::undone(&undone)));
    }
    let (Some(entity), Some(path)) = (&arguments.entity, &arguments.file) else {
        return Err(Failure::usage("say what to import: cartera import ENTITY FILE"));
    };
    // Read before the data is opened: what the command line gets wrong changes nothing.
    let mapping = mapping(&arguments)?;
    let file = File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let request = json!({"entity": entity, "file_name": name, "dry_run": arguments.dry_run, "mapping": mapping});
    let api = LocalApi::open(context).await?;
    let bar = context.output.progress(None, &name);
    let done = import(&api, &request, file, &bar).await;
    bar.finish_and_clear();
    api.close().await;
    conclude(&done?, context)
}

async fn import(
    api: &LocalApi,
    request: &serde_json::Value,
    file: File,
    bar: &ProgressBar,
) -> Result<ImportJob, Failure> {
    let asked: ImportJob = api.post("/api/v1/imports", request).await?;
    let path = format!("/api/v1/imports/{}", asked.id);
    let sent = Request::builder()
        .method(Method::PUT)
        .uri(format!("{path}/file"))
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .body(stream(file))
        .context("could not make the request")?;
    let mut job: ImportJob = read_answer(api.send(sent).await?).await?;
    while matches!(job.state, State::Waiting | State::Running) {
        tokio::time::sleep(PATIENCE).await;
        job = api.get(&path).await?;
        if job.progress.rows_total > 0 {
            bar.set_length(job.progress.rows_total);
            bar.set_position(job.progress.rows_done);
        }
    }
    Ok(job)
}

/// A file that was refused is a failure of the command; a dry run that says so has done what it was asked.
fn conclude(job: &ImportJob, context: &Context) -> Result<Answer, Failure> {
    let report = import_report::text(job);
    let is_damaged = !job.refusals.is_empty();
    if matches!(job.state, State::Done) || (job.dry_run && !is_damaged) {
        return Ok(Answer::new(job, report));
    }
    if !context.output.json && !is_damaged {
        context.output.say(&Answer::new(job, report));
    }
    let detail = match job.refusals.first() {
        Some(refusal) => {
            let place = refusal.line.map_or_else(String::new, |line| format!(", line {line}"));
            format!("{}{place}: {}", job.file_name, refusal.message)
        }
        None => format!(
            "{} was not imported: {} rows have errors; nothing was changed",
            job.file_name, job.counts.rows_with_errors
        ),
    };
    let document = serde_json::to_value(job).context("could not write the report")?;
    Err(Failure::new("import-refused", "The file was not imported.", detail).fact("import", document))
}

fn mapping(arguments: &Arguments) -> Result<Mapping, Failure> {
    let (files, columns): (Vec<&String>, Vec<&String>) =
        arguments.maps.iter().partition(|map| !map.contains('=') || Path::new(map).is_file());
    let mut mapping = match files[..] {
        [] => Mapping::default(),
        [path] => {
            let yaml = std::fs::read_to_string(path).with_context(|| format!("could not read the mapping {path}"))?;
            Mapping::from_yaml(&yaml).map_err(|error| Failure::usage(format!("{path} is no mapping: {error}")))?
        }
        _ => return Err(Failure::usage("one --map FILE is enough; say the rest with --map COLUMN=FIELD")),
    };
    for column in columns {
        mapping.map_column(column).map_err(Failure::usage)?;
    }
    for policy in &arguments.on_missing {
        mapping.map_missing(policy).map_err(Failure::usage)?;
    }
    mapping.currency = arguments.currency.clone().or(mapping.currency);
    mapping.country = arguments.country.clone().or(mapping.country);
    mapping.file.sheet = arguments.sheet.clone().or(mapping.file.sheet);
    Ok(mapping)
}

/// The file, piece by piece.
fn stream(file: File) -> Body {
    Body::from_stream(futures_util::stream::unfold(Some(file), async |file| {
        let mut file = file?;
        let mut piece = vec![0; PIECE_BYTES];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                Some((Ok(Bytes::from(piece)), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    }))
}
