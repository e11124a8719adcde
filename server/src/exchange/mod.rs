//! Push and pull in one round trip: `POST /sync/v1/exchange`.

mod first_syncs;
mod operation;
mod page;
mod pull;
mod routes;

pub use first_syncs::{FirstSyncs, Place};
pub use page::Page;
pub use pull::{PullError, Puller};
pub use routes::{Described, MAX_PAGE_BYTES, expect_protocol, routes};
