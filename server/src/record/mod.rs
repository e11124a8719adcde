//! The record store: the latest state of every record of the tenant.

pub mod catalogue;
pub mod search_text;
pub mod write;
