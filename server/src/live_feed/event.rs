//! Events as they travel: encoded once, however many devices they go to.

use std::ops::Range;

use bytes::Bytes;
use sync_protocol::id::Sequence;

/// What an event says, for the measurements and for what may take the place of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A line that says nothing.
    Comment,
    Poke,
    Delta,
    Order,
}

impl Kind {
    /// The event's name on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Poke => "poke",
            Self::Delta => "delta",
            Self::Order => "order",
        }
    }
}

/// One event; its clones share the bytes.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: Kind,
    /// As the stream carries it.
    pub(super) text: Bytes,
    /// Where its data stand in that.
    data: Range<usize>,
}

impl Event {
    pub(super) fn poke(head: Sequence) -> Self {
        Self::new(Kind::Poke, "", &format!("{{\"head\":{head}}}"))
    }

    /// `from` and `cursor` are sealed cursors, which have no character that JSON or the stream would have to escape;
    /// `operations` are compact JSON, which has no line break.
    pub(super) fn delta(from: &str, cursor: &str, head: Sequence, operations: &str) -> Self {
        let data =
            format!("{{\"from\":\"{from}\",\"cursor\":\"{cursor}\",\"head\":{head},\"operations\":{operations}}}");
        Self::new(Kind::Delta, &format!("id: {cursor}\n"), &data)
    }

    /// The model that the device's user sees has another hash.
    pub(super) fn upgrade(model: &str) -> Self {
        Self::new(Kind::Order, "", &format!("{{\"order\":\"upgrade\",\"model\":\"{model}\"}}"))
    }

    /// The device's session has ended.
    pub(super) fn signed_out() -> Self {
        Self::new(Kind::Order, "", "{\"order\":\"signed-out\"}")
    }

    /// The first thing on a stream, so that the answer begins; and how long to wait before connecting again.
    pub(super) fn greeting(retry_ms: u64) -> Self {
        let text = format!(": connected\nretry: {retry_ms}\n\n");
        Self { kind: Kind::Comment, text: text.into(), data: 0..0 }
    }

    /// A sign of life.
    pub(super) fn heartbeat() -> Self {
        Self { kind: Kind::Comment, text: Bytes::from_static(b":\n\n"), data: 0..0 }
    }

    fn new(kind: Kind, id: &str, data: &str) -> Self {
        let head = format!("{id}event: {}\ndata: ", kind.name());
        let range = head.len()..head.len() + data.len();
        Self { kind, text: format!("{head}{data}\n\n").into(), data: range }
    }

    /// The event as the answer of a long poll.
    pub(super) fn answer(&self) -> String {
        let data = std::str::from_utf8(&self.text[self.data.clone()]).unwrap_or("{}");
        format!("{{\"{}\":{data}}}", self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use sync_protocol::wire::{LiveAnswer, LiveEvent, Order};

    use super::*;

    /// What is written by hand must read back as the protocol's own types.
    #[test]
    fn events_read_back_as_the_wire_types_on_either_way() {
        let events = [Event::delta("a", "b", 7, "[]"), Event::poke(9), Event::upgrade("m2"), Event::signed_out()];
        for event in &events {
            let answer: LiveAnswer = serde_json::from_str(&event.answer()).expect("an answer");
            assert_eq!(answer.into_events().count(), 1, "{}", event.answer());
        }
        let lines = |event: &Event| String::from_utf8(event.text.to_vec()).expect("UTF-8");
        let text = lines(&events[0]);
        let [id, name, data, "", ""] = text.split('\n').collect::<Vec<_>>()[..] else { panic!("five lines: {text}") };
        assert_eq!((id, name), ("id: b", "event: delta"));
        let data = data.strip_prefix("data: ").expect("data");
        let Ok(Some(LiveEvent::Delta(delta))) = LiveEvent::read("delta", data) else { panic!("a delta: {data}") };
        assert_eq!((delta.from.as_str(), delta.cursor.as_str(), delta.head), ("a", "b", 7));
        let text = lines(&events[2]);
        let data = text.lines().nth(1).and_then(|line| line.strip_prefix("data: ")).expect("data");
        let Ok(Some(LiveEvent::Order(order))) = LiveEvent::read("order", data) else { panic!("an order: {data}") };
        assert_eq!(order, Order::Upgrade { model: "m2".into() });
    }
}
