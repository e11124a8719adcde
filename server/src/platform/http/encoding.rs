//! Request bodies as they were before `Content-Encoding`, never larger than their reader allows.

use std::io::{self, Read, Write};
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::problem::{ApiError, BAD_ENCODING, BODY_TOO_LARGE, UNREADABLE_BODY, UNSUPPORTED_ENCODING};

/// RFC 9659: who sends zstd over HTTP keeps to a window of 8 MiB. A frame that asks for more would cost us memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Smaller encoded bodies are decoded where they arrive: handing them to another thread would take longer.
const DECODE_IN_PLACE_BYTES: usize = 16 * 1024;

/// How a body was encoded on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut named = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = named.next() else { return Ok(Self::Identity) };
        let text = value.to_str().unwrap_or("?").trim();
        let known = match text.to_ascii_lowercase().as_str() {
            "identity" | "" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        };
        match known {
            Some(encoding) if named.next().is_none() => Ok(encoding),
            _ => Err(ApiError::new(UNSUPPORTED_ENCODING)
                .detail("Send the body as it is, or encode it once, with zstd or gzip.")
                .header(header::ACCEPT_ENCODING, header::HeaderValue::from_static("zstd, gzip, identity"))),
        }
    }

    fn reader<'a>(self, encoded: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Identity => Box::new(encoded),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(encoded)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(encoded)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }
}

/// Reads a whole body into memory, decoded, of at most `limit_bytes` before and after decoding.
///
/// # Errors
/// `body-too-large`, `bad-encoding`, `unsupported-encoding` or `unreadable-body`.
pub async fn read_body(headers: &HeaderMap, body: Body, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let encoding = Encoding::of(headers)?;
    let mut stream = body.into_data_stream();
    let mut encoded = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(unreadable)?;
        if encoded.len() + chunk.len() > limit_bytes {
            return Err(too_large(limit_bytes as u64));
        }
        encoded.extend_from_slice(&chunk);
    }
    let decode = move |encoded: Vec<u8>| {
        let mut decoded = Vec::new();
        copy_limited(encoding, encoded.as_slice(), &mut decoded, limit_bytes as u64)?;
        Ok::<_, ApiError>(decoded)
    };
    let decoded = match encoding {
        Encoding::Identity => encoded,
        _ if encoded.len() <= DECODE_IN_PLACE_BYTES => decode(encoded)?,
        _ => tokio::task::spawn_blocking(move || decode(encoded)).await.map_err(ApiError::internal)??,
    };
    Ok(decoded.into())
}

/// Writes a body, decoded, into a new file in `folder` while it arrives; the file goes when the answer is dropped.
///
/// # Errors
/// As [`read_body`]; `internal` when the folder cannot be written to.
pub async fn spool_body(
    headers: &HeaderMap,
    body: Body,
    limit_bytes: u64,
    folder: &Path,
) -> Result<NamedTempFile, ApiError> {
    let encoding = Encoding::of(headers)?;
    let mut file = NamedTempFile::new_in(folder).map_err(ApiError::internal)?;
    let (send, chunks) = mpsc::channel(4);
    let write = tokio::task::spawn_blocking(move || {
        copy_limited(encoding, Chunks { chunks, current: Bytes::new() }, &mut file, limit_bytes)?;
        Ok::<_, ApiError>(file)
    });
    let mut stream = body.into_data_stream();
    let mut received_bytes: u64 = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(unreadable)?;
        received_bytes += chunk.len() as u64;
        if received_bytes > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        if send.send(chunk).await.is_err() {
            // The writer gave up: its own error says why.
            break;
        }
    }
    drop(send);
    write.await.map_err(ApiError::internal)?
}

/// Decodes at most `limit_bytes`; one byte more is a bomb or a body for another route.
fn copy_limited(
    encoding: Encoding,
    encoded: impl Read + Send,
    target: &mut (impl Write + ?Sized),
    limit_bytes: u64,
) -> Result<(), ApiError> {
    let mut reader = encoding.reader(encoded).map_err(bad_encoding)?.take(limit_bytes + 1);
    let mut buffer = vec![0; 64 * 1024];
    let mut decoded_bytes: u64 = 0;
    loop {
        let read = reader.read(&mut buffer).map_err(bad_encoding)?;
        decoded_bytes += read as u64;
        if decoded_bytes > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        if read == 0 {
            return target.flush().map_err(ApiError::internal);
        }
        target.write_all(&buffer[..read]).map_err(ApiError::internal)?;
    }
}

fn too_large(limit_bytes: u64) -> ApiError {
    ApiError::new(BODY_TOO_LARGE)
        .detail(format!("This route reads at most {limit_bytes} bytes after decoding; send it in smaller parts."))
        .fact("limit_bytes", limit_bytes)
}

fn bad_encoding(cause: io::Error) -> ApiError {
    ApiError::new(BAD_ENCODING)
        .detail(
            "The body is damaged, cut off, or not encoded as its Content-Encoding says; encode it again and resend it.",
        )
        .cause(cause)
}

