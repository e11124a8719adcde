//! What is to be reconciled and when: each key once, never twice at the same time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use jiff::Timestamp;

/// Keys that wait for their time, and those that are being worked on.
#[derive(Debug)]
pub struct Queue<K> {
    due: BTreeSet<(Timestamp, K)>,
    when: HashMap<K, Timestamp>,
    active: HashSet<K>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), when: HashMap::new(), active: HashSet::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// A key is due at `when`, or earlier if it was already.
    pub fn add(&mut self, key: K, when: Timestamp) {
        if let Some(known) = self.when.get(&key) {
            if *known <= when {
                return;
            }
            self.due.remove(&(*known, key.clone()));
        }
        self.due.insert((when, key.clone()));
        self.when.insert(key, when);
    }

    /// A key that is due now and that nobody works on; from now on somebody does, until [`Queue::done`].
    pub fn take(&mut self, now: Timestamp) -> Option<(K, Timestamp)> {
        let next = self.due.iter().take_while(|(when, _)| *when <= now).find(|(_, key)| !self.active.contains(key))?;
        let (when, key) = next.clone();
        self.due.remove(&(when, key.clone()));
        self.when.remove(&key);
        self.active.insert(key.clone());
        Some((key, when))
    }

    /// The work on a key has ended.
    pub fn done(&mut self, key: &K) {
        self.active.remove(key);
    }

    /// When the next key is due that nobody works on.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.due.iter().find(|(_, key)| !self.active.contains(key)).map(|(when, _)| *when)
    }

    /// How many are due at `now` and wait, and since when the first of them does.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> (usize, Option<Timestamp>) {
        let mut due = self.due.iter().take_while(|(when, _)| *when <= now).peekable();
        let first = due.peek().map(|(when, _)| *when);
        (due.count(), first)
    }

    /// How many are worked on.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_key_waits_once_for_the_earliest_time() {
        let mut queue = Queue::default();
        queue.add("a", at(9));
        queue.add("a", at(5));
        queue.add("a", at(7));
        assert_eq!((queue.overdue(at(9)), queue.next()), ((1, Some(at(5))), Some(at(5))));
        assert_eq!(queue.overdue(at(4)), (0, None));
        assert_eq!(queue.take(at(4)), None);
        assert_eq!(queue.take(at(5)), Some(("a", at(5))));
        assert_eq!(queue.take(at(9)), None);
    }

    #[test]
    fn what_comes_while_a_key_is_worked_on_waits_for_the_end() {
        let mut queue = Queue::default();
        queue.add("a", at(1));
        assert!(queue.take(at(1)).is_some());
        queue.add("a", at(1));
        queue.add("b", at(2));
        assert_eq!(queue.take(at(2)), Some(("b", at(2))));
        assert_eq!((queue.take(at(2)), queue.next()), (None, None));
        queue.done(&"a");
        assert_eq!(queue.take(at(2)), Some(("a", at(1))));
    }
}
