//! Server-sent events as the WHATWG HTML standard has them, read line by line.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

/// More than this is no event of ours: a delta has a few KiB.
const MAX_BLOCK_BYTES: u64 = 1 << 20;

/// What stands between two empty lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The event's name; empty where the block has none.
    pub name: String,
    /// Its lines of data, together.
    pub data: String,
    /// How long to wait before connecting again.
    pub retry: Option<Duration>,
}

/// The blocks of a stream, until it ends or breaks; one that is longer than any event of a server breaks it too. What stands
/// before the end without an empty line does not count.
pub struct Blocks<R> {
    reader: BufReader<R>,
    is_at_start: bool,
}

impl<R: Read> Blocks<R> {
    /// Those of this stream, from its beginning.
    pub fn of(stream: R) -> Self {
        Self { reader: BufReader::new(stream), is_at_start: true }
    }

    fn read(&mut self) -> io::Result<Option<Block>> {
        let mut block = Block::default();
        let mut room = MAX_BLOCK_BYTES;
        loop {
            let mut line = Vec::new();
            let read = self.reader.by_ref().take(room).read_until(b'\n', &mut line)? as u64;
            if read == 0 && room > 0 {
                return Ok(None);
            }
            room -= read;
            if room == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an event is longer than any of ours"));
            }
            let line = String::from_utf8_lossy(&line);
            let mut line = line.trim_end_matches(['\n', '\r']);
            if std::mem::take(&mut self.is_at_start) {
                line = line.trim_start_matches('\u{feff}');
            }
            if line.is_empty() {
                return Ok(Some(block));
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut block.name),
                "data" => {
                    if !block.data.is_empty() {
                        block.data.push('\n');
                    }
                    block.data.push_str(value);
                }
                "retry" => block.retry = value.parse().ok().map(Duration::from_millis),
                // The id is the delta's cursor, which its data have too; comments have no name.
                _ => {}
            }
        }
    }
}

impl<R: Read> Iterator for Blocks<R> {
    type Item = io::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<Block> {
        Blocks::of(text.as_bytes()).collect::<io::Result<_>>().expect("readable")
    }

    #[test]
    fn events_comments_and_retries_are_read_and_an_unfinished_event_is_not() {
        let read = blocks(
            "\u{feff}: connected\r\nretry: 3000\r\n\r\nid: c2\nevent:delta\ndata: {\"a\":\ndata: 1}\n\n:\n\nevent: poke\ndata: {}\n",
        );
        let [greeting, delta, heartbeat] = read.as_slice() else { panic!("three blocks: {read:?}") };
        assert_eq!((greeting.retry, greeting.name.as_str()), (Some(Duration::from_secs(3)), ""));
        assert_eq!((delta.name.as_str(), delta.data.as_str()), ("delta", "{\"a\":\n1}"));
        assert_eq!(heartbeat, &Block::default());
    }

    #[test]
    fn an_event_without_an_end_does_not_fill_the_memory() {
        let endless = io::repeat(b'x');
        let refused = Blocks::of(endless).next().expect("something").expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
