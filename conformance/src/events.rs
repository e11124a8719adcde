//! A stream of server-sent events, read until enough was heard.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::check::{Unmet, broken};
use crate::http::{Client, media_type};

/// After so long nothing is heard any more.
const LISTENING: Duration = Duration::from_secs(30);

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its lines of data.
    pub data: String,
    /// Where an event source would go on.
    pub id: String,
}

/// What was heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// `Content-Type`, without its parameters.
    pub media_type: String,
    /// In the order in which they came.
    pub events: Vec<Event>,
    /// The server ended the stream.
    pub is_over: bool,
}

impl Event {
    /// Its data, as what its name stands for.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Unmet> {
        serde_json::from_str(&self.data).or_else(|error| broken(format!("{self:?} cannot be read: {error}")))
    }
}

impl Client {
    /// Opens a stream, does what `opened` says when its head is in, and reads until an event is enough or the stream ends.
    pub fn listen(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        opened: impl FnOnce() -> Result<(), Unmet>,
        is_enough: impl Fn(&Event) -> bool,
    ) -> Result<Heard, Unmet> {
        let unheard = |reason: String| Unmet::Broken(format!("the stream {path}: {reason}"));
        let (head, body) = self.open(path, "text/event-stream", headers, LISTENING).map_err(unheard)?.into_parts();
        if head.status != 200 {
            return Err(unheard(format!("it was answered with {}", head.status)));
        }
        opened()?;
        let mut heard = Heard { media_type: media_type(&head.headers), events: Vec::new(), is_over: true };
        let mut event = Event::default();
        for line in BufReader::new(body.into_reader()).lines() {
            let line = line.map_err(|error| unheard(format!("{error}, after {:?}", heard.events)))?;
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                "data" => event.data.extend(["\n", value]),
                "id" => value.clone_into(&mut event.id),
                _ => {}
            }
            // A block without data is no event: signs of life, `retry`.
            if line.is_empty() && !event.data.is_empty() {
                heard.events.push(std::mem::take(&mut event));
                if heard.events.last().is_some_and(&is_enough) {
                    heard.is_over = false;
                    break;
                }
            }
        }
        Ok(heard)
    }
}
