//! Delta sync between one server and the devices that carry its records.
//!
//! Everything here is pure: no I/O, no clock, no randomness; time and random bytes are arguments. The same code runs
//! in the server, in the native client, in the app as WASM, and in tests. The crate knows nothing of CRM, SQL or HTTP:
//! an entity is a name, a record is an id with fields, a field's value is JSON.

pub mod cursor;
pub mod digest;
pub mod engine;
pub mod fault;
pub mod id;
pub mod merge;
pub mod store;
pub mod wire;

/// The version of the protocol that this crate speaks; both sides send it with every exchange.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest version whose devices a server of this release tells anything. What an older one pushes is decided all the
/// same: mutations and outcomes keep their form.
pub const OLDEST_PROTOCOL: u32 = 1;
