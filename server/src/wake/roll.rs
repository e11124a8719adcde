//! Who can be woken, who is to be, and when: decided in memory, from times that are handed in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sync_protocol::id::{RecordId, ScopeId, Sequence};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::standing::{Standing, Standings};
use crate::live::Snapshot;
use crate::live_feed::Presence;

/// A push service that failed so often in a row is not asked again until there is news anew.
const MOST_FAILURES: u32 = 10;

/// Why a device is to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Something concerns it; it is woken once in a while for that.
    News,
    /// It has an order to hear of; at once.
    Order,
}

impl Why {
    /// As the database spells it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::News => "news",
            Self::Order => "order",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::News, Self::Order].into_iter().find(|why| why.as_str() == text)
    }
}

/// A subscription as it was kept.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) device: i64,
    pub(super) user: RecordId,
    pub(super) endpoint: Endpoint,
    /// How long ago it was woken.
    pub(super) since_woken: Option<Duration>,
    pub(super) owed: Option<Why>,
}

/// What is to be written down of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) device: i64,
    pub(super) endpoint: String,
    pub(super) owed: Option<Why>,
    pub(super) is_woken: bool,
    pub(super) is_gone: bool,
}

/// A device that is being woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dispatch {
    pub(super) device: i64,
    pub(super) endpoint: Endpoint,
    pub(super) why: Why,
    /// Its session has ended: it has this order to hear of, and then nothing any more.
    pub(super) is_last: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Woken,
    /// There is no such subscription.
    Gone,
    /// To be tried again after that long.
    Failed(Duration),
    /// Not to be tried again.
    Refused,
}

/// Everybody who can be woken.
pub(super) struct Roll {
    sleepers: HashMap<i64, Sleeper>,
    standings: Standings,
    notes: Vec<Note>,
    interval: Duration,
}

struct Sleeper {
    user: RecordId,
    endpoint: Endpoint,
    standing: Option<Arc<Standing>>,
    /// Commits up to here were looked at.
    position: Sequence,
    woken: Option<Instant>,
    owed: Option<Owed>,
    under_way: Option<Why>,
    /// How often in a row its push service failed.
    failures: u32,
}

struct Owed {
    why: Why,
    due: Instant,
    /// Who has seen everything up to here needs no waking, where it was seen after the device came to be owed this.
    until: Sequence,
    /// What the device had seen then.
    seen: Sequence,
}

/// What the device did meanwhile, and what concerns whom.
pub(super) struct Look<'a> {
    pub(super) now: Instant,
    pub(super) snapshot: &'a Snapshot,
    /// The tenant's last sequence.
    pub(super) head: Sequence,
    /// Whether something after a sequence concerns who holds these scopes.
    pub(super) concerns: &'a dyn Fn(&[ScopeId], Sequence) -> bool,
    pub(super) presence: &'a dyn Fn(i64) -> Presence,
    /// From news to the wake-up.
    pub(super) delay: &'a dyn Fn() -> Duration,
}

impl Roll {
    pub(super) fn new(known: Vec<Known>, head: Sequence, interval: Duration) -> Self {
        let now = Instant::now();
        let sleeper = |known: Known| {
            let owed = known.owed.map(|why| Owed { why, due: now, until: head, seen: 0 });
            let woken = known.since_woken.and_then(|since| now.checked_sub(since));
            let sleeper = Sleeper { woken, owed, ..Sleeper::new(known.user, known.endpoint, head) };
            (known.device, sleeper)
        };
        let sleepers = known.into_iter().map(sleeper).collect();
        Self { sleepers, standings: Standings::default(), notes: Vec::new(), interval }
    }

    pub(super) fn len(&self) -> usize {
        self.sleepers.len()
    }

    pub(super) fn holds(&self, device: i64) -> bool {
        self.sleepers.contains_key(&device)
    }

    pub(super) fn subscribe(&mut self, device: i64, user: RecordId, endpoint: Endpoint, head: Sequence) {
        self.sleepers.retain(|other, sleeper| *other == device || sleeper.endpoint != endpoint);
        match self.sleepers.get_mut(&device) {
            Some(sleeper) if sleeper.endpoint == endpoint => {}
            Some(sleeper) => (sleeper.endpoint, sleeper.failures) = (endpoint, 0),
            None => {
                self.sleepers.insert(device, Sleeper::new(user, endpoint, head));
            }
        }
    }

    pub(super) fn withdraw(&mut self, device: i64) {
        self.sleepers.remove(&device);
    }

    /// Notes that a device has an order to hear of.
    pub(super) fn order(&mut self, device: i64) {
        let Some(sleeper) = self.sleepers.get_mut(&device) else { return };
        sleeper.owed = Some(Owed { why: Why::Order, due: Instant::now(), until: 0, seen: 0 });
        self.notes.push(sleeper.note(device));
    }

