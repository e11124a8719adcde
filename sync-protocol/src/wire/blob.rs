//! The headers of blobs, read and written without I/O: the same rules on both sides of the wire.
//!
//! Everything here takes what came from outside as bytes or text and answers with a value or with nothing; none of it
//! can fail otherwise.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

/// How many bytes of the blob the server has: on a request, those that its body follows.
pub const UPLOAD_OFFSET: &str = "upload-offset";
/// How many bytes the whole blob has.
pub const UPLOAD_LENGTH: &str = "upload-length";

/// The largest length or offset: what every JSON reader keeps exactly.
pub const MAX_BLOB_BYTES: u64 = (1 << 53) - 1;

/// The name of a blob: the SHA-256 of its bytes, 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// The text is not the name of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob is named by the 64 hexadecimal digits, in lower case, of the SHA-256 of its bytes")]
pub struct NotABlobHash;

impl FromStr for BlobHash {
    type Err = NotABlobHash;

    fn from_str(text: &str) -> Result<Self, NotABlobHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotABlobHash);
        }
        let mut hash = [0_u8; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (digit(pair[0]).ok_or(NotABlobHash)?, digit(pair[1]).ok_or(NotABlobHash)?);
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }
}

/// Upper case is no other spelling: a blob has one name.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Reads `Upload-Offset` or `Upload-Length`: decimal digits and nothing else, at most [`MAX_BLOB_BYTES`].
#[must_use]
pub fn read_count(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 16 {
        return None;
    }
    let mut count = 0_u64;
    for byte in value {
        if !byte.is_ascii_digit() {
            return None;
        }
        count = count * 10 + u64::from(byte - b'0');
    }
    (count <= MAX_BLOB_BYTES).then_some(count)
}

/// Which bytes of a blob are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// All of them: there is no `Range`, or one that a server may pass over, such as several ranges at once.
    Whole,
    /// From the first of these to the one before the second; never empty.
    Part(u64, u64),
    /// None of those asked for is there.
    OutOfReach,
}

/// Reads `Range` for a blob of `length` bytes (RFC 9110, 14.1.2): `bytes=FIRST-LAST`, `bytes=FIRST-`, `bytes=-COUNT`.
#[must_use]
pub fn read_range(value: &[u8], length: u64) -> ByteRange {
    let Some(said) = value.strip_prefix(b"bytes=") else { return ByteRange::Whole };
    let Some(dash) = said.iter().position(|byte| *byte == b'-') else { return ByteRange::Whole };
    let (first, last) = (&said[..dash], &said[dash + 1..]);
    match (first.is_empty(), read_count(first), last.is_empty(), read_count(last)) {
        (true, _, _, Some(count)) => match count.min(length) {
            0 => ByteRange::OutOfReach,
            count => ByteRange::Part(length - count, length),
        },
        (_, Some(first), true, _) if first < length => ByteRange::Part(first, length),
        (_, Some(first), _, Some(last)) if first <= last && first < length => {
            ByteRange::Part(first, last.saturating_add(1).min(length))
        }
        (_, Some(_), true, _) => ByteRange::OutOfReach,
        (_, Some(first), _, Some(last)) if first <= last => ByteRange::OutOfReach,
        _ => ByteRange::Whole,
    }
}

/// Writes `Range` for everything from `first` on.
#[must_use]
pub fn range_from(first: u64) -> String {
    format!("bytes={first}-")
}

/// Writes `Content-Range` for the bytes from `first` to the one before `end`.
#[must_use]
pub fn content_range(first: u64, end: u64, length: u64) -> String {
    format!("bytes {first}-{}/{length}", end.saturating_sub(1))
}

/// Writes `Content-Range` for an answer that none of the bytes asked for is there.
#[must_use]
pub fn content_range_out_of_reach(length: u64) -> String {
    format!("bytes */{length}")
}

/// Reads `Content-Range`: the first byte, the one after the last, and the whole length.
#[must_use]
pub fn read_content_range(value: &[u8]) -> Option<(u64, u64, u64)> {
    let said = value.strip_prefix(b"bytes ")?;
    let dash = said.iter().position(|byte| *byte == b'-')?;
    let slash = said.iter().position(|byte| *byte == b'/').filter(|slash| *slash > dash)?;
    let (first, last) = (read_count(&said[..dash])?, read_count(&said[dash + 1..slash])?);
    let length = read_count(&said[slash + 1..])?;
    (first <= last && last < length).then_some((first, last + 1, length))
}

/// Writes `Content-Disposition`: always an attachment, never shown in place; the name in a form for every reader
/// (RFC 6266, RFC 8187).
#[must_use]
pub fn content_disposition(name: &str) -> String {
    let plain: String =
        name.chars()
            .map(|one| {
                if one.is_ascii_alphanumeric() || matches!(one, ' ' | '.' | '-' | '_' | '(' | ')') { one } else { '_' }
            })
            .collect();
    let mut written = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        written.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~') {
                written.push(char::from(byte));
            } else {
                write!(written, "%{byte:02X}").expect("writing into a string does not fail");
            }
        }
    }
    written
}
