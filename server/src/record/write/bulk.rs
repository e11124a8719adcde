//! Many changes in one transaction, such as an import: all of it is stored, or nothing.

use crm::rules::{Gaps, carries};
use sync_protocol::id::{RecordId, Sequence};
use tokio::sync::{mpsc, oneshot};

use super::decide::{self, ParentMove, Stored};
use super::error::WriteError;
use super::unit::Unit;
use super::{Author, Change, Decision, load};

type Query = Box<dyn for<'c> FnOnce(&'c mut sqlx::SqliteConnection) -> futures_util::future::BoxFuture<'c, ()> + Send>;

enum Request {
    Write(Option<Then>, Vec<Change>, oneshot::Sender<Result<Vec<Decision>, WriteError>>),
    Follow(Vec<Following>, oneshot::Sender<Result<(), WriteError>>),
    Settle(Vec<RecordId>, oneshot::Sender<Result<usize, WriteError>>),
    Run(Query),
    Commit(oneshot::Sender<Result<Sequence, WriteError>>),
}

/// By whom, under which rules and when it was written, where that is not the session's author now.
#[derive(Clone, Debug)]
pub struct Then {
    /// Who wrote it.
    pub author: Author,
    /// Whether missing requirements refuse a change.
    pub gaps: Gaps,
    /// When the server decided it.
    pub at_ms: i64,
}

/// Children that follow a parent.
#[derive(Clone, Debug)]
pub struct Following {
    /// What became of the parent.
    pub moved: ParentMove,
    /// The children.
    pub children: Vec<RecordId>,
}

/// The writer's end.
pub(super) struct Session {
    author: Author,
    gaps: Gaps,
    begun: oneshot::Sender<Result<(), WriteError>>,
    requests: mpsc::Receiver<Request>,
}

/// Between asking for a bulk write and its begin.
pub(super) struct Opening {
    begun: oneshot::Receiver<Result<(), WriteError>>,
    requests: mpsc::Sender<Request>,
}

/// A transaction of its own; dropping it without [`BulkWrite::commit`] rolls everything back.
#[derive(Debug)]
pub struct BulkWrite {
    requests: mpsc::Sender<Request>,
}

pub(super) fn open(author: Author, gaps: Gaps) -> (Session, Opening) {
    let (begun, is_begun) = oneshot::channel();
    let (sender, requests) = mpsc::channel(1);
    (Session { author, gaps, begun, requests }, Opening { begun: is_begun, requests: sender })
}

impl Opening {
    pub(super) async fn begun(self) -> Result<BulkWrite, WriteError> {
        self.begun.await.map_err(|_| WriteError::Stopped)??;
        Ok(BulkWrite { requests: self.requests })
    }
}

impl Session {
    pub(super) fn refuse(self, error: WriteError) {
        drop(self.begun.send(Err(error)));
    }
}

impl BulkWrite {
    /// Decides changes against all that this transaction wrote before; about 1,000 at a time keep memory small.
    ///
    /// # Errors
    /// [`WriteError`]: then the transaction is rolled back.
    pub async fn write(&mut self, changes: Vec<Change>) -> Result<Vec<Decision>, WriteError> {
        self.decide(None, changes).await
    }

    /// The same, as somebody wrote it at another time: her rights and that instant decide, and history says so.
    ///
    /// # Errors
    /// [`WriteError`]: then the transaction is rolled back.
    pub async fn write_then(&mut self, then: Then, changes: Vec<Change>) -> Result<Vec<Decision>, WriteError> {
        self.decide(Some(then), changes).await
    }

    /// Lets children follow their parents, in that order.
    ///
    /// # Errors
    /// [`WriteError`]: then the transaction is rolled back.
    pub async fn follow(&mut self, following: Vec<Following>) -> Result<(), WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Follow(following, reply)).await?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }

    /// Settles anew whether devices carry these records, by their sync rules and the day; how many that changed.
    ///
    /// # Errors
    /// [`WriteError`]: then the transaction is rolled back.
    pub async fn settle(&mut self, records: Vec<RecordId>) -> Result<usize, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Settle(records, reply)).await?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }

    async fn decide(&mut self, then: Option<Then>, changes: Vec<Change>) -> Result<Vec<Decision>, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Write(then, changes, reply)).await?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }

    /// Runs statements inside the transaction, such as a look-up among the records that it wrote.
    ///
    /// # Errors
    /// When the transaction is gone, or the statements fail: the work's own error.
    pub async fn run<T, F>(&mut self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(
                &'c mut sqlx::SqliteConnection,
            ) -> futures_util::future::BoxFuture<'c, Result<T, sqlx::Error>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let query: Query = Box::new(move |connection| {
            Box::pin(async move {
                // The one who asked may be gone; then the transaction is about to be rolled back.
                drop(reply.send(work(connection).await));
            })
        });
        self.send(Request::Run(query)).await?;
        Ok(answer.await.map_err(|_| WriteError::Stopped)??)
    }

    /// Makes all of it durable; returns the tenant's last sequence.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing is stored.
    pub async fn commit(self) -> Result<Sequence, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Commit(reply)).await?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }

    /// Takes all of it back.
    pub fn rollback(self) {
        drop(self);
    }

    async fn send(&self, request: Request) -> Result<(), WriteError> {
        self.requests.send(request).await.map_err(|_| WriteError::Stopped)
    }
}

