//! What every slice stands on: database, clock, randomness, configuration, HTTP, authentication, telemetry. No features.

pub mod auth;
pub mod calendar;
pub mod clock;
pub mod config;
pub mod db;
pub mod entropy;
pub mod http;
pub mod telemetry;

/// An error with all its causes, on one line.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