    /// Notes whom the last commits concern, and who has come by herself.
    pub(super) fn look(&mut self, look: &Look<'_>) {
        self.standings.renew(look.snapshot);
        let mut concerns: HashMap<(*const Standing, Sequence), bool> = HashMap::new();
        for (device, sleeper) in &mut self.sleepers {
            let standing = self.standings.of(sleeper.user);
            let presence = (look.presence)(*device);
            let has_come = |owed: &Owed| {
                let has_seen = presence.seen >= owed.until && presence.seen > owed.seen;
                owed.why == Why::News && (presence.is_here || has_seen || standing.is_none())
            };
            if sleeper.owed.as_ref().is_some_and(has_come) {
                sleeper.owed = None;
                self.notes.push(sleeper.note(*device));
            }
            let Some(standing) = standing else { continue };
            let before = sleeper.standing.replace(standing.clone());
            if presence.is_here {
                continue;
            }
            let position = sleeper.position.max(presence.seen);
            let holds_other = before.is_some_and(|before| before != standing);
            let key = (Arc::as_ptr(&standing), position);
            let mut is_concerned = || *concerns.entry(key).or_insert_with(|| (look.concerns)(&standing.held, position));
            let is_news = holds_other || (position < look.head && is_concerned());
            sleeper.position = look.head.max(position);
            if !is_news {
                continue;
            }
            if let Some(owed) = &mut sleeper.owed {
                owed.until = look.head;
            } else {
                let due = look.now + (look.delay)();
                let due = sleeper.woken.map_or(due, |woken| due.max(woken + self.interval));
                sleeper.owed = Some(Owed { why: Why::News, due, until: look.head, seen: presence.seen });
                self.notes.push(sleeper.note(*device));
            }
        }
    }

    /// Who is to be woken now, at most so many; those with orders first.
    pub(super) fn due(&self, now: Instant, most: usize) -> Vec<i64> {
        let waiting = |(device, sleeper): (&i64, &Sleeper)| {
            let owed = sleeper.owed.as_ref().filter(|owed| owed.due <= now && sleeper.under_way.is_none())?;
            Some((std::cmp::Reverse(owed.why), owed.due, *device))
        };
        let mut due: Vec<_> = self.sleepers.iter().filter_map(waiting).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, _, device)| device).take(most).collect()
    }

    /// When the next one is to be woken.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.sleepers.values().filter(|sleeper| sleeper.under_way.is_none());
        waiting.filter_map(|sleeper| Some(sleeper.owed.as_ref()?.due)).min()
    }

    /// Begins to wake a device; nothing for one without a session, unless it has an order to hear of.
    pub(super) fn begin(&mut self, device: i64, has_session: bool, now: Instant) -> Option<Dispatch> {
        let sleeper = self.sleepers.get_mut(&device)?;
        let why = sleeper.owed.take()?.why;
        if why == Why::News && !has_session {
            self.forget(device);
            return None;
        }
        sleeper.under_way = Some(why);
        sleeper.woken = Some(now);
        Some(Dispatch { device, endpoint: sleeper.endpoint.clone(), why, is_last: !has_session })
    }

    /// Notes what came of it.
    pub(super) fn end(&mut self, dispatch: &Dispatch, came: Came, now: Instant) {
        let device = dispatch.device;
        let Some(sleeper) = self.sleepers.get_mut(&device) else { return };
        sleeper.under_way = None;
        if sleeper.endpoint != dispatch.endpoint {
            return;
        }
        sleeper.failures = if let Came::Failed(_) = came { sleeper.failures + 1 } else { 0 };
        match came {
            Came::Failed(pause) if sleeper.failures <= MOST_FAILURES => {
                let why = sleeper.owed.as_ref().map_or(dispatch.why, |owed| owed.why.max(dispatch.why));
                sleeper.owed = Some(Owed { why, due: now + pause, until: sleeper.position, seen: 0 });
            }
            Came::Gone => return self.forget(device),
            Came::Woken | Came::Refused | Came::Failed(_) if dispatch.is_last => return self.forget(device),
            Came::Failed(_) => sleeper.failures = 0,
            Came::Woken | Came::Refused => {}
        }
        let note = Note { is_woken: came == Came::Woken, ..sleeper.note(device) };
        self.notes.push(note);
    }

    /// How often in a row the device's push service has failed.
    pub(super) fn failures(&self, device: i64) -> u32 {
        self.sleepers.get(&device).map_or(0, |sleeper| sleeper.failures)
    }

    /// What is to be written down since this was last asked.
    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn forget(&mut self, device: i64) {
        if let Some(gone) = self.sleepers.remove(&device) {
            self.notes.push(Note { owed: None, is_gone: true, ..gone.note(device) });
        }
    }
}

impl Sleeper {
    fn new(user: RecordId, endpoint: Endpoint, position: Sequence) -> Self {
        Self { user, endpoint, standing: None, position, woken: None, owed: None, under_way: None, failures: 0 }
    }

    /// What is owed, a wake-up that is under way included: until its answer is there, it may have been lost.
    fn note(&self, device: i64) -> Note {
        let owed = self.owed.as_ref().map(|owed| owed.why).max(self.under_way);
        Note { device, endpoint: self.endpoint.as_str().to_owned(), owed, is_woken: false, is_gone: false }
    }
}
