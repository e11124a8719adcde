//! The part of an answer that tells what is new.

use sync_protocol::cursor::Cursor;
use sync_protocol::id::Sequence;

/// What a device is told by one exchange.
#[derive(Debug)]
pub struct Page {
    /// A JSON array of operations.
    pub operations: String,
    /// How many there are.
    pub count: usize,
    /// Where the next page begins.
    pub cursor: Cursor,
    /// Whether there is a next page already.
    pub more: bool,
    /// The tenant's last sequence when the page was cut.
    pub head: Sequence,
}

impl Page {
    /// A page without operations.
    #[must_use]
    pub fn nothing_new(cursor: Cursor, head: Sequence) -> Self {
        let more = !cursor.backfill.is_empty() || cursor.seq < head;
        Self { operations: "[]".into(), count: 0, cursor, more, head }
    }
}
