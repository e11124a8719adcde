//! Bodies as they travel: JSON, compressed with zstd where it pays.

use std::io::{self, Read};

/// Below this, a request's body travels as it is: compressing it saves less than its frame costs.
const COMPRESS_FROM_BYTES: usize = 512;
/// What one answer may hold once it is decompressed: far above any page, far below what would hurt a phone.
pub const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// RFC 9659: who sends zstd over HTTP keeps to a window of 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// A request's body, and the `Content-Encoding` it needs.
///
/// # Errors
/// When it cannot be compressed.
pub fn encode(json: Vec<u8>) -> io::Result<(Vec<u8>, Option<&'static str>)> {
    if json.len() < COMPRESS_FROM_BYTES {
        return Ok((json, None));
    }
    let packed = zstd::bulk::compress(&json, 1)?;
    Ok((packed, Some("zstd")))
}

/// The bytes of an answer, decompressed when it says that it is compressed; never more than [`MAX_ANSWER_BYTES`],
/// however small it travelled.
///
/// # Errors
/// When it breaks off, is not what it says, or holds too much (`InvalidData`).
pub fn decode(body: impl Read, encoding: Option<&str>) -> io::Result<Vec<u8>> {
    let is_zstd = encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("zstd"));
    if !is_zstd {
        return read_limited(body);
    }
    let mut decoder = zstd::stream::read::Decoder::new(body)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    read_limited(decoder)
}

fn read_limited(body: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = body.take(MAX_ANSWER_BYTES + 1).read_to_end(&mut bytes)?;
    if read as u64 > MAX_ANSWER_BYTES {
        let reason = format!("it holds more than {MAX_ANSWER_BYTES} bytes, which no answer does");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_body_travels_compressed_and_arrives_whole() {
        let json = "[1,2,3]".repeat(10_000).into_bytes();
        let (packed, encoding) = encode(json.clone()).expect("compresses");
        assert!(packed.len() < json.len() / 10);
        assert_eq!(decode(packed.as_slice(), encoding).expect("decompresses"), json);
    }

    #[test]
    fn a_short_body_travels_as_it_is() {
        let (body, encoding) = encode(b"{}".to_vec()).expect("nothing to do");
        assert_eq!((body.as_slice(), encoding), (b"{}".as_slice(), None));
    }

    #[test]
    fn a_bomb_is_refused_before_it_unfolds() {
        let zeros = io::repeat(b' ').take(MAX_ANSWER_BYTES + 10);
        let bomb = zstd::stream::encode_all(zeros, 1).expect("compresses");
        assert!(bomb.len() < 100_000);
        let refused = decode(bomb.as_slice(), Some("zstd")).expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_truncated_answer_is_an_error_and_not_a_shorter_answer() {
        let (packed, encoding) = encode(vec![b'7'; 5_000]).expect("compresses");
        assert!(decode(&packed[..packed.len() - 3], encoding).is_err());
    }
}
