//! `cartera openapi`

use clap::Args;
use serde_json::Value;

use super::Context;
use super::local_api::LocalApi;
use super::output::{Answer, Failure};

/// Describes the API as OpenAPI 3.1, with the model in force
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera openapi --data ./cartera-data > openapi.json")]
pub(super) struct Arguments {}

pub(super) async fn run(_arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let api = LocalApi::open(context).await?;
    let described = api.get::<Value>("/api/v1/openapi.json").await;
    api.close().await;
    let document = described?;
    let text = format!("{document:#}");
    Ok(Answer::new(document, text))
}
