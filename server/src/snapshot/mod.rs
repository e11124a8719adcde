//! The snapshot: what a new device fetches before its first exchange, cut into chunks that devices with the same rights
//! share: `POST /sync/v1/manifest`, `GET /sync/v1/chunk/{hash}`, `POST /sync/v1/chunks`.
//!
//! A chunk holds the records of one scope as one projection shows them, in one range of ids. It is built when a manifest
//! first names it, kept as a file, and named again as long as little of it changed; never once a record in it was deleted
//! or left the scope.

mod answer;
mod build;
mod cache;
mod lookup;
mod routes;
mod set;

#[cfg(test)]
mod tests;

pub use lookup::{Chunks, ChunksError, Listing};
pub use routes::{Described, manifest, routes};
