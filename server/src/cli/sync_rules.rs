//! `cartera sync-rules`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Context;
use super::local_api::LocalApi;
use super::output::{Answer, Failure};

/// Shows which records devices carry by the model's sync rules, and settles them
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera sync-rules list --data ./cartera-data")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    Settle(Settle),
}

/// Lists the rules, for which day they are settled, and how many records are still to come or go
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera sync-rules list --json")]
struct List {}

/// Settles every rule for today, as the server does by itself each night; ends when that is done
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera sync-rules settle --data ./cartera-data")]
struct Settle {}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let api = LocalApi::open(context).await?;
    let done = match arguments.action {
        Action::List(List {}) => api.get("/api/v1/sync-rules").await,
        Action::Settle(Settle {}) => api.post("/api/v1/sync-rules/settle", &Value::Null).await,
    };
    api.close().await;
    let listed: Value = done?;
    let rules = listed["rules"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines = vec![format!("{:<24} {:<10} {:>9} {:>9} WHERE", "ENTITY", "DAY", "CARRIED", "LEFT")];
    lines.extend(rules.iter().map(|rule| {
        let text = |key: &str| rule[key].as_str().unwrap_or("-").to_owned();
        let (carried, left) = (rule["carried"].as_i64().unwrap_or(0), rule["left"].as_i64().unwrap_or(0));
        format!("{:<24} {:<10} {carried:>9} {left:>9} {}", text("entity"), text("day"), text("where"))
    }));
    Ok(Answer::new(&listed, lines.join("\n")))
}
