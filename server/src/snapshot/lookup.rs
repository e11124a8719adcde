//! Which chunks there are for whom: built when a manifest wants them, once for everybody who waits.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use sqlx::SqliteConnection;
use sqlx::types::Json;
use sync_protocol::id::{ScopeId, Sequence};
use sync_protocol::wire::ChunkEntry;
use sync_protocol::wire::chunk::ChunkHash;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::build::{BuildError, Keeper, build};
use super::cache::Cache;
use super::set::{Event, Part, Set, SetKey, Wanted};
use crate::live::Snapshot;
use crate::platform::db::Db;
use crate::platform::telemetry::metrics::Metrics;
use crate::scope::{ScopeKey, ScopeKind};
use crate::user::rights::Rights;

/// A set that was not looked at for this many sequences is cheaper built anew than followed.
const MOST_EVENTS: u64 = 100_000;

/// Why there is no answer about chunks.
#[derive(Debug, thiserror::Error)]
pub enum ChunksError {
    /// The database does not answer.
    #[error("could not read what happened to the records of a scope")]
    Database(#[from] sqlx::Error),
    /// A chunk could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A chunk's file could not be read.
    #[error("could not read a chunk from the data folder")]
    Read(#[source] io::Error),
}

/// What a manifest lists.
#[derive(Debug)]
pub struct Listing {
    /// The chunks, the most urgent first.
    pub chunks: Vec<ChunkEntry>,
    /// From where on the exchange has to tell what happened.
    pub seq: Sequence,
    /// The scopes whose records they are: all that the user holds, sorted.
    pub scopes: Vec<ScopeId>,
}

/// The chunks of every scope that a manifest wanted.
#[derive(Debug)]
pub struct Chunks {
    known: RwLock<Known>,
    /// Held while chunks are built: whoever wants the same waits and finds it done, whoever wants other chunks leaves
    /// the other readers of the database, and the other core, to everybody else.
    building: Mutex<()>,
    /// What left before it may be forgotten: a set that was not followed up to here cannot be followed any more, and
    /// no exchange tells what happened since a chunk of before.
    horizon: AtomicU64,
    cache: Cache,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Known {
    sets: HashMap<SetKey, Set>,
    /// The sets that a chunk belongs to: projections that show the same of its records have the same chunk.
    owners: HashMap<ChunkHash, HashSet<SetKey>>,
}

impl Chunks {
    /// No chunks yet; their files will be in `folder`, which is nothing else's.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path, limit_bytes: u64, metrics: Metrics) -> io::Result<Self> {
        let cache = Cache::open(folder, limit_bytes)?;
        Ok(Self { known: RwLock::default(), building: Mutex::default(), horizon: AtomicU64::new(0), cache, metrics })
    }

    /// The chunks of all that these rights let a user hold; builds those that are missing or out of date. `head` is the
    /// last sequence that is known without asking the database.
    ///
    /// # Errors
    /// [`ChunksError`].
    pub async fn list(
        &self,
        db: &Db,
        head: Sequence,
        snapshot: &Snapshot,
        rights: &Rights,
    ) -> Result<Listing, ChunksError> {
        self.metrics.manifest();
        let wanted = wanted(snapshot, rights);
        if let Some(listing) = self.listing(&wanted, head) {
            return Ok(listing);
        }
        let _building = self.building.lock().await;
        if let Some(listing) = self.listing(&wanted, head) {
            return Ok(listing);
        }
        let mut tx = db.readers().begin().await?;
        let head: i64 = sqlx::query_scalar("SELECT head FROM tenant").fetch_one(&mut *tx).await?;
        let head = head.cast_unsigned();
        self.follow(&mut tx, &wanted, head).await?;
        let keeper = Keeper { cache: &self.cache, metrics: &self.metrics };
        for wanted in &wanted {
            let Some(projection) = rights.projection(&wanted.entity) else { continue };
            let set = self.known().sets.get(&wanted.key).cloned().unwrap_or_default();
            let mut parts = Vec::with_capacity(set.parts.len().max(1));
            if set.parts.is_empty() {
                parts = build(&mut tx, wanted, projection, (Uuid::nil(), None), keeper).await?;
            }
            for at in 0..set.parts.len() {
                if self.is_usable(&set.parts[at], head) {
                    parts.push(set.parts[at].clone());
                    continue;
                }
                parts.extend(build(&mut tx, wanted, projection, set.range(at), keeper).await?);
            }
            self.store(wanted.key, Set { seen: head, parts });
        }
        Ok(self.list_of(&wanted, head))
    }

    /// Whether these rights let a user have a chunk as things are now.
    ///
    /// # Errors
    /// [`ChunksError`].
    pub async fn may_have(
        &self,
        db: &Db,
        head: Sequence,
        snapshot: &Snapshot,
        rights: &Rights,
        hash: ChunkHash,
    ) -> Result<bool, ChunksError> {
        let owners = self.known().owners.get(&hash).cloned().unwrap_or_default();
        let wanted: Vec<Wanted> =
            wanted(snapshot, rights).into_iter().filter(|wanted| owners.contains(&wanted.key)).collect();
        if wanted.is_empty() {
            return Ok(false);
        }
        if self.is_behind(&wanted, head) {
            let mut connection = db.readers().acquire().await?;
            self.follow(&mut connection, &wanted, head).await?;
        }
        let known = self.known();
        let sets = wanted.iter().filter_map(|wanted| known.sets.get(&wanted.key));
        Ok(sets.filter_map(|set| set.find(hash).map(|at| &set.parts[at])).any(|part| !part.is_broken))
    }

    /// The bytes of a chunk that somebody [`may have`](Self::may_have), compressed; none when it is not here any more.
    ///
    /// # Errors
    /// [`ChunksError::Read`].
    pub async fn read(&self, hash: ChunkHash) -> Result<Option<Bytes>, ChunksError> {
        let read = self.cache.read(hash).await.map_err(ChunksError::Read)?;
        if let Some(bytes) = &read {
            self.metrics.chunk_served(bytes.len() as u64);
        }
        Ok(read)
    }

    /// Notes that what left up to `horizon` is about to be forgotten.
    pub fn pass_horizon(&self, horizon: Sequence) {
        self.horizon.fetch_max(horizon, Ordering::SeqCst);
    }

    fn horizon(&self) -> Sequence {
        self.horizon.load(Ordering::SeqCst)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().expect("no holder of this lock panics")
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().expect("no holder of this lock panics")
    }

    fn is_behind(&self, wanted: &[Wanted], head: Sequence) -> bool {
        let known = self.known();
        wanted.iter().filter_map(|wanted| known.sets.get(&wanted.key)).any(|set| set.seen < head)
    }

    fn is_usable(&self, part: &Part, head: Sequence) -> bool {
        let is_known_since = part.as_of(head) >= self.horizon();
        is_known_since && part.is_usable(head) && part.cut.as_ref().is_none_or(|cut| self.cache.holds(cut.hash))
    }

    /// What a manifest lists, when nothing has to be asked or built for it.
    fn listing(&self, wanted: &[Wanted], head: Sequence) -> Option<Listing> {
        {
            let known = self.known();
            for wanted in wanted {
                let set = known.sets.get(&wanted.key).filter(|set| set.seen >= head && !set.parts.is_empty())?;
                if !set.parts.iter().all(|part| self.is_usable(part, set.seen)) {
                    return None;
                }
            }
        }
        Some(self.list_of(wanted, head))
    }

    fn list_of(&self, wanted: &[Wanted], head: Sequence) -> Listing {
        let known = self.known();
        let mut listing = Listing { chunks: Vec::new(), seq: head, scopes: Vec::new() };
        for wanted in wanted {
            let Some(set) = known.sets.get(&wanted.key) else { continue };
            listing.scopes.push(wanted.key.scope);
            for part in &set.parts {
                let as_of = part.as_of(set.seen);
                listing.seq = listing.seq.min(as_of);
                listing.chunks.extend(part.cut.as_ref().map(|cut| ChunkEntry {
                    hash: cut.hash,
                    entity: wanted.entity.clone(),
                    scope: wanted.key.scope,
                    rows: cut.rows,
                    bytes: cut.bytes,
                    packed_bytes: cut.packed_bytes,
                    as_of,
                    priority: wanted.priority,
                }));
            }
        }
        listing.scopes.sort_unstable();
        listing.chunks.sort_by_key(|chunk| chunk.priority);
        listing
    }

    /// Notes what happened to the records of these sets, up to `head`.
    async fn follow(
        &self,
        connection: &mut SqliteConnection,
        wanted: &[Wanted],
        head: Sequence,
    ) -> Result<(), ChunksError> {
        let mut behind = Vec::new();
        {
            let mut known = self.known_mut();
            for wanted in wanted {
                let Some(set) = known.sets.get_mut(&wanted.key).filter(|set| set.seen < head) else { continue };
                if head - set.seen > MOST_EVENTS || set.seen < self.horizon() {
                    set.give_up(head);
                } else {
                    behind.push((wanted, set.seen));
                }
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        let events = events(connection, &behind, head).await?;
        let mut known = self.known_mut();
        // The horizon may have passed while they were read, and some of them been forgotten.
        let horizon = self.horizon();
        for ((wanted, since), events) in behind.iter().zip(events) {
            match known.sets.get_mut(&wanted.key) {
                Some(set) if *since < horizon => set.give_up(head),
                Some(set) => set.follow(&events, head),
                None => {}
            }
        }
        Ok(())
    }

    fn store(&self, key: SetKey, set: Set) {
        let hashes = |set: &Set| -> HashSet<ChunkHash> {
            set.parts.iter().filter_map(|part| part.cut.as_ref().map(|cut| cut.hash)).collect()
        };
        let new = hashes(&set);
        let mut gone = Vec::new();
        {
            let mut known = self.known_mut();
            let old = known.sets.insert(key, set).as_ref().map(hashes).unwrap_or_default();
            for hash in old.difference(&new) {
                if let Some(owners) = known.owners.get_mut(hash) {
                    owners.remove(&key);
                    if owners.is_empty() {
                        known.owners.remove(hash);
                        gone.push(*hash);
                    }
                }
            }
            for hash in new {
                known.owners.entry(hash).or_default().insert(key);
            }
        }
        for hash in gone {
            self.cache.forget(hash);
        }
    }
}

/// The sets of all that these rights let a user hold.
fn wanted(snapshot: &Snapshot, rights: &Rights) -> Vec<Wanted> {
    let held = snapshot.scopes.held(rights, &snapshot.catalogue);
    let want = |scope: ScopeId| -> Option<Wanted> {
        let key: ScopeKey = snapshot.scopes.key(scope)?;
        let entity = snapshot.catalogue.entity_of(key.entity)?;
        let shown = rights.view.shown(&entity.name)?;
        let priority = entity.sync.priority;
        Some(Wanted { key: SetKey { scope, shown }, scope: key, entity: entity.name.clone(), priority })
    };
    held.into_iter().filter_map(want).collect()
}

/// What happened in each of these scopes after the sequence beside it, up to `until`.
async fn events(
    connection: &mut SqliteConnection,
    behind: &[(&Wanted, Sequence)],
    until: Sequence,
) -> Result<Vec<Vec<Event>>, sqlx::Error> {
    let mut whole_entities = Vec::new();
    let mut others = Vec::new();
    for (at, (wanted, seen)) in behind.iter().enumerate() {
        if wanted.scope.kind == ScopeKind::All {
            whole_entities.push((at, wanted.scope.entity, *seen));
        } else {
            others.push((at, i64::from(wanted.key.scope), *seen));
        }
    }
    let rows: Vec<(i64, Uuid, i64, bool)> = sqlx::query_as(
        "SELECT b.value ->> 0, r.id, r.seq, false FROM json_each($1) AS b
         CROSS JOIN record AS r ON r.entity = b.value ->> 1 AND r.seq > b.value ->> 2 AND r.seq <= $3
         UNION ALL
         SELECT b.value ->> 0, t.id, t.seq, true FROM json_each($1) AS b
         CROSS JOIN tombstone AS t ON t.entity = b.value ->> 1 AND t.seq > b.value ->> 2 AND t.seq <= $3
         UNION ALL
         SELECT b.value ->> 0, e.record, e.seq, e.state <> 0 FROM json_each($2) AS b
         CROSS JOIN scope_entry AS e ON e.scope = b.value ->> 1 AND e.seq > b.value ->> 2 AND e.seq <= $3",
    )
    .bind(Json(&whole_entities))
    .bind(Json(&others))
    .bind(until.cast_signed())
    .fetch_all(connection)
    .await?;
    let mut events = vec![Vec::new(); behind.len()];
    for (at, record, seq, is_gone) in rows {
        let seq = seq.cast_unsigned();
        if let Some(events) = usize::try_from(at).ok().and_then(|at| events.get_mut(at)) {
            events.push(Event { record, seq, is_gone });
        }
    }
    Ok(events)
}
