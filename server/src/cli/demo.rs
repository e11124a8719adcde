//! `cartera demo`

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;

use super::Context;
use super::output::{Answer, Failure};
use crate::demo::{Recipe, Size, plan_tour, prepare};
use crate::platform::clock::SystemClock;
use crate::platform::entropy::SystemEntropy;
use crate::platform::telemetry;
use crate::serve;

/// Where the demo keeps its data unless `--data` says otherwise.
pub(super) const DATA_DIR: &str = "cartera-demo";

/// Serves a made-up company to try Cartera on, until it is asked to stop (Ctrl+C, SIGTERM)
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cartera demo\n  cartera demo --data /tmp/demo --listen 127.0.0.1:8090\n  cartera demo --fresh\n\nThe company is made up at the first start, with a year of sales up to the day before, and kept in ./cartera-demo."
)]
pub(super) struct Arguments {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    /// Throws the demo of the data folder away and makes it anew.
    #[arg(long)]
    fresh: bool,
    /// Another number makes another company.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let telemetry = telemetry::start(&context.config.telemetry)?;
    let bar = context.output.progress(None, "making up a company");
    let recipe = Recipe { seed: arguments.seed, size: Size::COMPANY, is_fresh: arguments.fresh };
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let demo = prepare(&context.config, recipe, clock.clone(), entropy.clone(), |written, all| {
        bar.set_length(all as u64);
        bar.set_position(written as u64);
    })
    .await?;
    bar.finish_and_clear();

    let running = serve::start(context.config.clone(), clock, entropy).await?;
    let url = readable_url(&running.url(), running.address());
    let tour = plan_tour(running.app(), &demo, url, &context.config.data_dir).await?;
    context.output.say(&Answer::new(&tour, tour.to_text()));
    let stopped = running.until_signal().await;
    telemetry.stop().await;
    stopped?;
    Ok(Answer::already_said())
}

/// `localhost` where it is that.
fn readable_url(url: &str, address: SocketAddr) -> String {
    if address.ip().is_loopback() { url.replace(&address.ip().to_string(), "localhost") } else { url.to_owned() }
}
