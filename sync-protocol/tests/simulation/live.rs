//! The live stream: what the server tells of its own accord, and what becomes of it on the way.

use std::collections::VecDeque;

use serde_json::value::to_raw_value;
use sync_protocol::wire::{Delta, ExchangeResponse, LiveEvent, Poke, Problem};

use super::server::Server;

/// The server's end of the stream, and its events on their way.
#[derive(Debug, Default)]
pub struct Live {
    /// The last cursor that the server gave to the device, by either way: only from there it tells deltas, for only
    /// there it knows that the device has written nothing since.
    given: Option<String>,
    /// Where the device of the open stream stands; none where the server does not know.
    told: Option<String>,
    on_their_way: VecDeque<LiveEvent>,
}

impl Live {
    pub fn connect(&mut self, server: &Server, cursor: Option<String>) {
        self.told = cursor.filter(|cursor| self.given.as_ref() == Some(cursor));
        if self.told.is_none() {
            self.on_their_way.push_back(LiveEvent::Poke(Poke { head: server.head() }));
        }
    }

    /// A server that is restored was stopped before: its streams broke.
    pub fn cut(&mut self) {
        *self = Self::default();
    }

    /// An exchange moves the device's place on the stream too.
    pub fn note_exchange(&mut self, answer: &Result<ExchangeResponse, Box<Problem>>) {
        self.given = answer.as_ref().ok().filter(|response| !response.more).map(|response| response.cursor.clone());
        self.told.clone_from(&self.given);
    }

    /// Returns the cursor of the delta that goes out, where one does.
    pub fn tell(&mut self, server: &Server, inline: bool) -> Option<String> {
        let from = self.told.take();
        let cursor =
            from.as_ref().and_then(|from| server.open(from).ok()).filter(|cursor| server.has_news_from(cursor));
        if let (Some(from), Some(cursor)) = (from, cursor) {
            let (operations, next, more) = server.cut(cursor);
            if operations.is_empty() {
                self.told = Some(from);
                return None;
            }
            if inline && !more {
                let cursor = server.seal(&next);
                let operations = to_raw_value(&operations).expect("operations are JSON");
                let delta = Delta { from, cursor: cursor.clone(), head: server.head(), operations };
                self.on_their_way.push_back(LiveEvent::Delta(Box::new(delta)));
                self.given = Some(cursor.clone());
                self.told = Some(cursor.clone());
                return Some(cursor);
            }
        }
        self.on_their_way.push_back(LiveEvent::Poke(Poke { head: server.head() }));
        None
    }

    pub fn arrive(&mut self, which: u8, comes_again: bool) -> Option<LiveEvent> {
        let index = usize::from(which) % self.on_their_way.len().max(1);
        if comes_again {
            return self.on_their_way.get(index).cloned();
        }
        self.on_their_way.remove(index)
    }
}
