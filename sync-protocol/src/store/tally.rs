//! A store whose digests follow every base record that is put or removed.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use super::{ApplyError, BaseRecord, PutRow, Standing, Store};
use crate::digest::{SetDigest, leaf};
use crate::id::{RecordId, ScopeId, Sequence};

/// Counts what a batch changes and writes it at the end.
pub(super) struct Tally<'a, S> {
    store: &'a mut S,
    changed: BTreeMap<ScopeId, SetDigest>,
}

impl<'a, S: Store> Tally<'a, S> {
    pub(super) fn of(store: &'a mut S) -> Self {
        Self { store, changed: BTreeMap::new() }
    }

    /// Stores a base record; digests count those that stand in a scope.
    pub(super) fn put(&mut self, id: RecordId, record: BaseRecord) -> Result<(), S::Error> {
        let former = self.store.standing(id)?;
        self.count(id, former.as_ref(), record.seq, &record.scopes);
        self.store.put_base(id, record)
    }

    /// Stores a chunk's row over the record that stood there.
    pub(super) fn put_row(&mut self, put: &PutRow<'_>, former: Option<&Standing>) -> Result<(), ApplyError<S::Error>> {
        self.count(put.row.id, former, put.row.seq, put.scopes);
        self.store.put_row(put)
    }

    /// Forgets a base record.
    pub(super) fn remove(&mut self, id: RecordId) -> Result<(), S::Error> {
        let former = self.store.standing(id)?;
        self.count(id, former.as_ref(), 0, &[]);
        self.store.remove_base(id)
    }

    fn count(&mut self, id: RecordId, former: Option<&Standing>, seq: Sequence, scopes: &[ScopeId]) {
        if let Some(former) = former {
            let leaf = leaf(id, former.seq);
            for scope in &former.scopes {
                self.changed.entry(*scope).or_default().remove(leaf);
            }
        }
        let leaf = leaf(id, seq);
        for scope in scopes {
            self.changed.entry(*scope).or_default().add(leaf);
        }
    }

    /// Counts every record anew: what was stored may have been damaged beside the records, or they beside it.
    pub(super) fn recount(&mut self) -> Result<(), S::Error> {
        self.changed.clear();
        let mut digests = count(self.store)?;
        for scope in self.store.digests()?.into_keys() {
            digests.entry(scope).or_default();
        }
        for (scope, digest) in digests {
            self.store.put_digest(scope, digest)?;
        }
        Ok(())
    }

    /// Lays what was counted over the stored digests.
    pub(super) fn write(self) -> Result<(), S::Error> {
        let mut digests = if self.changed.is_empty() { BTreeMap::new() } else { self.store.digests()? };
        for (scope, change) in self.changed {
            let mut digest = digests.remove(&scope).unwrap_or_default();
            digest.count = digest.count.wrapping_add(change.count);
            digest.hash.0 ^= change.hash.0;
            self.store.put_digest(scope, digest)?;
        }
        Ok(())
    }
}

/// The digest of each scope, from the records themselves.
pub(super) fn count<S: Store>(store: &S) -> Result<BTreeMap<ScopeId, SetDigest>, S::Error> {
    let mut digests: BTreeMap<ScopeId, SetDigest> = BTreeMap::new();
    store.each_base(&mut |id, record| {
        let leaf = leaf(id, record.seq);
        for scope in record.scopes {
            digests.entry(scope).or_default().add(leaf);
        }
    })?;
    Ok(digests)
}

impl<S> Deref for Tally<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.store
    }
}

impl<S> DerefMut for Tally<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        self.store
    }
}
