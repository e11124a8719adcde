//! `cartera serve`

use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::output::{Answer, Failure};
use crate::platform::clock::SystemClock;
use crate::platform::entropy::SystemEntropy;
use crate::platform::telemetry;
use crate::serve;

/// Serves a data folder until it is asked to stop (Ctrl+C, SIGTERM)
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cartera serve --data ./cartera-data\n  cartera serve --data ./cartera-data --listen 0.0.0.0:8443 \\\n    --set tls.cert_file=tls.crt --set tls.key_file=tls.key"
)]
pub(super) struct Arguments {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
}

#[derive(Serialize)]
struct Started {
    url: String,
    data: String,
    /// Nobody can sign in yet.
    needs_first_user: bool,
}

pub(super) async fn run(_arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let telemetry = telemetry::start(&context.config.telemetry)?;
    let running = serve::start(context.config.clone(), Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
    announce(&running, context).await?;
    let stopped = running.until_signal().await;
    telemetry.stop().await;
    stopped?;
    Ok(Answer::already_said())
}

async fn announce(running: &serve::Running, context: &Context) -> Result<(), Failure> {
    let data = context.config.data_dir.display().to_string();
    let credentials: i64 = sqlx::query_scalar("SELECT count(*) FROM credential")
        .fetch_one(running.app().db().readers())
        .await
        .map_err(|error| Failure::of("could not count who may sign in", &error.into()))?;
    let started = Started { url: running.url(), data, needs_first_user: credentials == 0 };
    let mut text = format!("Cartera listens on {} (data: {}).", started.url, started.data);
    if started.needs_first_user {
        text.extend([
            "\nNobody can sign in yet. Add the first administrator from another terminal:",
            "\n  cartera user add you@example.com --role admin --data ",
            &started.data,
        ]);
    }
    context.output.say(&Answer::new(&started, text));
    Ok(())
}
