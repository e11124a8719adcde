//! The one task that writes records: it gathers what waits, decides it in order, and commits it at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crm::rules::Gaps;
use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::id::{MutationId, Sequence};
use sync_protocol::wire::{Mutation, Outcome, Reason};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::bulk::{self, BulkWrite};
use super::decide::Working;
use super::error::{PushError, WriteError};
use super::push::{DeviceState, Push};
use super::queue::{Reply, Room, size_of_change};
use super::unit::Unit;
use super::{Author, Change, Decision};
use crate::live::Live;
use crate::platform::calendar::Calendar;
use crate::platform::clock::Clock;
use crate::platform::db::Db;
use crate::platform::entropy::Entropy;
use crate::platform::telemetry::metrics::Metrics;

/// How many changes one commit gathers at the most; what waits beyond them goes into the next. Enough that each costs
/// next to nothing of the commit, and few enough that while some are written, devices answered before make their next.
const CHANGES_PER_COMMIT: usize = 400;
/// How many requests may wait for the writer, besides [`Room`] for what they carry; the next one is turned away.
const QUEUE_LENGTH: usize = 4_096;

/// What a commit did, for whoever watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The last sequence.
    pub head: Sequence,
    /// Requests that shared it.
    pub requests: usize,
    /// Changes decided in it.
    pub changes: usize,
}

pub(super) enum Job {
    Push(Push, Reply<Result<Vec<Outcome>, PushError>>),
    Write { author: Author, changes: Vec<Change>, atomic: bool, reply: Reply<Result<Vec<Decision>, WriteError>> },
    Bulk(bulk::Session),
    Pause { paused: oneshot::Sender<()>, resume: oneshot::Receiver<()> },
}

/// Handle to the writing task; cheap to clone.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    room: Room,
    commits: watch::Receiver<Commit>,
    moves: Arc<Notify>,
    metrics: Metrics,
}

/// Keeps the writer from writing records until it is dropped.
#[derive(Debug)]
pub struct Pause {
    _resume: oneshot::Sender<()>,
}

impl Writer {
    /// Starts the writing task; it ends when every handle is gone. What waits for it takes `queue_bytes` at the most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(
        db: Db,
        live: Arc<Live>,
        (clock, calendar): (Arc<dyn Clock>, Calendar),
        entropy: Arc<dyn Entropy>,
        metrics: Metrics,
        queue_bytes: usize,
    ) -> Result<Self, sqlx::Error> {
        let last_num: (i64,) =
            sqlx::query_as("SELECT coalesce(max(num), 0) FROM record").fetch_one(db.readers()).await?;
        let (jobs, queue) = mpsc::channel(QUEUE_LENGTH);
        let (done, commits) = watch::channel(Commit::default());
        let last_num = last_num.0;
        let devices = HashMap::new();
        let moves = Arc::new(Notify::new());
        let task = Task {
            db,
            live,
            clock,
            calendar,
            entropy,
            metrics: metrics.clone(),
            last_num,
            devices,
            done,
            moves: moves.clone(),
        };
        tokio::spawn(task.run(queue));
        Ok(Self { jobs, room: Room::of(queue_bytes), commits, moves, metrics })
    }

    /// Decides a device's mutations, each with its own outcome; those that were decided before are answered from what
    /// is stored. With a reason to defer them, those that were not are left undecided. Returns when all of it is durable.
    ///
    /// # Errors
    /// [`PushError`]: then nothing of the push is stored.
    pub async fn push(
        &self,
        author: Author,
        mutations: Vec<Mutation>,
        acknowledged: MutationId,
        deferred: Option<Reason>,
    ) -> Result<Vec<Outcome>, PushError> {
        let size = mutations.iter().map(|mutation| size_of_change(&mutation.set, &mutation.ops)).sum();
        let (reply, answer) = self.room.take(size).inspect_err(|_| self.metrics.refused_writer())?;
        self.offer(Job::Push(Push { author, mutations, acknowledged, deferred }, reply))?;
        let outcomes = answer.await.map_err(|_| WriteError::Stopped)??;
        for outcome in &outcomes {
            self.metrics.outcome(outcome.verdict);
        }
        Ok(outcomes)
    }

    /// Decides changes in order; with `atomic`, all are done or none. Returns when all of it is durable.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing is stored. A refused change is not an error but a [`Decision`].
    pub async fn write(&self, author: Author, changes: Vec<Change>, atomic: bool) -> Result<Vec<Decision>, WriteError> {
        let size = changes.iter().map(|change| size_of_change(&change.set, &change.ops)).sum();
        let (reply, answer) = self.room.take(size).inspect_err(|_| self.metrics.refused_writer())?;
        self.offer(Job::Write { author, changes, atomic, reply })?;
        let decisions = answer.await.map_err(|_| WriteError::Stopped)??;
        for decision in &decisions {
            self.metrics.outcome(decision.verdict);
        }
        Ok(decisions)
    }

    /// Begins one transaction for many changes, such as an import; every other writer waits until it ends.
    ///
    /// # Errors
    /// [`WriteError`] when it cannot begin.
    pub async fn bulk(&self, author: Author, gaps: Gaps) -> Result<BulkWrite, WriteError> {
        let (session, handle) = bulk::open(author, gaps);
        self.send(Job::Bulk(session)).await?;
        handle.begun().await
    }

    /// Waits for the commit that is under way, and keeps the next from beginning until the pause is dropped.
    ///
    /// # Errors
    /// When the server is shutting down.
    pub async fn pause(&self) -> Result<Pause, WriteError> {
        let (paused, is_paused) = oneshot::channel();
        let (guard, resume) = oneshot::channel();
        self.send(Job::Pause { paused, resume }).await?;
        is_paused.await.map_err(|_| WriteError::Stopped)?;
        Ok(Pause { _resume: guard })
    }

    /// Tells of each commit.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<Commit> {
        self.commits.clone()
    }

    /// Tells when a record was moved whose children are to follow.
    #[must_use]
    pub fn moves(&self) -> Arc<Notify> {
        self.moves.clone()
    }

    /// Whether the writing task is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// How much waits to be written, in bytes.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.room.taken_bytes()
    }

    /// Turns a request away rather than let it wait outside of the queue, where nothing limits how many do.
    fn offer(&self, job: Job) -> Result<(), WriteError> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                self.metrics.refused_writer();
                WriteError::Busy
            }
            TrySendError::Closed(_) => WriteError::Stopped,
        })
    }

    async fn send(&self, job: Job) -> Result<(), WriteError> {
        self.jobs.send(job).await.map_err(|_| WriteError::Stopped)
    }
}

