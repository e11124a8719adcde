use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::Sequence;

/// `poke` of `GET /sync/v1/live`: something came that concerns this device; an exchange brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poke {
    /// The tenant's last sequence.
    pub head: Sequence,
}

/// `delta` of `GET /sync/v1/live`: what came, small enough to be told at once.
///
/// It is what an exchange without mutations would have answered: a whole consistent point. A device applies it only
/// where it has exactly the cursor `from`; otherwise it is a [`Poke`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delta {
    /// The cursor that the device has to have.
    pub from: String,
    /// The cursor that it has then.
    pub cursor: String,
    /// The tenant's last sequence at `cursor`.
    pub head: Sequence,
    /// An array of [`crate::wire::Operation`], kept raw as in an exchange.
    pub operations: Box<RawValue>,
}

/// `order` of `GET /sync/v1/live`: something that the device has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Its user sees another model now: an exchange brings what follows from it.
    Upgrade {
        /// Hash of the model.
        model: String,
    },
    /// The device is too old to be told anything: what it pushes is decided, and it gets its outcomes.
    Update {
        /// The oldest version of the protocol whose devices are told.
        protocol: u32,
    },
    /// Its session ended or was revoked; the stream ends with this. Everything on the device stays.
    SignedOut,
    /// One that this side does not know yet; it is skipped.
    #[serde(other)]
    Unknown,
}

/// One event of `GET /sync/v1/live`.
#[derive(Clone, Debug)]
pub enum LiveEvent {
    /// Something came.
    Poke(Poke),
    /// Something came, and this is it.
    Delta(Box<Delta>),
    /// Something has to be done.
    Order(Order),
}

impl LiveEvent {
    /// Reads an event of the stream by its name and its data; `None` is an event of a later version, to be skipped.
    ///
    /// # Errors
    ///
    /// The data of an event that is known cannot be read.
    pub fn read(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match name {
            "poke" => Self::Poke(serde_json::from_str(data)?),
            "delta" => Self::Delta(Box::new(serde_json::from_str(data)?)),
            "order" => Self::Order(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }
}

/// The answer of `GET /sync/v1/live?wait=…`: what came meanwhile; nothing of it when nothing came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LiveAnswer {
    /// See [`Poke`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poke: Option<Poke>,
    /// See [`Delta`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Box<Delta>>,
    /// See [`Order`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

impl LiveAnswer {
    /// The events, in the order in which a device takes them.
    pub fn into_events(self) -> impl Iterator<Item = LiveEvent> {
        let delta = self.delta.map(LiveEvent::Delta);
        let poke = self.poke.map(LiveEvent::Poke);
        delta.into_iter().chain(poke).chain(self.order.map(LiveEvent::Order))
    }
}
