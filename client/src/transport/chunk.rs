//! Chunks on their way here: one may be cut anywhere and goes on from there, many small ones come together.

use std::io::{self, Read};
use std::sync::Arc;

use sync_protocol::wire::chunk::{ChunkHash, MAX_CHUNK_BYTES};

use super::body;

/// What came of a chunk before the connection broke.
#[derive(Debug, Default)]
pub struct Partial {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    hash: ChunkHash,
    /// Names the bytes of which these are the first.
    tag: String,
    /// Compressed.
    bytes: Vec<u8>,
}

impl Partial {
    /// From where on the chunk is still wanted, and of which bytes.
    pub fn from(&self, hash: ChunkHash) -> Option<(usize, &str)> {
        let begun = self.begun.as_ref().filter(|begun| begun.hash == hash && !begun.bytes.is_empty())?;
        Some((begun.bytes.len(), &begun.tag))
    }

    /// Reads the answer to its end; where that does not come, what came is kept for the next time.
    ///
    /// # Errors
    /// When the connection breaks, or more comes than any chunk has.
    pub fn read(
        &mut self,
        hash: ChunkHash,
        is_rest: bool,
        tag: Option<String>,
        answer: impl Read,
    ) -> io::Result<Vec<u8>> {
        let known = self.begun.take().filter(|begun| is_rest && begun.hash == hash);
        let mut bytes = known.map(|begun| begun.bytes).unwrap_or_default();
        let room = MAX_CHUNK_BYTES.saturating_sub(bytes.len()) as u64;
        let read = answer.take(room).read_to_end(&mut bytes);
        if let (Err(_), Some(tag)) = (&read, tag) {
            self.begun = Some(Begun { hash, tag, bytes });
            return read.map(|_| Vec::new());
        }
        read.map(|_| bytes)
    }
}

/// The chunks of an answer, decompressed: a line each.
///
/// # Errors
/// When the bytes are not what their encoding says.
pub fn lines(packed: &[u8], encoding: Option<&str>) -> io::Result<Vec<Arc<[u8]>>> {
    let plain = body::decode(packed, encoding)?;
    Ok(plain.split_inclusive(|byte| *byte == b'\n').map(Arc::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes, then breaks.
    struct Cut<'a>(&'a [u8]);

    impl Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                read => Ok(read),
            }
        }
    }

    #[test]
    fn a_chunk_that_is_cut_at_any_byte_goes_on_from_there() {
        let whole = b"the compressed bytes of a chunk";
        let hash = ChunkHash::of(whole);
        let tag = || Some("tag".to_owned());
        for cut in 1..whole.len() {
            let mut partial = Partial::default();
            assert!(partial.read(hash, false, tag(), Cut(&whole[..cut])).is_err());
            assert_eq!(partial.from(hash), Some((cut, "tag")));
            assert_eq!(partial.from(ChunkHash::of(b"another")), None);
            let rest = partial.read(hash, true, tag(), &whole[cut..]).expect("the rest comes");
            assert_eq!(rest, whole);
            assert_eq!(partial.from(hash), None, "nothing is left of it");
        }
    }

    #[test]
    fn a_server_that_begins_anew_is_followed() {
        let mut partial = Partial::default();
        let hash = ChunkHash::of(b"x");
        assert!(partial.read(hash, false, Some("old".to_owned()), Cut(b"old bytes")).is_err());
        let whole = partial.read(hash, false, Some("new".to_owned()), &b"new bytes"[..]).expect("it comes whole");
        assert_eq!(whole, b"new bytes");
    }

    #[test]
    fn chunks_that_come_together_are_taken_apart() {
        let frames = [&b"{\"a\":1}\n"[..], b"{\"b\":2}\n"].map(|line| zstd::bulk::compress(line, 1).expect("packs"));
        let lines = lines(&frames.concat(), Some("zstd")).expect("unpacks");
        assert_eq!(lines, [Arc::from(&b"{\"a\":1}\n"[..]), Arc::from(&b"{\"b\":2}\n"[..])]);
    }
}
