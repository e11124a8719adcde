//! How much may wait for the writer: by its size in memory, so that no number of requests makes the server grow.

use std::sync::Arc;

use serde_json::Value;
use sync_protocol::wire::{FieldOperation, Fields};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::WriteError;

/// Room is given out in pieces of this size.
const PIECE_BYTES: usize = 1 << 10;
/// What a change takes besides its values, and a request at the least.
const CHANGE_BYTES: usize = 256;

/// The room before the writer.
#[derive(Clone, Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    pieces: usize,
}

/// Where an answer goes; with it, the room that its request took is free again.
#[derive(Debug)]
pub(super) struct Reply<T> {
    to: oneshot::Sender<T>,
    _room: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        let pieces = (bytes / PIECE_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(pieces)), pieces }
    }

    /// Takes room for a request of that size; one that is larger than all the room there is takes all of it.
    pub(super) fn take<T>(&self, bytes: usize) -> Result<(Reply<T>, oneshot::Receiver<T>), WriteError> {
        let pieces = bytes.div_ceil(PIECE_BYTES).clamp(1, self.pieces);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let room = self.free.clone().try_acquire_many_owned(pieces).map_err(|_| WriteError::Busy)?;
        let (to, answer) = oneshot::channel();
        Ok((Reply { to, _room: room }, answer))
    }

    /// How much is taken.
    pub(super) fn taken_bytes(&self) -> usize {
        (self.pieces - self.free.available_permits()) * PIECE_BYTES
    }
}

impl<T> Reply<T> {
    /// Answers; the one who asked may be gone, what was decided stands.
    pub(super) fn send(self, answer: T) {
        drop(self.to.send(answer));
    }
}

/// About as much memory as a change takes.
pub(super) fn size_of_change(set: &Fields, ops: &[FieldOperation]) -> usize {
    let fields = set.iter().map(|(name, value)| name.len() + size_of_value(value));
    let operations = ops.iter().map(|operation| match operation {
        FieldOperation::Increment { field, .. } => field.len(),
        FieldOperation::Add { field, values }
        | FieldOperation::Remove { field, values }
        | FieldOperation::Append { field, values } => field.len() + values.iter().map(size_of_value).sum::<usize>(),
    });
    CHANGE_BYTES + fields.sum::<usize>() + operations.sum::<usize>()
}

fn size_of_value(value: &Value) -> usize {
    const EACH: usize = std::mem::size_of::<Value>();
    EACH + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_of_value).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| EACH + name.len() + size_of_value(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn room_is_taken_by_size_and_comes_back_with_the_answer() {
        let room = Room::of(4 << 10);
        let (first, _answer) = room.take::<()>(3 << 10).expect("there is room");
        assert!(matches!(room.take::<()>(2 << 10), Err(WriteError::Busy)));
        let (second, _other) = room.take::<()>(1).expect("for a small one there is");
        assert_eq!(room.taken_bytes(), 4 << 10);
        first.send(());
        drop(second);
        assert_eq!(room.taken_bytes(), 0);
        let (_whole, _last) = room.take::<()>(1 << 30).expect("the largest comes in when nobody waits");
    }

    #[test]
    fn a_change_weighs_what_it_carries() {
        let set = |value: Value| Fields::from([("note".to_owned(), value)]);
        let small = size_of_change(&set(json!(1)), &[]);
        assert!(size_of_change(&set(json!("x".repeat(10_000))), &[]) > small + 9_000);
        let append = FieldOperation::Append { field: "log".into(), values: vec![json!(["y".repeat(5_000)])] };
        assert!(size_of_change(&Fields::new(), &[append]) > 5_000);
    }
}
