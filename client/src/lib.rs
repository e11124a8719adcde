//! The native reference client: a device that carries a user's records, works without a network, and syncs with its
//! server when it is told to. `cartera-device` is its command line.
//!
//! | module | knows |
//! |---|---|
//! | [`storage`] | one SQLite file: base records, outbox, what needs attention, position, model, identity |
//! | [`transport`] | HTTP to the server |
//! | [`device`] | the engine of `sync-protocol` between the two, and the model's rules before an edit is queued |
//! | [`value`] | what people type and read, and the JSON that records hold |
//! | [`cli`] | the commands |

pub mod cli;
pub mod device;
pub mod host;
mod message;
pub mod storage;
pub mod transport;
pub mod value;
