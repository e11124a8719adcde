//! Files on their way: sent in parts that go on where they were cut, fetched likewise.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sync_protocol::wire::BlobHash;
use sync_protocol::wire::blob::{UPLOAD_LENGTH, UPLOAD_OFFSET, range_from, read_content_range, read_count};
use ureq::SendBody;
use ureq::http::HeaderMap;

use super::TransportError;
use super::http::{HttpTransport, no_answer, read};

/// How far a blob is at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Bytes that are there.
    pub offset: u64,
    /// Bytes that it has.
    pub length: u64,
}

/// What a device asks of its server about files.
pub trait BlobTransport {
    /// How much of a blob the server has from this device, or may give to it; `None`: nothing.
    ///
    /// # Errors
    /// As [`super::Transport::exchange`].
    fn reached(&self, hash: BlobHash) -> Result<Option<Reached>, TransportError>;

    /// Sends the bytes of a blob of `length` bytes from `offset` on.
    ///
    /// # Errors
    /// As [`super::Transport::exchange`]. After a broken connection, [`Self::reached`] tells how many bytes arrived.
    fn send(&self, hash: BlobHash, file: &mut File, offset: u64, length: u64) -> Result<(), TransportError>;

    /// Fetches the bytes from `offset` on and writes them to `target`, which has those before.
    ///
    /// # Errors
    /// As [`super::Transport::exchange`]. What came before a broken connection is in `target`.
    fn fetch(&self, hash: BlobHash, offset: u64, target: &mut File) -> Result<(), TransportError>;
}

impl HttpTransport {
    fn blob_url(&self, hash: BlobHash) -> String {
        self.url(&format!("/sync/v1/blob/{hash}"))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.as_deref().unwrap_or_default())
    }
}

impl BlobTransport for HttpTransport {
    fn reached(&self, hash: BlobHash) -> Result<Option<Reached>, TransportError> {
        let url = self.blob_url(hash);
        let asking = self.agent.head(&url).header("Authorization", self.bearer());
        let answer = asking.call().map_err(|source| no_answer(&url, source))?;
        if answer.status().as_u16() == 404 {
            return Ok(None);
        }
        let headers = answer.headers().clone();
        read(&url, answer)?;
        let offset = count(&headers, UPLOAD_OFFSET).zip(count(&headers, UPLOAD_LENGTH));
        offset
            .map(|(offset, length)| Some(Reached { offset, length }))
            .ok_or_else(|| unintelligible(&url, "it does not say how many bytes are there"))
    }

    fn send(&self, hash: BlobHash, file: &mut File, offset: u64, length: u64) -> Result<(), TransportError> {
        let url = self.blob_url(hash);
        let lost = |error: io::Error| no_answer(&url, ureq::Error::Io(error));
        file.seek(SeekFrom::Start(offset)).map_err(lost)?;
        let mut rest = file.take(length.saturating_sub(offset));
        let sending = self
            .agent
            .put(&url)
            .header("Authorization", self.bearer())
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", length.saturating_sub(offset).to_string())
            .header(UPLOAD_OFFSET, offset.to_string())
            .header(UPLOAD_LENGTH, length.to_string());
        let answer = sending.send(SendBody::from_reader(&mut rest)).map_err(|source| no_answer(&url, source))?;
        read(&url, answer).map(drop)
    }

    fn fetch(&self, hash: BlobHash, offset: u64, target: &mut File) -> Result<(), TransportError> {
        let url = self.blob_url(hash);
        // A range counts the file's own bytes, so they travel as they are.
        let mut asking =
            self.agent.get(&url).header("Authorization", self.bearer()).header("Accept-Encoding", "identity");
        if offset > 0 {
            asking = asking.header("Range", range_from(offset));
        }
        let answer = asking.call().map_err(|source| no_answer(&url, source))?;
        let status = answer.status().as_u16();
        if !(200..300).contains(&status) {
            return read(&url, answer).map(drop);
        }
        let (head, body) = answer.into_parts();
        let first = if status == 206 {
            let range = head.headers.get("content-range").and_then(|range| read_content_range(range.as_bytes()));
            range.map(|(first, ..)| first).ok_or_else(|| unintelligible(&url, "it does not say which part it is"))?
        } else {
            0
        };
        if first > offset {
            return Err(unintelligible(&url, "it is another part than the one asked for"));
        }
        let lost = |error: io::Error| no_answer(&url, ureq::Error::Io(error));
        // A server may send from the beginning whatever it was asked for.
        target.set_len(first).and_then(|()| target.seek(SeekFrom::Start(first))).map_err(lost)?;
        let mut body = body.into_reader();
        io::copy(&mut body, target).and_then(|_| target.flush()).map_err(lost)
    }
}

fn count(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name).and_then(|value| read_count(value.as_bytes()))
}

fn unintelligible(url: &str, reason: &str) -> TransportError {
    TransportError::Unintelligible { url: url.to_owned(), reason: reason.to_owned() }
}
