//! One tenant's server: its database, its rules and the two interfaces to them, sync for devices and REST for others.

pub mod platform;
