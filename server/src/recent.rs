//! In which scopes the last commits changed something: whom they concern is told from memory.

use std::collections::VecDeque;

use sync_protocol::id::{ScopeId, Sequence};

/// As many commits as this are remembered; whoever is further behind asks the database.
const COMMITS: usize = 512;
/// A commit that touches more scopes than this counts as touching all: an import does, and nobody lists them.
const SCOPES: usize = 4_096;

/// The last commits and the scopes that they touched.
#[derive(Debug)]
pub struct Recent {
    /// Every commit after this sequence is remembered.
    from: Sequence,
    /// The head after each commit, oldest first; without scopes: all.
    commits: VecDeque<(Sequence, Option<Box<[ScopeId]>>)>,
}

impl Recent {
    /// Nothing is known of what was committed up to `head`.
    #[must_use]
    pub fn since(head: Sequence) -> Self {
        Self { from: head, commits: VecDeque::new() }
    }

    /// Remembers a commit; `touched` may be in any order.
    pub fn note(&mut self, head: Sequence, mut touched: Vec<ScopeId>) {
        if touched.is_empty() {
            return;
        }
        if self.commits.len() == COMMITS
            && let Some((forgotten, _)) = self.commits.pop_front()
        {
            self.from = forgotten;
        }
        touched.sort_unstable();
        touched.dedup();
        self.commits.push_back((head, (touched.len() <= SCOPES).then(|| touched.into_boxed_slice())));
    }

    /// Whether a commit after `seq` may have touched one of `scopes`, which are ascending.
    #[must_use]
    pub fn may_concern(&self, scopes: &[ScopeId], seq: Sequence) -> bool {
        let later = self.commits.iter().rev().take_while(|(head, _)| *head > seq);
        seq < self.from || later.into_iter().any(|(_, touched)| touched.as_deref().is_none_or(|own| meet(own, scopes)))
    }
}

/// Whether two ascending lists share a member; the shorter one is looked up in the longer.
fn meet(one: &[ScopeId], other: &[ScopeId]) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    short.iter().any(|scope| long.binary_search(scope).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_concerns_those_who_hold_a_scope_that_it_touched_and_were_before_it() {
        let mut recent = Recent::since(10);
        recent.note(12, vec![7, 3, 7]);
        recent.note(15, vec![4]);
        assert!(recent.may_concern(&[1, 3, 9], 11));
        assert!(recent.may_concern(&[4], 12));
        assert!(!recent.may_concern(&[3], 12), "they have it");
        assert!(!recent.may_concern(&[1, 2, 5], 10), "it is none of theirs");
        assert!(recent.may_concern(&[1], 9), "what was before the start is not known");
    }

    #[test]
    fn what_is_forgotten_or_too_wide_to_list_concerns_everybody() {
        let mut recent = Recent::since(0);
        recent.note(1, (0..=4_096).collect());
        assert!(recent.may_concern(&[9_999], 0));
        for head in 2..=513 {
            recent.note(head, vec![1]);
        }
        assert!(!recent.may_concern(&[2], 1));
        assert!(recent.may_concern(&[2], 0), "the first commit is no longer remembered");
    }
}
