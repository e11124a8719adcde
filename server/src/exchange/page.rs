//! The part of an answer that tells what is new.

use sync_protocol::cursor::Cursor;
use sync_protocol::digest::Hash;
use sync_protocol::id::{MutationId, Sequence};
use sync_protocol::wire::MendReason;

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
    /// Of what the device holds after it, where it completes a consistent point and the database was asked.
    pub digest: Option<Hash>,
    /// There is no page from this cursor: the device compares.
    pub mend: Option<MendReason>,
    /// The device's mutation that is decided next, where the database was asked.
    pub expected: Option<MutationId>,
    /// Everything up to here is in a backup; 0: nobody said so.
    pub safe: Sequence,
}

impl Page {
    /// A page without operations.
    #[must_use]
    pub fn nothing_new(cursor: Cursor, head: Sequence) -> Self {
        let more = !cursor.backfill.is_empty() || cursor.gaining.is_some() || cursor.seq < head;
        let operations = "[]".into();
        Self { operations, count: 0, cursor, more, head, digest: None, mend: None, expected: None, safe: 0 }
    }
}
