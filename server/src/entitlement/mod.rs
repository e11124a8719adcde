//! What the tenant is entitled to, as whoever runs many of them says it in files: modules, limits, whether changes are
//! taken, and who is the first administrator. The files may change while the server runs, and a new one is obeyed at once.
//!
//! What is in force stands in the catalogue, beside the model that it narrows, and so in every snapshot. It binds people
//! over the network; who runs commands on the server's machine is held back by nothing here.

mod file;
mod follow;
mod health;
mod power;
mod token;

pub use self::file::{Entitlements, Limits, Power, UnreadableFile};
pub use self::follow::{Following, at_start, follow};
pub use self::health::routes;
pub use self::power::{expect_changes_taken, refuse_changes};
