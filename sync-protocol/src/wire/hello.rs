use serde::{Deserialize, Serialize};

use super::Order;

/// `POST /sync/v1/hello`: a device says what it is, before it exchanges for the first time or after an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloRequest {
    /// Versions of the protocol that it speaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<u32>,
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Hash of the model that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// The answer to a [`HelloRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// Versions of the protocol that the server speaks.
    pub protocols: Vec<u32>,
    /// Version of the server.
    pub server: String,
    /// Hash of the model as this user may see it.
    pub model: String,
    /// What the server can do besides the exchange: `live`, `live-wait`, `report`, `wake`.
    pub capabilities: Vec<String>,
    /// The key that a push subscription of the device has to name, where the server wakes devices: a point of the curve
    /// P-256, uncompressed, in base64url without padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_key: Option<String>,
    /// What it takes and gives at once.
    pub limits: Limits,
    /// What the device has to do.
    pub orders: Vec<Order>,
    /// The server's time, milliseconds since the Unix epoch: it annotates, it never decides.
    pub server_time_ms: i64,
}

/// What a server takes and gives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Mutations in one exchange.
    pub mutations: u64,
    /// Bytes of a request's body, decompressed.
    pub body_bytes: u64,
    /// Bytes of operations in one page.
    pub page_bytes: u64,
    /// Seconds that a long poll waits.
    pub wait_secs: u64,
}

/// `POST /sync/v1/report`: how a device stands, for its user and the administrators. Times are ages, so that a device whose
/// clock is wrong is understood all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Hash of the model that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How long ago it was last in step, in milliseconds; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<i64>,
    /// Mutations without a final outcome.
    pub waiting: u64,
    /// How long ago the oldest of them was made, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<i64>,
    /// Outcomes that a person has to look at.
    pub attention: u64,
    /// Code of the problem that keeps it from exchanging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What its last comparison of digests found: `same` or `differs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Size of its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
}

/// `PUT /sync/v1/wake`: a push subscription as a browser writes it down (`PushSubscription.toJSON()`); of its other keys,
/// none is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeRequest {
    /// The address at which the push service is asked.
    pub endpoint: String,
}
