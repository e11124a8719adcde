use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use super::{
    ApplyError, Attention, BaseRecord, Batch, JOURNAL_LENGTH, Journaled, Position, Saved, Standing, Store, View, apply,
    replay,
};
use crate::digest::SetDigest;
use crate::id::{MutationId, RecordId, ScopeId, Sequence};
use crate::wire::{Mutation, Operation};

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    bases: BTreeMap<RecordId, Arc<BaseRecord>>,
    outbox: BTreeMap<MutationId, Mutation>,
    attention: BTreeMap<MutationId, Attention>,
    journal: BTreeMap<MutationId, Journaled>,
    digests: BTreeMap<ScopeId, SetDigest>,
    staged: VecDeque<Arc<[Operation]>>,
    laid: BTreeMap<RecordId, BTreeMap<String, Sequence>>,
    position: Position,
}

impl MemoryStore {
    /// Applies a batch wholly, or changes nothing.
    ///
    /// # Errors
    ///
    /// [`ApplyError::BaseMissing`].
    pub fn commit(&mut self, batch: &Batch) -> Result<(), ApplyError<Infallible>> {
        let mut next = self.clone();
        apply(&mut next, batch)?;
        *self = next;
        Ok(())
    }

    /// What the engine goes on from.
    #[must_use]
    pub fn saved(&self) -> Saved {
        Saved {
            position: self.position.clone(),
            outbox: self.outbox.values().cloned().collect(),
            attention: self.attention.values().cloned().collect(),
        }
    }

    /// The record as the person sees it.
    #[must_use]
    pub fn view(&self, id: RecordId) -> Option<View> {
        replay(id, self.bases.get(&id).map(Arc::as_ref), self.outbox.values())
    }

    /// Every record of an entity as the person sees it, by id.
    #[must_use]
    pub fn views(&self, entity: &str) -> Vec<View> {
        let mut ids: Vec<RecordId> = self.bases.keys().copied().collect();
        ids.extend(self.outbox.values().map(|mutation| mutation.record));
        ids.sort_unstable();
        ids.dedup();
        let views = ids.into_iter().filter_map(|id| self.view(id));
        views.filter(|view| view.entity == entity).collect()
    }

    /// The base records, hidden ones too.
    pub fn bases(&self) -> impl Iterator<Item = (RecordId, &BaseRecord)> {
        self.bases.iter().map(|(id, record)| (*id, record.as_ref()))
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn base(&self, id: RecordId) -> Result<Option<BaseRecord>, Infallible> {
        Ok(self.bases.get(&id).map(|record| record.as_ref().clone()))
    }

    fn put_base(&mut self, id: RecordId, record: BaseRecord) -> Result<(), Infallible> {
        self.bases.insert(id, Arc::new(record));
        Ok(())
    }

    fn remove_base(&mut self, id: RecordId) -> Result<(), Infallible> {
        self.bases.remove(&id);
        Ok(())
    }

    fn standing(&self, id: RecordId) -> Result<Option<Standing>, Infallible> {
        Ok(self.bases.get(&id).map(|record| record.standing()))
    }

    fn standings(&self, first: RecordId, last: RecordId) -> Result<BTreeMap<RecordId, Standing>, Infallible> {
        Ok(self.bases.range(first..=last).map(|(id, record)| (*id, record.standing())).collect())
    }

    fn each_base(&self, each: &mut dyn FnMut(RecordId, BaseRecord)) -> Result<(), Infallible> {
        self.bases.iter().for_each(|(id, record)| each(*id, record.as_ref().clone()));
        Ok(())
    }

    fn digests(&self) -> Result<BTreeMap<ScopeId, SetDigest>, Infallible> {
        Ok(self.digests.clone())
    }

    fn put_digest(&mut self, scope: ScopeId, digest: SetDigest) -> Result<(), Infallible> {
        self.digests.insert(scope, digest);
        Ok(())
    }

    fn bases_in_scope(&self, scope: ScopeId) -> Result<Vec<RecordId>, Infallible> {
        let standing = self.bases().filter(|(_, record)| record.scopes.contains(&scope));
        Ok(standing.map(|(id, _)| id).collect())
    }

    fn bases_before(&self, generation: u64) -> Result<Vec<RecordId>, Infallible> {
        let untouched = self.bases().filter(|(_, record)| record.generation < generation);
        Ok(untouched.map(|(id, _)| id).collect())
    }

    fn is_pending(&self, record: RecordId) -> Result<bool, Infallible> {
        Ok(self.outbox.values().any(|mutation| mutation.record == record))
    }

    fn add_to_outbox(&mut self, mutation: &Mutation) -> Result<(), Infallible> {
        self.outbox.insert(mutation.id, mutation.clone());
        Ok(())
    }

    fn remove_from_outbox(&mut self, mutation: MutationId) -> Result<(), Infallible> {
        self.outbox.remove(&mutation);
        Ok(())
    }

    fn add_to_journal(&mut self, entry: &Journaled) -> Result<(), Infallible> {
        self.journal.insert(entry.mutation.id, entry.clone());
        Ok(())
    }

    fn journal(&self, from: MutationId) -> Result<Vec<Journaled>, Infallible> {
        Ok(self.journal.range(from..).map(|(_, entry)| entry.clone()).collect())
    }

    fn take_journal(&mut self, from: MutationId) -> Result<(), Infallible> {
        self.journal.split_off(&from);
        Ok(())
    }

    fn trim_journal(&mut self, safe: Sequence, before_ms: i64) -> Result<(), Infallible> {
        self.journal.retain(|_, entry| entry.head > safe && entry.at_ms >= before_ms);
        while self.journal.len() > JOURNAL_LENGTH {
            self.journal.pop_first();
        }
        Ok(())
    }

    fn add_attention(&mut self, attention: &Attention) -> Result<(), Infallible> {
        self.attention.insert(attention.mutation.id, attention.clone());
        Ok(())
    }

    fn remove_attention(&mut self, mutation: MutationId) -> Result<(), Infallible> {
        self.attention.remove(&mutation);
        Ok(())
    }

    fn push_staged(&mut self, page: &[Operation]) -> Result<(), Infallible> {
        self.staged.push_back(page.into());
        Ok(())
    }

    fn pop_staged(&mut self) -> Result<Option<Vec<Operation>>, Infallible> {
        Ok(self.staged.pop_front().map(|page| page.to_vec()))
    }

    fn laid(&self) -> Result<BTreeMap<RecordId, BTreeMap<String, Sequence>>, Infallible> {
        Ok(self.laid.clone())
    }

    fn put_laid(&mut self, record: RecordId, field: &str, seq: Sequence) -> Result<(), Infallible> {
        self.laid.entry(record).or_default().insert(field.to_owned(), seq);
        Ok(())
    }

    fn clear_laid(&mut self) -> Result<(), Infallible> {
        self.laid.clear();
        Ok(())
    }

    fn position(&self) -> Result<Position, Infallible> {
        Ok(self.position.clone())
    }

    fn put_position(&mut self, position: &Position) -> Result<(), Infallible> {
        self.position = position.clone();
        Ok(())
    }
}
