//! What every slice stands on: database, clock, randomness, configuration, HTTP, authentication, telemetry. No features.

pub mod config;
pub mod http;
pub mod telemetry;