fn unreadable(cause: axum::Error) -> ApiError {
    ApiError::new(UNREADABLE_BODY).detail("The connection broke while the body was sent; send it again.").cause(cause)
}

/// What arrives on the network, as a blocking reader.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let take = buffer.len().min(self.current.len());
        buffer[..take].copy_from_slice(&self.current.split_to(take));
        Ok(take)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const LIMIT: usize = 64 * 1024;

    fn headers(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))])
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    fn encode(encoding: &str, plain: &[u8]) -> Vec<u8> {
        match encoding {
            "gzip" => gzip(plain),
            _ => zstd::encode_all(plain, 1).expect("memory takes it"),
        }
    }

    async fn read(encoding: &'static str, body: Vec<u8>) -> Result<Bytes, &'static str> {
        read_body(&headers(encoding), Body::from(body), LIMIT).await.map_err(|error| error.kind().code)
    }

    #[tokio::test]
    async fn a_body_reads_the_same_in_every_encoding() {
        let plain: Vec<u8> = (0..LIMIT).map(|n| u8::try_from(n * n % 251).unwrap_or(0)).collect();
        assert_eq!(read("identity", plain.clone()).await.as_deref(), Ok(plain.as_slice()));
        for encoding in ["gzip", "zstd"] {
            let decoded = read(encoding, encode(encoding, &plain)).await;
            assert_eq!(decoded.as_deref(), Ok(plain.as_slice()), "{encoding}");
        }
    }

    #[tokio::test]
    async fn a_bomb_goes_off_nowhere() {
        let plain = vec![0_u8; 50 * 1024 * 1024];
        for encoding in ["gzip", "zstd"] {
            let bomb = encode(encoding, &plain);
            assert!(bomb.len() < 1024 * 1024);
            let limit = bomb.len().max(LIMIT);
            let error = read_body(&headers(encoding), Body::from(bomb.clone()), limit).await.expect_err("too large");
            assert_eq!(error.kind().code, "body-too-large", "{encoding}");
            let folder = tempfile::tempdir().expect("a temporary folder");
            let spooled = spool_body(&headers(encoding), Body::from(bomb), limit as u64, folder.path()).await;
            assert_eq!(spooled.expect_err("too large").kind().code, "body-too-large", "{encoding}");
            assert_eq!(std::fs::read_dir(folder.path()).expect("it exists").count(), 0, "nothing is left behind");
        }
    }

    #[tokio::test]
    async fn a_body_one_byte_over_the_limit_is_too_large_and_one_at_the_limit_is_not() {
        for encoding in ["identity", "gzip", "zstd"] {
            let body = |size| if encoding == "identity" { vec![7; size] } else { encode(encoding, &vec![7; size]) };
            assert_eq!(read(encoding, body(LIMIT)).await.map(|body| body.len()), Ok(LIMIT), "{encoding}");
            assert_eq!(read(encoding, body(LIMIT + 1)).await, Err("body-too-large"), "{encoding}");
        }
    }

    #[tokio::test]
    async fn a_damaged_or_cut_off_body_is_refused() {
        let plain = b"{\"protocol\":1}".repeat(50);
        for encoding in ["gzip", "zstd"] {
            let whole = encode(encoding, &plain);
            let cut = whole[..whole.len() - 5].to_vec();
            assert_eq!(read(encoding, cut).await, Err("bad-encoding"), "{encoding} cut off");
            assert_eq!(read(encoding, plain.clone()).await, Err("bad-encoding"), "{encoding} not encoded");
        }
    }

    #[tokio::test]
    async fn a_frame_that_wants_a_huge_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.long_distance_matching(true).expect("known parameter");
        encoder.window_log(27).expect("known parameter");
        encoder.write_all(b"small").expect("memory takes it");
        let frame = encoder.finish().expect("memory takes it");
        assert_eq!(read("zstd", frame).await, Err("bad-encoding"));
    }

    #[tokio::test]
    async fn an_encoding_that_nobody_knows_or_two_at_once_are_refused() {
        assert_eq!(read("br", vec![1]).await, Err("unsupported-encoding"));
        assert_eq!(read("gzip, zstd", vec![1]).await, Err("unsupported-encoding"));
    }

    #[tokio::test]
    async fn a_spooled_body_is_the_decoded_one_and_its_file_goes_with_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plain = b"line\n".repeat(100_000);
        let encoded = encode("zstd", &plain);
        let stream = futures_util::stream::iter(
            encoded.chunks(100).map(|chunk| Ok::<_, io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
        );
        let file = spool_body(&headers("zstd"), Body::from_stream(stream), 1 << 20, folder.path()).await.expect("fits");
        assert_eq!(std::fs::read(file.path()).expect("it exists"), plain);
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).expect("it exists").count(), 0);
    }
}
