//! The CRM itself: what an account or an opportunity is, who may do what with it, and what follows from a change.
//!
//! Pure: no I/O, no clock, no randomness, and no knowledge of sync, SQL drivers or HTTP. The server and every device
//! run the same code, so that a rule rejects on the phone what the server would reject.

pub mod expr;
pub mod model;
pub mod rules;

/// Field values of one record by field name; an absent field is empty, `null` is never stored.
pub type Fields = std::collections::BTreeMap<String, serde_json::Value>;
