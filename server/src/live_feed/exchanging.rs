//! An exchange and the stream of the same device keep out of each other's way.

use sync_protocol::cursor::Cursor;

use super::LiveFeed;

/// An exchange under way. While it is, its device is told nothing: what it pushes would come as a delta before the
/// outcome, and the device could not tell it from somebody else's.
#[derive(Debug)]
#[must_use]
pub struct Exchanging {
    feed: LiveFeed,
    device: i64,
    is_over: bool,
}

impl Exchanging {
    pub(super) fn begin(feed: LiveFeed, device: i64) -> Self {
        feed.registry().begin_exchange(device);
        Self { feed, device, is_over: false }
    }

    /// The device is about to be given `cursor`: a consistent point, with everything that it wrote before it. Deltas go on
    /// from there. Without this call, because the exchange failed or brought less, it is only poked until its next one.
    pub fn ends_at(mut self, cursor: &Cursor, sealed: &str) {
        self.is_over = true;
        self.feed.registry().end_exchange(self.device, Some((sealed, cursor)));
        self.feed.wake();
        self.feed.note_left();
    }
}

impl Drop for Exchanging {
    fn drop(&mut self) {
        if !self.is_over {
            self.feed.registry().end_exchange(self.device, None);
            self.feed.wake();
            self.feed.note_left();
        }
    }
}
