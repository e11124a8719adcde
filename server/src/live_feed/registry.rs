//! Who is connected, where each device stands, and what each is told.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sync_protocol::cursor::Cursor;
use sync_protocol::id::{RecordId, Sequence};

use super::event::Event;
use super::queue::Queue;
use super::settle::{Standing, Standings};
use crate::exchange::Page;
use crate::live::{Live, Snapshot};
use crate::platform::auth::{Ended, TokenHash};
use crate::platform::config;
use crate::platform::telemetry::metrics::Metrics;
use crate::tenant::Tenant;
use crate::user::rights::Rights;

/// A device that wants to be told.
#[derive(Clone, Debug)]
pub(super) struct Newcomer {
    pub(super) device: i64,
    pub(super) user: RecordId,
    pub(super) session: TokenHash,
    /// It is told one thing and leaves: a long poll.
    pub(super) is_once: bool,
    /// Hash of the model that it has, as far as it says.
    pub(super) model: Option<String>,
}

/// Everybody who is connected.
#[derive(Debug)]
pub(super) struct Registry {
    connections: HashMap<u64, Connection>,
    devices: HashMap<i64, Device>,
    standings: Standings,
    last_id: u64,
    is_closed: bool,
    tenant: Tenant,
    config: config::Live,
    metrics: Metrics,
}

/// What is known of a device, connected or not, since it was last heard of.
#[derive(Debug, Default)]
struct Device {
    /// A hash of the last cursor that it was given, where it has written nothing behind it.
    given: Option<u64>,
    /// Exchanges under way; a device has one at a time, but an old request may come late.
    exchanges: u32,
    /// More than one were under way: which came last is not known.
    is_muddled: bool,
    connection: Option<u64>,
    /// Up to here it was told everything, as of its last exchange or its last connection.
    seen: Sequence,
}

/// Where a device is, as far as this server knows since it started.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    /// It is connected, or exchanges: it is told by that.
    pub is_here: bool,
    /// Up to here it was told everything; 0 is not known.
    pub seen: Sequence,
}

/// A connected device.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) who: Newcomer,
    queue: Arc<Queue>,
    /// What its user may see; none until it is settled.
    pub(super) standing: Option<Arc<Standing>>,
    /// Where the device is; `None` is not known, so that it can only be poked.
    told: Option<Arc<Told>>,
    /// The device has written nothing after `told`.
    is_in_lockstep: bool,
    /// Up to here it was told everything, or there was nothing to tell.
    position: Sequence,
    /// It has to exchange, whatever changed since.
    owes_poke: bool,
}

/// A cursor that a device has.
#[derive(Debug)]
pub(super) struct Told {
    sealed: String,
    cursor: Cursor,
}

/// Devices that are told the same: they stand at the same place and see the same.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) cursor: Cursor,
    pub(super) rights: Arc<Rights>,
    members: Vec<(u64, Arc<Told>)>,
}

impl Registry {
    pub(super) fn new(tenant: Tenant, config: config::Live, metrics: Metrics) -> Self {
        Self {
            connections: HashMap::new(),
            devices: HashMap::new(),
            standings: Standings::default(),
            last_id: 0,
            is_closed: false,
            tenant,
            config,
            metrics,
        }
    }

