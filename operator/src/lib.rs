//! Tenants on Kubernetes: custom resources, and what brings the cluster to what they say.

pub mod cli;
pub mod cluster;
pub mod controller;
pub mod crd;
pub mod plan;
pub mod platform;
pub mod rollout;
pub mod telemetry;
pub mod tenant;
