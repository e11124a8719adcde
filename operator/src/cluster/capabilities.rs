//! Which kinds of other software the cluster has.

use std::collections::BTreeSet;

use super::kind::Kind;

/// Kinds of other software that exist. Everything of Kubernetes itself does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Capabilities(BTreeSet<Kind>);

impl Capabilities {
    /// These foreign kinds exist.
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self(kinds.into_iter().filter(|kind| kind.is_foreign()).collect())
    }

    /// Whether objects of that kind can be made.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        !kind.is_foreign() || self.0.contains(&kind)
    }

    /// The definitions that exist, by name.
    #[must_use]
    pub fn definitions(&self) -> Vec<String> {
        self.0.iter().filter_map(|kind| kind.definition()).collect()
    }

    /// Notes that a kind came or went. Whether that is news.
    pub fn set(&mut self, kind: Kind, exists: bool) -> bool {
        if exists { kind.is_foreign() && self.0.insert(kind) } else { self.0.remove(&kind) }
    }
}