    /// How large a delta may be, as it travels.
    pub(super) fn delta_bytes(&self) -> usize {
        self.config.delta_bytes
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn presence(&self, device: i64) -> Presence {
        let known = self.devices.get(&device);
        Presence {
            is_here: known.is_some_and(|device| device.connection.is_some() || device.exchanges > 0),
            seen: known.map_or(0, |device| device.seen),
        }
    }

    /// Lets a device in, in the place of an older connection of it; `None` when there is no room.
    pub(super) fn join(
        &mut self,
        who: Newcomer,
        cursor: Option<(String, Cursor)>,
        live: &Live,
    ) -> Option<(u64, Arc<Queue>)> {
        // Read while no exchange of the device can end: one that ended before has made its commit known.
        let head = live.head();
        let device = self.devices.entry(who.device).or_default();
        let is_full = self.connections.len() >= self.config.connections && device.connection.is_none();
        if self.is_closed || is_full {
            return None;
        }
        self.last_id += 1;
        let id = self.last_id;
        let before = device.connection.replace(id);
        let cursor = cursor.filter(|(_, cursor)| cursor.epoch == self.tenant.epoch && is_whole(cursor));
        let is_in_lockstep = cursor.as_ref().is_some_and(|(sealed, cursor)| {
            device.exchanges == 0 && (device.given == Some(hash(sealed)) || cursor.seq >= head)
        });
        let queue = Arc::new(Queue::default());
        let position = cursor.as_ref().map_or(head, |(_, cursor)| cursor.seq);
        let told = cursor.map(|(sealed, cursor)| Arc::new(Told { sealed, cursor }));
        let owes_poke = told.is_none();
        let connection =
            Connection { who, queue: queue.clone(), standing: None, told, is_in_lockstep, position, owes_poke };
        self.connections.insert(id, connection);
        self.metrics.live_connections(self.connections.len());
        if let Some(before) = before {
            self.end(before, None);
        }
        Some((id, queue))
    }

    pub(super) fn leave(&mut self, id: u64) {
        let Some(gone) = self.connections.remove(&id) else { return };
        if let Some(device) = self.devices.get_mut(&gone.who.device) {
            device.connection.take_if(|own| *own == id);
            if !gone.owes_poke {
                device.seen = device.seen.max(gone.position);
            }
        }
        self.metrics.live_connections(self.connections.len());
    }

    fn leave_all(&mut self, gone: Vec<u64>) {
        for id in gone {
            self.leave(id);
        }
    }

    /// Ends a connection, behind a last event where there is one.
    fn end(&mut self, id: u64, last: Option<Event>) {
        if let Some(connection) = self.connections.get(&id) {
            let is_told = last.is_none_or(|event| connection.queue.offer(event));
            if is_told {
                connection.queue.end();
            } else {
                connection.queue.cut();
            }
        }
        self.leave(id);
    }

    /// Ends the connections of a session that ended; `None` stands for any.
    pub(super) fn end_sessions(&mut self, ended: Option<&Ended>) {
        let is_meant = |who: &Newcomer| ended.is_none_or(|ended| ended.covers(who.session, who.user, who.device));
        let meant: Vec<u64> =
            self.connections.iter().filter(|(_, own)| is_meant(&own.who)).map(|(id, _)| *id).collect();
        for id in meant {
            // Whose session it was is not known where all of them are ended: then they find out when they come back.
            self.end(id, ended.map(|_| Event::signed_out()));
        }
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.end_sessions(None);
    }

    pub(super) fn begin_exchange(&mut self, device: i64) {
        let device = self.devices.entry(device).or_default();
        device.exchanges += 1;
        device.given = None;
        device.is_muddled |= device.exchanges > 1;
    }

    pub(super) fn end_exchange(&mut self, device: i64, at: Option<(&str, &Cursor)>) {
        let Entry::Occupied(mut entry) = self.devices.entry(device) else { return };
        let device = entry.get_mut();
        device.exchanges = device.exchanges.saturating_sub(1);
        if device.exchanges > 0 {
            return;
        }
        let is_muddled = std::mem::take(&mut device.is_muddled);
        let at = at.filter(|(_, cursor)| !is_muddled && is_whole(cursor));
        device.given = at.map(|(sealed, _)| hash(sealed));
        device.seen = at.map_or(device.seen, |(_, cursor)| device.seen.max(cursor.seq));
        let Some(connection) = device.connection.and_then(|id| self.connections.get_mut(&id)) else { return };
        connection.is_in_lockstep = at.is_some();
        connection.told = at.map(|(sealed, cursor)| Arc::new(Told { sealed: sealed.into(), cursor: cursor.clone() }));
        if let Some((_, cursor)) = at {
            connection.position = cursor.seq;
        }
    }

    /// Settles what has to be told now that the tenant is at `head`: pokes and orders go out, the rest are groups for each
    /// of which a page has to be cut.
    pub(super) fn plan(&mut self, snapshot: &Snapshot, head: Sequence, live: &Live) -> Vec<Group> {
        let settled = self.standings.settle(&mut self.connections, snapshot, &self.metrics);
        for id in settled.signed_out {
            self.end(id, Some(Event::signed_out()));
        }
        self.leave_all(settled.gone);
        let mut concerns: HashMap<(*const Standing, Sequence), bool> = HashMap::new();
        let mut groups: HashMap<(*const Standing, Sequence), Vec<Group>> = HashMap::new();
        let mut gone = Vec::new();
        for (id, connection) in &mut self.connections {
            let is_exchanging = self.devices.get(&connection.who.device).is_some_and(|device| device.exchanges > 0);
            let Some(standing) = connection.standing.clone().filter(|_| !is_exchanging) else { continue };
            if connection.told.as_ref().is_some_and(|told| !standing.fits(&told.cursor)) {
                connection.owes_poke = true;
            }
            if std::mem::take(&mut connection.owes_poke) {
                (connection.told, connection.position) = (None, head);
                gone.extend((!connection.tell(Event::poke(head), &self.metrics)).then_some(*id));
                continue;
            }
            if connection.position >= head {
                continue;
            }
            let key = (Arc::as_ptr(&standing), connection.position);
            let does_concern =
                *concerns.entry(key).or_insert_with(|| live.may_concern(&standing.held, connection.position));
            if !does_concern {
                connection.position = head;
                continue;
            }
            match &connection.told {
                None => {
                    connection.position = head;
                    gone.extend((!connection.tell(Event::poke(head), &self.metrics)).then_some(*id));
                }
                Some(told) => {
                    let position = connection.position;
                    let cursor = Cursor { seq: position, from: position, ..told.cursor.clone() };
                    let alike = groups.entry(key).or_default();
                    let member = (*id, told.clone());
                    match alike.iter_mut().find(|group| group.cursor == cursor) {
                        Some(group) => group.members.push(member),
                        None => {
                            alike.push(Group { cursor, rights: standing.rights.clone(), members: vec![member] });
                        }
                    }
                }
            }
        }
        self.leave_all(gone);
        groups.into_values().flatten().collect()
    }

    /// Tells the members of a group what their page brought; who moved meanwhile is looked after next time.
    pub(super) fn deliver(&mut self, group: Group, page: &Page) {
        let is_news = page.count > 0 || page.more;
        let sealed = page.cursor.seal(&self.tenant.cursor_key, self.tenant.id);
        let given = hash(&sealed);
        let told = Arc::new(Told { sealed, cursor: page.cursor.clone() });
        let mut deltas: Vec<(Arc<Told>, Option<Event>)> = Vec::new();
        let mut gone = Vec::new();
        for (id, from) in group.members {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            let Some(device) = self.devices.get_mut(&connection.who.device) else { continue };
            let is_here = connection.told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &from));
            if !is_here || device.exchanges > 0 {
                continue;
            }
            connection.position = page.cursor.seq.max(connection.position);
            if !is_news {
                continue;
            }
            let delta = if page.more || !connection.is_in_lockstep {
                None
            } else if let Some((_, made)) = deltas.iter().find(|(own, _)| own.sealed == from.sealed) {
                made.clone()
            } else {
                let delta = Event::delta(&from.sealed, &told.sealed, page.head, &page.operations);
                let delta = (delta.text.len() <= self.config.delta_bytes).then_some(delta);
                deltas.push((from, delta.clone()));
                delta
            };
            let is_delta = delta.is_some();
            connection.told = is_delta.then(|| told.clone());
            if is_delta {
                device.given = Some(given);
            } else {
                connection.position = page.head;
            }
            let event = delta.unwrap_or_else(|| Event::poke(page.head));
            gone.extend((!connection.tell(event, &self.metrics)).then_some(id));
        }
        self.leave_all(gone);
    }
}

impl Connection {
    /// Where the device is, is not known any more: until its next exchange it is only poked.
    pub(super) fn lose_place(&mut self) {
        self.told = None;
    }

    /// Queues an event; false when nothing more can follow it: the device is too far behind, or came for one event only.
    pub(super) fn tell(&self, event: Event, metrics: &Metrics) -> bool {
        let kind = event.kind;
        if !self.queue.offer(event) {
            self.queue.cut();
            metrics.live_dropped();
            return false;
        }
        metrics.live_event(kind.name());
        if self.who.is_once {
            self.queue.end();
        }
        !self.who.is_once
    }
}

/// A consistent point: the device has all of it.
fn is_whole(cursor: &Cursor) -> bool {
    cursor.backfill.is_empty() && cursor.from == cursor.seq
}

/// Tells whether a text is the one that was given before; texts are long, and a device has one at a time.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
