use std::fs::File;
use std::ops::ControlFlow;

use tokio::sync::mpsc;

use super::super::read::{Cell, FileFacts, ReadError, ReadOptions, Row, Sink, read};

/// Rows that are planned and written together.
const CHUNK_ROWS: usize = 1_000;
/// Fewer where they carry photos: so many bytes of those are in memory at once, and one more.
const CHUNK_BYTES: usize = 8 << 20;

/// Reads a file in a thread of its own; at most two chunks wait.
pub(super) fn rows(mut file: File, options: ReadOptions) -> mpsc::Receiver<Result<Vec<Row>, ReadError>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut feed = Feed { sender: sender.clone(), chunk: Vec::new(), bytes: 0 };
        let done = read(&mut file, &options, &mut feed);
        let last = std::mem::take(&mut feed.chunk);
        let last = done.map(|()| last);
        // Whoever reads may have gone: then the import is over.
        drop(sender.blocking_send(last));
    });
    receiver
}

struct Feed {
    sender: mpsc::Sender<Result<Vec<Row>, ReadError>>,
    chunk: Vec<Row>,
    bytes: usize,
}

impl Sink for Feed {
    fn start(&mut self, _facts: &FileFacts, _columns: &[String]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn row(&mut self, row: Row) -> ControlFlow<()> {
        let files = row.cells.iter().map(|cell| if let Cell::Blob(file) = cell { file.bytes.len() } else { 0 });
        self.bytes += files.sum::<usize>();
        self.chunk.push(row);
        if self.chunk.len() < CHUNK_ROWS && self.bytes < CHUNK_BYTES {
            return ControlFlow::Continue(());
        }
        self.bytes = 0;
        match self.sender.blocking_send(Ok(std::mem::take(&mut self.chunk))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
