//! What the server tells a connected device of its own accord: as a stream, or one answer after the other.

use std::time::Duration;

use sync_protocol::wire::{LiveAnswer, LiveEvent};

use super::events::Blocks;
use super::http::{no_answer, read};
use super::{HttpTransport, TransportError};

/// After this long without a sign of life the connection is dead: the server gives one at least every half minute.
const SILENCE: Duration = Duration::from_mins(1);
/// A proxy may hold an answer back a little longer than the server does.
const GRACE: Duration = Duration::from_secs(20);

/// Where a device stands when it begins to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// The cursor of its last checkpoint.
    pub cursor: Option<String>,
    /// Hash of its model.
    pub model: Option<String>,
}

/// What comes while a device listens.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The stream lets its bytes through; with how long the server wants to be left alone after its end.
    Connected(Option<Duration>),
    /// An event.
    Event(LiveEvent),
}

impl HttpTransport {
    /// Listens until the stream ends, or `hear` says that nobody listens any more by returning false.
    ///
    /// # Errors
    /// As [`super::Transport::exchange`]; and when what answers is no stream of events.
    pub fn listen(&self, place: &Listening, hear: &mut dyn FnMut(Heard) -> bool) -> Result<(), TransportError> {
        let (url, asking) = self.get("/sync/v1/live");
        let asking = at(asking, place).header("Accept", "text/event-stream, application/problem+json");
        let asking = asking.config().timeout_per_read(Some(SILENCE)).build();
        let answer = asking.call().map_err(|source| no_answer(&url, source))?;
        let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
        let is_stream = content_type.is_some_and(|media| media.starts_with("text/event-stream"));
        if !(answer.status().is_success() && is_stream) {
            let reason = "it is no stream of events".to_owned();
            read(&url, answer)?;
            return Err(TransportError::Unintelligible { url, reason });
        }
        let mut is_connected = false;
        for block in Blocks::of(answer.into_body().into_reader()) {
            let block = block.map_err(|error| no_answer(&url, ureq::Error::Io(error)))?;
            if !std::mem::replace(&mut is_connected, true) && !hear(Heard::Connected(block.retry)) {
                return Ok(());
            }
            let event = LiveEvent::read(&block.name, &block.data)
                .map_err(|error| TransportError::Unintelligible { url: url.clone(), reason: error.to_string() })?;
            if event.is_some_and(|event| !hear(Heard::Event(event))) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits for one event, as long as that: for where something on the way lets no stream through.
    ///
    /// # Errors
    /// As [`super::Transport::exchange`].
    pub fn wait(&self, place: &Listening, wait: Duration) -> Result<LiveAnswer, TransportError> {
        let (url, asking) = self.get(&format!("/sync/v1/live?wait={}", wait.as_secs()));
        let asking = at(asking, place).header("Accept", "application/json, application/problem+json");
        let patience = Some(wait + GRACE);
        let asking = asking.config().timeout_recv_response(patience).timeout_per_read(patience).build();
        let answer = asking.call().map_err(|source| no_answer(&url, source))?;
        let bytes = read(&url, answer)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| TransportError::Unintelligible { url, reason: error.to_string() })
    }
}

type Asking = ureq::RequestBuilder<ureq::typestate::WithoutBody>;

fn at(mut asking: Asking, place: &Listening) -> Asking {
    for (name, value) in [("Last-Event-ID", &place.cursor), ("Cartera-Model", &place.model)] {
        if let Some(value) = value {
            asking = asking.header(name, value);
        }
    }
    asking
}
