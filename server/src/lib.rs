//! One tenant's server: its database, its rules and the two interfaces to them, sync for devices and REST for others.

pub mod app;
pub mod blob;
pub mod cli;
pub mod demo;
pub mod device;
pub mod entitlement;
pub mod exchange;
pub mod export;
pub mod horizon;
pub mod import;
pub mod live;
pub mod live_feed;
pub mod model;
pub mod moves;
pub mod openapi;
pub mod platform;
pub mod recent;
pub mod record;
pub mod scope;
pub mod serve;
pub mod snapshot;
pub mod sync_rules;
pub mod tenant;
pub mod user;
pub mod wake;
