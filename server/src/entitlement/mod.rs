//! What the tenant is entitled to, as whoever runs many of them says it in files: modules, limits, whether changes are
//! taken, and who is the first administrator. The files may change while the server runs, and a new one is obeyed at once.
//!
//! What is in force stands in the catalogue, beside the model that it narrows, and so in every snapshot. Limits and power
//! bind people over the network, and not who runs commands on the server's machine; a module that is off is off for all.

mod file;
mod first_administrator;
mod follow;
mod health;
mod power;
mod token;

use axum::http::StatusCode;

pub use self::file::{Entitlements, Limits, Power, UnreadableFile};
pub use self::follow::{Following, at_start, follow};
pub use self::health::routes;
pub use self::power::{reason_to_defer, refuse_changes};
use crate::platform::http::Kind;

/// As many devices are enrolled as the tenant is entitled to.
pub const LIMIT_DEVICES: Kind = Kind::new(StatusCode::FORBIDDEN, "limit-devices", "No further device may be enrolled.");

/// As many people may sign in as the tenant is entitled to.
pub const LIMIT_USERS: Kind = Kind::new(StatusCode::FORBIDDEN, "limit-users", "No further user may sign in.");
