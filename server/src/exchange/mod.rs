//! Push and pull in one round trip: `POST /sync/v1/exchange`.

mod operation;
mod pull;
mod routes;

pub use pull::{Page, PullError, Puller};
pub use routes::{Described, routes};
