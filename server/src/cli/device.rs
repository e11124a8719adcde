//! `cartera device`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Context;
use super::local_api::LocalApi;
use super::output::{Answer, Failure};

/// Shows the devices and how they stand
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera device list --data ./cartera-data")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
}

/// Lists every device with its last report: what waits on it, how far behind it is, what keeps it from syncing
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera device list --json")]
struct List {}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let Action::List(List {}) = arguments.action;
    let api = LocalApi::open(context).await?;
    let done = list(&api).await;
    api.close().await;
    done
}

async fn list(api: &LocalApi) -> Result<Answer, Failure> {
    let listed: Value = api.get("/api/v1/devices").await?;
    let devices = listed["devices"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines = vec![format!(
        "{:<24} {:<36} {:<7} {:<5} {:>8} {:>10} {:>10} {:>6} PROBLEM",
        "NAME", "DEVICE", "ACTIVE", "WAKES", "WAITING", "OLDEST", "LAG", "MENDED"
    )];
    lines.extend(devices.iter().map(line));
    Ok(Answer::new(&listed, lines.join("\n")))
}

fn line(device: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let report = &device["report"];
    let active = if device["active"] == true { "yes" } else { "no" };
    let wakes = if device["wake"].is_object() { "yes" } else { "no" };
    let waiting = report["waiting"].as_u64().map_or_else(|| "-".to_owned(), |waiting| waiting.to_string());
    let mended = device["mended"]["times"].as_u64().unwrap_or(0);
    let problem = match (report["problem"].as_str(), report["attention"].as_u64()) {
        (Some(code), _) => code.to_owned(),
        (None, Some(attention)) if attention > 0 => format!("{attention} need attention"),
        _ => "-".to_owned(),
    };
    format!(
        "{:<24} {:<36} {active:<7} {wakes:<5} {waiting:>8} {:>10} {:>10} {mended:>6} {problem}",
        text(&device["name"]),
        text(&device["id"]),
        age(&report["oldest_ms"]),
        age(&report["lag_ms"])
    )
}

/// An age in its largest unit.
fn age(ms: &Value) -> String {
    let Some(ms) = ms.as_i64() else { return "-".to_owned() };
    let seconds = ms / 1_000;
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
