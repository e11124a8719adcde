//! The record store: the latest state of every record of the tenant.

pub mod catalogue;
pub mod read;
pub mod refill;
pub mod routes;
pub mod schema;
pub mod search_text;
pub mod write;

#[cfg(test)]
pub(crate) mod fixture;
