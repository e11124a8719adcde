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
        "{:<24} {:<36} {:<7} {:<5} {:>8} {:>10} {:>10} {:<7} {:>6} {:<10} PROBLEM",
        "NAME", "DEVICE", "ACTIVE", "WAKES", "WAITING", "OLDEST", "LAG", "DIGEST", "MENDED", "APP"
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
        "{:<24} {:<36} {active:<7} {wakes:<5} {waiting:>8} {:>10} {:>10} {:<7} {mended:>6} {:<10} {problem}",
        text(&device["name"]),
        text(&device["id"]),
        age(&report["oldest_ms"]),
        age(&report["lag_ms"]),
        text(&report["digest"]),
        text(&report["app"])
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_is_one_line_with_all_that_it_reported() {
        let device = json!({
            "name": "Tablet", "id": "01a10bef", "active": true, "wake": {}, "mended": { "times": 2 },
            "report": {
                "waiting": 3, "oldest_ms": 180_000, "lag_ms": 90_000, "digest": "differs", "app": "0.1.0",
                "problem": "unreachable", "attention": 1,
            },
        });
        let told: Vec<String> = line(&device).split_whitespace().map(str::to_owned).collect();
        let expected = "Tablet 01a10bef yes yes 3 3 min 90 s differs 2 0.1.0 unreachable";
        assert_eq!(told.join(" "), expected);
        let silent = json!({ "name": "Phone", "id": "01a10bf0", "active": false });
        let told: Vec<String> = line(&silent).split_whitespace().map(str::to_owned).collect();
        assert_eq!(told.join(" "), "Phone 01a10bf0 no no - - - - 0 - -");
    }
}
