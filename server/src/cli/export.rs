//! `cartera export`

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::body::Body;
use axum::http::Request;
use clap::{Args, ValueEnum};
use http_body_util::BodyExt;
use indicatif::ProgressBar;
use serde_json::json;

use super::Context;
use super::local_api::{LocalApi, expect_success};
use super::output::{Answer, Failure};

/// Writes records to a file
#[derive(Args, Debug)]
#[command(
    about = "Writes a list to a CSV or XLSX file, or the whole tenant to an archive; docs/import-export.md is the guide",
    after_help = "Examples:\n  cartera export account -o accounts.csv\n  cartera export opportunity --format xlsx --where \"stage.kind == 'won'\" --fields name,account,amount --language es -o won.xlsx\n  cartera export all -o cartera.zip"
)]
pub(super) struct Arguments {
    /// What to export: account, contact, opportunity, …; `all` for the whole tenant as a ZIP archive.
    entity: String,
    #[arg(long, help = "The format; told from the file's name when left out")]
    format: Option<Format>,
    #[arg(short, long, value_name = "FILE", help = "The file; standard output when left out")]
    output: Option<PathBuf>,
    /// Only records of which this expression is true.
    #[arg(long = "where", value_name = "CEL")]
    filter: Option<String>,
    /// The order, such as name,-close_date.
    #[arg(long)]
    sort: Option<String>,
    /// Only these fields, in this order; `id` is the record's id.
    #[arg(long, value_name = "NAME,…")]
    fields: Option<String>,
    /// Headings and options in this language instead of the model's own names.
    #[arg(long)]
    language: Option<Language>,
    /// Links as titles or as ids.
    #[arg(long)]
    links: Option<Links>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Xlsx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Es,
    En,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Links {
    Titles,
    Ids,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let path = path(&arguments)?;
    let is_text = path.starts_with("/api/v1/exports") || is_xlsx(&arguments);
    match &arguments.output {
        None if context.output.json => {
            return Err(Failure::usage("--json says what was done: name the file with -o FILE"));
        }
        None if is_text && io::stdout().is_terminal() => {
            return Err(Failure::usage(
                "a workbook or an archive is no text for a terminal: name the file with -o FILE",
            ));
        }
        _ => {}
    }
    let api = LocalApi::open(context).await?;
    let bar = context.output.progress(None, &arguments.entity);
    let done = export(&api, &path, arguments.output.as_deref(), &bar).await;
    bar.finish_and_clear();
    api.close().await;
    let bytes = done?;
    let Some(file) = &arguments.output else { return Ok(Answer::already_said()) };
    let file = file.display().to_string();
    let text = format!("{}: {bytes} bytes in {file}", arguments.entity);
    Ok(Answer::new(json!({"entity": arguments.entity, "file": file, "bytes": bytes}), text))
}

async fn export(api: &LocalApi, path: &str, output: Option<&Path>, bar: &ProgressBar) -> Result<u64, Failure> {
    let request = Request::get(path).body(Body::empty()).context("could not make the request")?;
    let response = expect_success(api.send(request).await?).await?;
    let mut body = response.into_body();
    let Some(output) = output else {
        let mut stdout = io::stdout().lock();
        return copy(&mut body, &mut stdout, bar).await;
    };
    // Under another name until it is whole: nobody finds half a file under this one.
    let mut part = output.as_os_str().to_owned();
    part.push(".part");
    let attempt = || format!("could not write {}", output.display());
    let mut file = File::create(&part).with_context(attempt)?;
    let copied = copy(&mut body, &mut file, bar).await;
    if copied.is_err() {
        let _ = std::fs::remove_file(&part);
        return copied;
    }
    file.sync_all().with_context(attempt)?;
    std::fs::rename(&part, output).with_context(attempt)?;
    copied
}

async fn copy(body: &mut Body, target: &mut impl Write, bar: &ProgressBar) -> Result<u64, Failure> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!("the export broke off: {error}"))?;
        if let Ok(data) = frame.into_data() {
            target.write_all(&data).context("could not write what was exported")?;
            bytes += data.len() as u64;
            bar.set_position(bytes);
        }
    }
    target.flush().context("could not write what was exported")?;
    Ok(bytes)
}

fn is_xlsx(arguments: &Arguments) -> bool {
    let by_name = || {
        let extension = arguments.output.as_ref().and_then(|file| file.extension());
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case("xlsx"))
    };
    arguments.format.map_or_else(by_name, |format| format == Format::Xlsx)
}

fn path(arguments: &Arguments) -> Result<String, Failure> {
    let asked = [&arguments.filter, &arguments.sort, &arguments.fields];
    if arguments.entity == "all" {
        let has_more = asked.iter().any(|asked| asked.is_some()) || arguments.format.is_some();
        if has_more || arguments.language.is_some() || arguments.links.is_some() {
            return Err(Failure::usage("`cartera export all` writes everything as it is: it takes only -o FILE"));
        }
        return Ok("/api/v1/exports/all".to_owned());
    }
    let mut path = format!("/api/v1/{}/export?format=", encoded(&arguments.entity));
    path.push_str(if is_xlsx(arguments) { "xlsx" } else { "csv" });
    for (name, value) in ["where", "sort", "fields"].iter().zip(asked) {
        if let Some(value) = value {
            path.extend(["&", name, "=", &encoded(value)]);
        }
    }
    match arguments.language {
        Some(Language::Es) => path.push_str("&language=es"),
        Some(Language::En) => path.push_str("&language=en"),
        None => {}
    }
    match arguments.links {
        Some(Links::Ids) => path.push_str("&links=ids"),
        Some(Links::Titles) | None => {}
    }
    Ok(path)
}

/// Percent-encoded for a place in an address.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b',') {
            encoded.push(char::from(byte));
        } else {
            let _ = std::fmt::Write::write_fmt(&mut encoded, format_args!("%{byte:02X}"));
        }
    }
    encoded
}
