//! What the server tells about itself: log, traces, measurements.
//!
//! Neither log nor traces hold secrets, bodies or field values. Names of fields are dotted and those of the glossary.

mod log;
pub mod metrics;
pub mod routes;
mod traces;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::config;

/// What was started; [`Telemetry::stop`] sends what is not sent yet.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Starts log and traces of this process as configured; where the process has them already, they stay.
///
/// # Errors
/// When the exporter of traces cannot be made.
pub fn start(config: &config::Telemetry) -> anyhow::Result<Telemetry> {
    let traces = config.otlp_endpoint.as_deref().map(traces::provider).transpose()?;
    let to_collector = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_location(false).with_threads(false).with_tracer(provider.tracer("cartera"))
    });
    let registry = tracing_subscriber::registry().with(log::filter(config)).with(to_collector);
    // An embedder or a test may have set a subscriber of its own: it wins.
    let _ = registry.with(log::layer(config.log_format)).try_init();
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Sends what is not sent yet.
    pub async fn stop(self) {
        let Some(traces) = self.traces else { return };
        let sent = tokio::task::spawn_blocking(move || traces.shutdown()).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(error = %error, "the last traces could not be sent to the collector");
        }
    }
}