struct Task {
    db: Db,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    calendar: Calendar,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
    last_num: i64,
    /// Devices that pushed since the start.
    devices: HashMap<i64, DeviceState>,
    done: watch::Sender<Commit>,
    moves: Arc<Notify>,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut waiting = None;
        loop {
            let job = match waiting.take() {
                Some(job) => job,
                None => match queue.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            match job {
                Job::Bulk(session) => self.bulk(session).await,
                Job::Pause { paused, resume } => {
                    // Whoever asked may be gone: then there is nothing to wait for.
                    if paused.send(()).is_ok() {
                        drop(resume.await);
                    }
                }
                first => {
                    let (group, next) = gather(first, &mut queue);
                    waiting = next;
                    self.commit(group).await;
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<Unit, sqlx::Error> {
        let tx = self.db.write().await?;
        let head = self.live.head();
        let now_ms = self.clock.now_ms();
        Ok(Unit {
            tx,
            snapshot: self.live.snapshot(),
            head,
            floor: head,
            touched: BTreeSet::new(),
            has_moved: false,
            last_num: self.last_num,
            now_ms,
            today: self.calendar.day(now_ms),
            devices: std::mem::take(&mut self.devices),
            entropy: self.entropy.clone(),
        })
    }

    async fn end(&mut self, unit: Unit, commit: Commit) -> Result<(), sqlx::Error> {
        unit.tx.commit().await?;
        self.last_num = unit.last_num;
        self.devices = unit.devices;
        self.live.publish(unit.snapshot, unit.head, unit.touched);
        self.metrics.commit(commit.changes as u64);
        self.done.send_replace(Commit { head: unit.head, ..commit });
        if unit.has_moved {
            self.moves.notify_one();
        }
        Ok(())
    }

    async fn commit(&mut self, group: Vec<Job>) {
        let mut answers: Vec<Box<dyn FnOnce(Option<WriteError>) + Send>> = Vec::with_capacity(group.len());
        let result = self.try_commit(group, &mut answers).await;
        let error = result.err().map(WriteError::from);
        if let Some(error) = &error {
            tracing::error!(error = %crate::platform::error_chain(error), "could not commit");
        }
        for answer in answers {
            answer(error.clone());
        }
    }

    async fn try_commit(
        &mut self,
        group: Vec<Job>,
        answers: &mut Vec<Box<dyn FnOnce(Option<WriteError>) + Send>>,
    ) -> Result<(), sqlx::Error> {
        // Whoever waits is answered even when no transaction can begin: the answer is made before anything can fail.
        let mut outcomes: Vec<Slot> = Vec::with_capacity(group.len());
        for job in group {
            outcomes.push(Slot::of(job, answers));
        }
        let mut unit = self.begin().await?;
        let mut commit = Commit { requests: outcomes.len(), ..Commit::default() };
        let mut working = unit.working();
        let result = decide_all(&mut unit, &mut working, &mut outcomes, &mut commit).await;
        if let Err(error) = result {
            unit.tx.rollback().await?;
            return Err(error);
        }
        unit.persist(&working).await?;
        super::push::store(&mut unit).await?;
        if is_seeded(Fault::AnswerBeforeCommit) {
            outcomes.drain(..).for_each(Slot::settle);
            answers.drain(..).for_each(|answer| answer(None));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        self.end(unit, commit).await?;
        for slot in outcomes {
            slot.settle();
        }
        Ok(())
    }

    async fn bulk(&mut self, session: bulk::Session) {
        let unit = match self.begin().await {
            Ok(unit) => unit,
            Err(error) => return session.refuse(error.into()),
        };
        let before = unit.devices.clone();
        match bulk::serve(session, unit).await {
            Some((unit, changes, reply)) => {
                let head = unit.head;
                let result = self.end(unit, Commit { requests: 1, changes, head }).await;
                drop(reply.send(result.map(|()| head).map_err(WriteError::from)));
            }
            None => self.devices = before,
        }
    }
}

/// A request of a commit, and where its answer goes once the commit is durable.
enum Slot {
    Push {
        push: Push,
        cell: Cell<Result<Vec<Outcome>, PushError>>,
        answer: Option<Result<Vec<Outcome>, PushError>>,
    },
    Write {
        author: Author,
        changes: Vec<Change>,
        atomic: bool,
        cell: Cell<Result<Vec<Decision>, WriteError>>,
        answer: Option<Result<Vec<Decision>, WriteError>>,
    },
}

type Cell<T> = Arc<std::sync::Mutex<Option<T>>>;

impl Slot {
    fn of(job: Job, answers: &mut Vec<Box<dyn FnOnce(Option<WriteError>) + Send>>) -> Self {
        match job {
            Job::Push(push, reply) => {
                let cell = Cell::default();
                answers.push(answer_from(cell.clone(), reply, |error| Err(error.into())));
                Self::Push { push, cell, answer: None }
            }
            Job::Write { author, changes, atomic, reply } => {
                let cell = Cell::default();
                answers.push(answer_from(cell.clone(), reply, Err));
                Self::Write { author, changes, atomic, cell, answer: None }
            }
            Job::Bulk(_) | Job::Pause { .. } => unreachable!("gather() takes only pushes and writes"),
        }
    }

    fn settle(self) {
        match self {
            Self::Push { cell, answer, .. } => *cell.lock().expect("no holder of this lock panics") = answer,
            Self::Write { cell, answer, .. } => *cell.lock().expect("no holder of this lock panics") = answer,
        }
    }
}

fn answer_from<T: Send + 'static>(
    cell: Cell<T>,
    reply: Reply<T>,
    failed: impl FnOnce(WriteError) -> T + Send + 'static,
) -> Box<dyn FnOnce(Option<WriteError>) + Send> {
    Box::new(move |error| {
        let settled = cell.lock().expect("no holder of this lock panics").take();
        let answer = match (error, settled) {
            (Some(error), _) => failed(error),
            (None, Some(answer)) => answer,
            (None, None) => failed(WriteError::Stopped),
        };
        reply.send(answer);
    })
}

/// The first job and those that wait behind it, up to a commit's worth; and the one that must not share the commit.
fn gather(first: Job, queue: &mut mpsc::Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let size = |job: &Job| match job {
        Job::Push(push, _) => push.mutations.len(),
        Job::Write { changes, .. } => changes.len(),
        Job::Bulk(_) | Job::Pause { .. } => 0,
    };
    let mut total = size(&first);
    let mut group = vec![first];
    while total < CHANGES_PER_COMMIT {
        match queue.try_recv() {
            Ok(job @ (Job::Bulk(_) | Job::Pause { .. })) => return (group, Some(job)),
            Ok(job) => {
                total += size(&job);
                group.push(job);
            }
            Err(_) => break,
        }
    }
    (group, None)
}

async fn decide_all(
    unit: &mut Unit,
    working: &mut Working,
    slots: &mut [Slot],
    commit: &mut Commit,
) -> Result<(), sqlx::Error> {
    let pushes = slots.iter().filter_map(|slot| match slot {
        Slot::Push { push, .. } => Some(push),
        Slot::Write { .. } => None,
    });
    super::push::load(unit, pushes).await?;
    let mut fresh: Vec<Vec<Change>> = Vec::with_capacity(slots.len());
    for slot in slots.iter_mut() {
        match slot {
            Slot::Push { push, answer, .. } => {
                let admitted = match unit.current_rights(working, &push.author) {
                    Some(_) => super::push::admit(unit, push),
                    None => Err(WriteError::NoRights.into()),
                };
                fresh.push(admitted.unwrap_or_else(|error| {
                    *answer = Some(Err(error));
                    Vec::new()
                }));
            }
            Slot::Write { changes, .. } => fresh.push(std::mem::take(changes)),
        }
    }
    let touched: Vec<&Change> = fresh.iter().flatten().collect();
    commit.changes = touched.len();
    unit.load(working, &touched).await?;
    for (slot, changes) in slots.iter_mut().zip(&fresh) {
        match slot {
            Slot::Push { answer: Some(_), .. } => {}
            Slot::Push { push, answer, .. } => {
                // Once admitted, every mutation gets an outcome, even if a request of this very commit takes the right.
                let author = unit.current_rights(working, &push.author).unwrap_or_else(|| push.author.clone());
                *answer = Some(Ok(super::push::decide(unit, working, &author, push, changes)));
            }
            Slot::Write { author, atomic, answer, .. } => {
                *answer = Some(match unit.current_rights(working, author) {
                    Some(author) => Ok(unit.decide(working, &author, changes, *atomic, Gaps::Refuse)),
                    None => Err(WriteError::NoRights),
                });
            }
        }
    }
    Ok(())
}
