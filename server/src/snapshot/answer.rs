//! A chunk as an HTTP answer: whole or a range of it, compressed or not.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sync_protocol::wire::blob::{ByteRange, content_range, content_range_out_of_reach, read_range};
use sync_protocol::wire::chunk::ChunkHash;

use crate::platform::http::{ApiError, Kind};

const RANGE: Kind = Kind::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad-range", "The chunk has no such range.");

/// A device keeps a chunk in its store, and no cache on the way may keep it: it is asked for with rights.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-store");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Whether the client reads zstd.
pub fn accepts_zstd(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_zstd = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("zstd"));
        is_zstd && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// A chunk for a client that reads zstd: the stored bytes, or the range of them that it asks for.
///
/// # Errors
/// `bad-range` when the range begins behind the end.
pub fn packed(hash: ChunkHash, packed: &Bytes, headers: &HeaderMap) -> Result<Response, ApiError> {
    // The bytes that a range counts are the compressed ones, so their length is part of the tag.
    let tag = format!("\"{hash}.{}\"", packed.len());
    let tag = HeaderValue::try_from(tag).expect("digits and letters make a header");
    let is_same = headers.get(header::IF_RANGE).is_none_or(|known| *known == tag);
    let length = packed.len() as u64;
    let asked = headers.get(header::RANGE).filter(|_| is_same);
    let (status, body, range) = match asked.map_or(ByteRange::Whole, |range| read_range(range.as_bytes(), length)) {
        ByteRange::Whole => (StatusCode::OK, packed.clone(), None),
        ByteRange::Part(first, end) => {
            let within = |byte| usize::try_from(byte).unwrap_or(usize::MAX);
            let part = packed.slice(within(first)..within(end));
            (StatusCode::PARTIAL_CONTENT, part, Some(content_range(first, end, length)))
        }
        ByteRange::OutOfReach => {
            return Err(ApiError::new(RANGE)
                .detail(format!("The chunk has {length} bytes; ask for a range that begins within them."))
                .header(header::CONTENT_RANGE, header_of(content_range_out_of_reach(length))));
        }
    };
    let mut response = (status, body).into_response();
    let answered = response.headers_mut();
    answered.insert(header::CONTENT_TYPE, NDJSON);
    answered.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    answered.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    answered.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    answered.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answered.insert(header::ETAG, tag);
    if let Some(range) = range {
        answered.insert(header::CONTENT_RANGE, header_of(range));
    }
    Ok(response)
}

/// Chunks for a client that does not read zstd; the server's own compression may still lie around them.
pub fn plain(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, NDJSON), (header::CACHE_CONTROL, CACHE_CONTROL)], bytes).into_response()
}

/// Several chunks one after the other: frames of zstd in a row are one stream of it. They are not copied: all who fetch a
/// chunk at once share it.
pub fn together(packed: Vec<Bytes>) -> Response {
    let length: usize = packed.iter().map(Bytes::len).sum();
    let headers = [
        (header::CONTENT_TYPE, NDJSON),
        (header::CONTENT_LENGTH, HeaderValue::from(length)),
        (header::CONTENT_ENCODING, HeaderValue::from_static("zstd")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::CACHE_CONTROL, CACHE_CONTROL),
    ];
    let body = Body::from_stream(futures_util::stream::iter(packed.into_iter().map(Ok::<_, Infallible>)));
    (headers, body).into_response()
}

fn header_of(range: String) -> HeaderValue {
    HeaderValue::try_from(range).expect("digits and signs make a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a header")));
        pairs.collect()
    }

    fn ask(pairs: &[(header::HeaderName, &str)]) -> Result<Response, ApiError> {
        packed(ChunkHash::of(b"x"), &Bytes::from_static(b"0123456789"), &headers(pairs))
    }

    fn range_of(range: &str) -> (StatusCode, Option<String>) {
        match ask(&[(header::RANGE, range)]) {
            Ok(response) => {
                let told = response.headers().get(header::CONTENT_RANGE);
                (response.status(), told.map(|told| told.to_str().expect("text").to_owned()))
            }
            Err(error) => (error.kind().status, None),
        }
    }

    #[test]
    fn a_range_is_answered_with_that_range() {
        let partial = |told: &str| (StatusCode::PARTIAL_CONTENT, Some(told.to_owned()));
        assert_eq!(range_of("bytes=4-"), partial("bytes 4-9/10"));
        assert_eq!(range_of("bytes=0-0"), partial("bytes 0-0/10"));
        assert_eq!(range_of("bytes=8-400"), partial("bytes 8-9/10"));
        assert_eq!(range_of("bytes=-3"), partial("bytes 7-9/10"));
        assert_eq!(range_of("bytes=10-"), (StatusCode::RANGE_NOT_SATISFIABLE, None));
        for no_range in ["bytes=5-2", "bytes=1-2,4-5", "lines=1-2", "bytes=a-b", "bytes=-"] {
            assert_eq!(range_of(no_range), (StatusCode::OK, None), "{no_range}");
        }
    }

    #[test]
    fn a_range_of_other_bytes_than_the_client_has_begun_with_is_not_given() {
        let whole = ask(&[]).expect("an answer");
        let tag = whole.headers()[header::ETAG].to_str().expect("text").to_owned();
        let same = ask(&[(header::RANGE, "bytes=4-"), (header::IF_RANGE, &tag)]).expect("an answer");
        assert_eq!(same.status(), StatusCode::PARTIAL_CONTENT);
        let other = ask(&[(header::RANGE, "bytes=4-"), (header::IF_RANGE, "\"other\"")]).expect("an answer");
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn a_client_that_refuses_zstd_is_not_sent_it() {
        for (accepted, is_zstd) in
            [("zstd", true), ("gzip, zstd;q=0.5", true), ("gzip", false), ("zstd;q=0", false), ("", false)]
        {
            assert_eq!(accepts_zstd(&headers(&[(header::ACCEPT_ENCODING, accepted)])), is_zstd, "{accepted}");
        }
    }
}
