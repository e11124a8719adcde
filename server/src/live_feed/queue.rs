//! What waits to be sent to one device: a few events at the most.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::event::{Event, Kind};

/// Events that may wait; a device that is further behind is dropped and catches up by an exchange.
pub(super) const MOST_WAITING: usize = 16;

/// The queue of one device; empty it holds no memory of its own.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
    reader: Option<Waker>,
    is_ended: bool,
}

impl Queue {
    /// Puts an event behind the others; false when there is no room for it.
    #[must_use]
    pub(super) fn offer(&self, event: Event) -> bool {
        let mut state = self.state();
        let last_is_poke = state.waiting.back().is_some_and(|last| last.kind == Kind::Poke);
        if last_is_poke && event.kind == Kind::Poke {
            // Several commits while the device was busy are one poke.
            state.waiting.pop_back();
        }
        if state.waiting.len() >= MOST_WAITING {
            return false;
        }
        state.waiting.push_back(event);
        wake(state);
        true
    }

    /// Ends the stream behind what waits.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_ended = true;
        wake(state);
    }

    /// Ends the stream at once.
    pub(super) fn cut(&self) {
        self.state().waiting = VecDeque::new();
        self.end();
    }

    /// The next event; `None` is the end.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.state();
        if let Some(event) = state.waiting.pop_front() {
            if state.waiting.is_empty() {
                state.waiting = VecDeque::new();
            }
            return Poll::Ready(Some(event));
        }
        if state.is_ended {
            return Poll::Ready(None);
        }
        match &mut state.reader {
            Some(reader) => reader.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

/// Wakes the reader outside of the lock, which it is about to take.
fn wake(mut state: MutexGuard<'_, State>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}
