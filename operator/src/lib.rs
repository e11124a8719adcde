//! Tenants on Kubernetes: custom resources, and what brings the cluster to what they say.

pub mod cluster;
pub mod crd;
pub mod tenant;
