//! Push and pull in one round trip: `POST /sync/v1/exchange`; and `POST /sync/v1/digest`, which finds what differs.

mod compare;
mod digest;
mod first_syncs;
mod gained;
mod known;
mod mismatch;
mod operation;
mod page;
mod point;
mod pull;
mod routes;
mod row;
mod scope_digest;
mod sending;
#[cfg(test)]
mod tests;

pub use first_syncs::{FirstSyncs, Place};
pub use page::Page;
pub use pull::{PullError, Puller};
pub use routes::{Described, MAX_PAGE_BYTES, expect_protocol, routes};
pub use scope_digest::recount_where_missing;