type Committing = (Unit, usize, oneshot::Sender<Result<Sequence, WriteError>>);

/// Serves one session until it commits (then the caller ends the transaction) or goes away (then all is rolled back).
pub(super) async fn serve(session: Session, mut unit: Unit) -> Option<Committing> {
    let Session { author, gaps, begun, mut requests } = session;
    begun.send(Ok(())).ok()?;
    let began_ms = unit.now_ms;
    let mut changes_made = 0;
    while let Some(request) = requests.recv().await {
        match request {
            Request::Write(then, changes, reply) => {
                changes_made += changes.len();
                let then = then.unwrap_or_else(|| Then { author: author.clone(), gaps, at_ms: began_ms });
                let result = write(&mut unit, &then, &changes).await;
                let failed = result.is_err();
                drop(reply.send(result));
                if failed {
                    break;
                }
            }
            Request::Follow(following, reply) => {
                changes_made += following.iter().map(|one| one.children.len()).sum::<usize>();
                let result = follow(&mut unit, &following).await;
                let failed = result.is_err();
                drop(reply.send(result));
                if failed {
                    break;
                }
            }
            Request::Settle(records, reply) => {
                changes_made += records.len();
                let result = settle(&mut unit, &records).await;
                let failed = result.is_err();
                drop(reply.send(result));
                if failed {
                    break;
                }
            }
            Request::Run(query) => query(&mut unit.tx).await,
            Request::Commit(reply) => return Some((unit, changes_made, reply)),
        }
    }
    // Dropping the transaction rolls back too, but only when the connection is next used: the next writer must not wait.
    if let Err(error) = unit.tx.rollback().await {
        tracing::error!(%error, "could not roll back a bulk write");
    }
    None
}

async fn write(unit: &mut Unit, then: &Then, changes: &[Change]) -> Result<Vec<Decision>, WriteError> {
    unit.now_ms = then.at_ms;
    let mut working = unit.working();
    unit.load(&mut working, &changes.iter().collect::<Vec<_>>()).await?;
    let author = unit.current_rights(&working, &then.author).ok_or(WriteError::NoRights)?;
    let decisions = unit.decide(&mut working, &author, changes, false, then.gaps);
    unit.persist(&working).await?;
    Ok(decisions)
}

async fn follow(unit: &mut Unit, following: &[Following]) -> Result<(), WriteError> {
    let mut working = unit.working();
    let children = following.iter().flat_map(|one| &one.children).copied();
    load::load_records(&mut working, children, &mut unit.tx).await?;
    unit.in_context(Gaps::Keep, |context| {
        for one in following {
            for child in &one.children {
                decide::follow(context, &mut working, &one.moved, *child);
            }
        }
    });
    unit.persist(&working).await?;
    Ok(())
}

/// A record that devices come to carry, or carry no more, gets a sequence: by that they are told. Nothing else of it
/// changes, so history has nothing to say.
async fn settle(unit: &mut Unit, records: &[RecordId]) -> Result<usize, WriteError> {
    let mut working = unit.working();
    load::load_records(&mut working, records.iter().copied(), &mut unit.tx).await?;
    let catalogue = unit.snapshot.catalogue.clone();
    let mut settled = 0;
    for id in records {
        let Some(touched) = working.records.get(id) else { continue };
        let Some(record) = touched.now.clone() else { continue };
        let Some(entity) = catalogue.entity_of(record.entity) else { continue };
        if carries(entity, &record.fields, unit.today) == touched.was_carried {
            continue;
        }
        let seq = working.sequence_for(*id);
        working.put(&entity.name, *id, Some(Stored { seq, ..record.as_ref().clone() }));
        settled += 1;
    }
    unit.persist(&working).await?;
    Ok(settled)
}
