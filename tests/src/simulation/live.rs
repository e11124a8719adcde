//! A device listens while somebody writes on the server: what concerns it comes, and does what it should whenever it
//! arrives.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use cartera_server::record::write::Decision;
use proptest::prelude::*;
use sync_protocol::engine::Input;
use sync_protocol::id::RecordId;
use sync_protocol::wire::{LiveAnswer, LiveEvent, Order};

use super::change::{Change, Intent};
use super::check;
use super::office::{Office, Reply};
use super::oracle::Oracle;
use super::world::World;

/// How what came arrives at the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At once.
    Now,
    /// At once, and once more later.
    Twice,
    /// With some later [`super::Step::Hear`].
    Late,
    /// Never.
    Never,
}

pub(super) fn any_arrival() -> impl Strategy<Value = Arrival> {
    prop_oneof![4 => Just(Arrival::Now), 1 => Just(Arrival::Twice), 2 => Just(Arrival::Late), 1 => Just(Arrival::Never)]
}

/// An event on its way.
pub(super) struct News {
    pub(super) device: usize,
    event: LiveEvent,
}

/// A long poll while something is written; what came, and what was written. What concerns nobody here need not come: then
/// the device hangs up.
async fn ask_while(
    office: &Office,
    poll: Request<Body>,
    intents: Vec<Intent>,
    before: &Oracle,
    user: RecordId,
) -> (Option<Reply>, Vec<Decision>, Oracle) {
    let mut poll = Box::pin(office.ask(poll));
    let mut write = Box::pin(async {
        // First the device is there, then there is something to tell.
        office.read_something().await;
        let decisions = office.write(intents).await;
        (decisions, Oracle::read(office))
    });
    let (early, (decisions, after)) = tokio::select! {
        biased;
        reply = &mut poll => (Some(reply), write.await),
        written = &mut write => (None, written),
    };
    let reply = match early {
        None if after.sight(user) != before.sight(user) => Some(poll.await),
        early => early,
    };
    (reply, decisions, after)
}

impl World {
    /// A device that is in step waits for an event, and gets one if what is written changes anything that it may see.
    pub(super) async fn listen(&mut self, at: usize, change: &Change, arrival: Arrival) {
        let before = Oracle::read(&self.office);
        let user = self.devices[at].user;
        let cursor = self.devices[at].store.saved().position.cursor;
        let is_of_now = |cursor: &String| self.heads.get(cursor) == Some(&before.head);
        let Some(cursor) = cursor.filter(is_of_now) else { return };
        let Some(model) = self.devices[at].model.clone() else { return };
        if !self.devices[at].is_online || before.viewer(user).is_none() {
            return;
        }
        let token = format!("Bearer {}", self.devices[at].token);
        let poll = Request::builder().uri("/sync/v1/live?wait=50").header(header::AUTHORIZATION, token);
        let poll = poll.header("last-event-id", cursor).header("cartera-model", model);
        let poll = poll.body(Body::empty()).expect("a request");
        let intents = self.intents_elsewhere(std::slice::from_ref(change));
        let (reply, decisions, after) = ask_while(&self.office, poll, intents.clone(), &before, user).await;
        self.note(intents, &decisions);
        let Some(reply) = reply else { return };
        assert_eq!(reply.status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply.bytes));
        let answer: LiveAnswer = serde_json::from_slice(&reply.bytes).expect("a live answer");
        let events: Vec<LiveEvent> = answer.into_events().collect();
        assert!(!events.is_empty(), "{}: what changed before its eyes was not told", self.devices[at]);
        for event in events {
            self.look_at(at, &event, &after);
            self.bring(at, event, arrival);
        }
    }

    /// Nothing leaves the server that the device's user may not see at this moment.
    fn look_at(&mut self, at: usize, event: &LiveEvent, oracle: &Oracle) {
        match event {
            LiveEvent::Poke(_) => self.tally.count("live: poke"),
            LiveEvent::Order(Order::Upgrade { .. }) => self.tally.count("live: another model is ordered"),
            LiveEvent::Order(_) => self.tally.count("live: another order"),
            LiveEvent::Delta(delta) => {
                self.tally.count("live: delta");
                check::operations(&self.devices[at], &delta.operations, oracle, &mut self.tally);
                if let Some(model) = self.devices[at].model.clone().filter(|_| delta.head == oracle.head) {
                    self.remember(at, &delta.cursor, model, oracle);
                }
            }
        }
    }

    fn bring(&mut self, at: usize, event: LiveEvent, arrival: Arrival) {
        if matches!(arrival, Arrival::Twice | Arrival::Late) {
            self.tally.count("live: late or twice");
            self.news.push(News { device: at, event: event.clone() });
        }
        if matches!(arrival, Arrival::Now | Arrival::Twice) {
            self.give(at, Input::Live(event));
        }
    }

    /// An event that was on its way reaches its device.
    pub(super) fn hear(&mut self, n: usize) {
        if self.news.is_empty() {
            return;
        }
        let News { device, event } = self.news.remove(n % self.news.len());
        self.give(device, Input::Live(event));
    }
}
