use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{MendReason, Mutation, Order, Outcome};
use crate::digest::Hash;
use crate::id::{MutationId, Sequence};

/// The most mutations that one exchange may carry; more are refused with `too-many-mutations`.
pub const MAX_MUTATIONS_PER_EXCHANGE: usize = 1_000;

/// `POST /sync/v1/exchange`: push and pull in one round trip.
///
/// The device is known from its session, not from the body. A device that still waits for outcomes sends those
/// mutations again, lowest id first, before anything new: the server answers what it has already decided from its
/// stored outcomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExchangeRequest {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Hash of the model that the device holds; `None` on a device that has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The cursor of the last checkpoint; `None` asks for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The highest mutation whose outcome is durable on the device: the server may forget outcomes up to it.
    #[serde(default)]
    pub acknowledged: MutationId,
    /// Ascending ids: those that the server has not decided yet are contiguous from its last decided one; below it there
    /// are only those that it decided without the device knowing, or deferred.
    #[serde(default)]
    pub mutations: Vec<Mutation>,
    /// The most bytes of operations (uncompressed JSON) wanted in the answer; the server may send fewer, and at least
    /// one operation. 0 asks for outcomes only: the cursor stays where it is.
    #[serde(default = "default_limit_bytes")]
    pub limit_bytes: u64,
    /// The device wants the digest also when there is nothing new: it has just started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compare: bool,
    /// Language of reasons and problems: `es` or `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

fn default_limit_bytes() -> u64 {
    1 << 20
}

/// The answer to an [`ExchangeRequest`].
///
/// A device applies the outcomes first, then the operations. Operations of a page with `more` are staged; all that is
/// staged becomes visible, with the cursor as its checkpoint, when a page without `more` is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangeResponse {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Hash of the model as this user may see it; when it differs from the device's, the device fetches it.
    pub model: String,
    /// One per mutation sent, in the order sent.
    pub outcomes: Vec<Outcome>,
    /// An array of [`crate::wire::Operation`], kept raw: the server copies it from storage without parsing, and a
    /// device may hand it on before it reads it.
    pub operations: Box<RawValue>,
    /// To be sent with the next exchange.
    pub cursor: String,
    /// More operations wait behind the cursor.
    pub more: bool,
    /// The tenant's last sequence when the page was cut.
    pub head: Sequence,
    /// What the device has to do: [`Order::Update`] where it is too old to be told anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Order>,
    /// The server's time, milliseconds since the Unix epoch: it annotates, it never decides.
    pub server_time_ms: i64,
    /// Of what the device holds after a page without `more`, in all held scopes: see [`crate::digest::combine`]. Absent
    /// where the server had no need to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash>,
    /// There are no news from this cursor, for this reason: the outcomes count, `operations`, `cursor` and `more` do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<MendReason>,
    /// The mutation of this device that the server decides next; a restored server may have forgotten later ones.
    /// Absent where the server had no need to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<MutationId>,
    /// Whatever the server decided up to this sequence is in a backup: the device need not offer it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<Sequence>,
}
