//! One connected device: its events, a sign of life now and then, and its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::LiveFeed;
use super::event::Event;
use super::queue::Queue;
use crate::app::App;
use crate::platform::auth::TokenHash;

/// A place in the feed; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Member {
    feed: LiveFeed,
    id: u64,
    queue: Arc<Queue>,
}

impl Member {
    pub(super) fn new(feed: LiveFeed, id: u64, queue: Arc<Queue>) -> Self {
        Self { feed, id, queue }
    }

    /// The first event that comes; `None` when there will be none.
    pub(super) async fn first_event(&self) -> Option<Event> {
        poll_fn(|context| self.queue.poll(context)).await
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.feed.registry().leave(self.id);
        self.feed.note_left();
    }
}

/// The body of an answer that goes on for as long as the device listens.
pub(super) struct EventStream {
    member: Member,
    app: App,
    session: TokenHash,
    heartbeat: Pin<Box<Sleep>>,
    rhythm: Rhythm,
    greeting: Option<Event>,
    is_over: bool,
}

impl EventStream {
    pub(super) fn new(member: Member, app: App, session: TokenHash, retry_ms: u64) -> Self {
        let mut seed = [0; 8];
        app.entropy().fill(&mut seed);
        let mut rhythm = Rhythm::new(app.config().live.heartbeat, u64::from_le_bytes(seed));
        let heartbeat = Box::pin(sleep(rhythm.next()));
        let greeting = Some(Event::greeting(retry_ms));
        Self { member, app, session, heartbeat, rhythm, greeting, is_over: false }
    }

    /// A sign of life, as long as the session stands; an open stream is use of it.
    fn beat(&mut self) -> Event {
        let next = Instant::now() + self.rhythm.next();
        self.heartbeat.as_mut().reset(next);
        let sessions = &self.app.auth().sessions;
        if sessions.keep(self.app.db(), self.session, self.app.clock().now_ms()) {
            return Event::heartbeat();
        }
        self.is_over = true;
        Event::signed_out()
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(greeting) = self.greeting.take() {
            return Poll::Ready(Some(Ok(greeting.text)));
        }
        if let Poll::Ready(event) = self.member.queue.poll(context) {
            return Poll::Ready(event.map(|event| Ok(event.text)));
        }
        if self.heartbeat.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(self.beat().text)))
    }
}

/// Pauses around a middle length, so that ten thousand devices that came at once do not beat at once.
#[derive(Debug)]
struct Rhythm {
    middle: Duration,
    random: u64,
}

impl Rhythm {
    fn new(middle: Duration, seed: u64) -> Self {
        // A zero would stay zero for ever.
        Self { middle, random: seed | 1 }
    }

    /// A fifth shorter to a fifth longer than the middle.
    fn next(&mut self) -> Duration {
        // Marsaglia's xorshift: it spreads timers, it guards nothing.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = u32::try_from(self.random % 401).unwrap_or(0);
        self.middle * (800 + part) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_spread_around_their_middle() {
        let mut rhythm = Rhythm::new(Duration::from_secs(25), 7);
        let pauses: Vec<Duration> = (0..1_000).map(|_| rhythm.next()).collect();
        assert!(pauses.iter().all(|pause| (20..=30).contains(&pause.as_secs())), "{pauses:?}");
        let early = pauses.iter().filter(|pause| **pause < Duration::from_secs(25)).count();
        assert!((400..600).contains(&early), "{early} of 1,000 are early");
    }
}
