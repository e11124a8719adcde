//! One transaction of the writer, from its begin to its commit.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crm::rules::Gaps;
use sqlx::{Sqlite, Transaction};
use sync_protocol::id::{ScopeId, Sequence};

use super::decide::{Context, Working, decide, decide_group};
use super::persist::persist;
use super::push::DeviceState;
use super::{Author, Change, Decision, children, load};
use crate::live::Snapshot;
use crate::platform::entropy::Entropy;
use crate::user::rights::Rights;

/// One transaction under way.
pub(super) struct Unit {
    pub(super) tx: Transaction<'static, Sqlite>,
    pub(super) snapshot: Snapshot,
    pub(super) head: Sequence,
    pub(super) floor: Sequence,
    /// Every scope in which this transaction changed a record.
    pub(super) touched: BTreeSet<ScopeId>,
    /// A record was moved that may have children: they are to follow.
    pub(super) has_moved: bool,
    pub(super) last_num: i64,
    pub(super) now_ms: i64,
    /// The tenant's day as the transaction began.
    pub(super) today: i64,
    pub(super) devices: HashMap<i64, DeviceState>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Unit {
    pub(super) fn working(&self) -> Working {
        let mut working = Working::new(self.snapshot.directory.clone(), self.head);
        working.floor = self.floor;
        working
    }

    pub(super) async fn load(&mut self, working: &mut Working, changes: &[&Change]) -> Result<(), sqlx::Error> {
        let year = super::decide::year_of(self.now_ms);
        load::load(working, &self.snapshot.catalogue, changes, year, &mut self.tx).await
    }

    /// The author with the rights that hold in this transaction.
    pub(super) fn current_rights(&self, working: &Working, author: &Author) -> Option<Author> {
        let rights = match author.user {
            Some(user) => Arc::new(Rights::of_user(user.0, &working.directory, &self.snapshot.catalogue)?),
            None => Arc::new(Rights::of_operator(&self.snapshot.catalogue)),
        };
        Some(Author { rights, ..author.clone() })
    }

    pub(super) fn decide(
        &self,
        working: &mut Working,
        author: &Author,
        changes: &[Change],
        atomic: bool,
        gaps: Gaps,
    ) -> Vec<Decision> {
        self.in_context(gaps, |context| {
            if atomic {
                decide_group(context, working, author, &changes.iter().collect::<Vec<_>>())
            } else {
                changes.iter().map(|change| decide(context, working, author, change)).collect()
            }
        })
    }

    pub(super) fn in_context<T>(&self, gaps: Gaps, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let new_id = || self.entropy.uuid_v7(self.now_ms);
        work(&Context { catalogue: &self.snapshot.catalogue, now_ms: self.now_ms, new_id: &new_id, gaps })
    }

    /// Writes what was decided and takes over what it changed of people and scopes.
    pub(super) async fn persist(&mut self, working: &Working) -> Result<(), sqlx::Error> {
        let scopes = &mut self.snapshot.scopes;
        let catalogue = &self.snapshot.catalogue;
        let touched =
            persist(working, catalogue, scopes, &mut self.last_num, (self.now_ms, self.today), &mut self.tx).await?;
        self.touched.extend(touched);
        self.has_moved |= children::note(working, &self.snapshot.catalogue, &mut self.tx).await?;
        self.snapshot.directory = working.directory.clone();
        self.head = working.head;
        Ok(())
    }
}
