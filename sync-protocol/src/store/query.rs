use super::tally::count;
use super::{Journaled, Store};
use crate::digest::{Hash, SetDigest, deep_leaf, leaf};
use crate::id::{MutationId, RecordId, ScopeId, Sequence};

/// What the engine wants to know of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The digest of each scope.
    Digests {
        /// From the records themselves and not as it was kept.
        recount: bool,
    },
    /// Every base record that stands in a scope.
    Held {
        /// With leaves over the fields.
        deep: bool,
    },
    /// The journal from this mutation on.
    Journal {
        /// The first one.
        from: MutationId,
    },
}

/// What a store says to a [`Query`].
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// To [`Query::Digests`]; a scope without records may be there or not.
    Digests(Vec<(ScopeId, SetDigest)>),
    /// To [`Query::Held`], in any order.
    Held(Vec<HeldRecord>),
    /// To [`Query::Journal`], by mutation.
    Journal(Vec<Journaled>),
}

/// A base record as digests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRecord {
    /// Its id.
    pub id: RecordId,
    /// Its sequence.
    pub seq: Sequence,
    /// The scopes in which it stands.
    pub scopes: Vec<ScopeId>,
    /// What it counts with.
    pub leaf: Hash,
}

/// Answers a query from what the store holds now.
///
/// # Errors
///
/// The storage failed.
pub fn look_up<S: Store>(store: &S, query: &Query) -> Result<Found, S::Error> {
    Ok(match query {
        Query::Digests { recount } => {
            let digests = if *recount { count(store)? } else { store.digests()? };
            Found::Digests(digests.into_iter().collect())
        }
        Query::Held { deep } => {
            let mut held = Vec::new();
            store.each_base(&mut |id, record| {
                if !record.scopes.is_empty() {
                    let seq = record.seq;
                    let leaf = match deep {
                        // No operation has said what it is: it is like no record of the server.
                        _ if record.generation == 0 => Hash::default(),
                        true => deep_leaf(id, seq, &record.fields),
                        false => leaf(id, seq),
                    };
                    held.push(HeldRecord { id, seq, scopes: record.scopes, leaf });
                }
            })?;
            Found::Held(held)
        }
        Query::Journal { from } => Found::Journal(store.journal(*from)?),
    })
}
