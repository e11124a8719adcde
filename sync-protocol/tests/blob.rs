//! The headers of blobs: as `vectors/blob-headers.json` says, and whatever bytes come.

use proptest::prelude::*;
use serde::Deserialize;
use sync_protocol::wire::BlobHash;
use sync_protocol::wire::blob::{
    ByteRange, MAX_BLOB_BYTES, content_disposition, content_range, range_from, read_content_range, read_count,
    read_range,
};

#[derive(Deserialize)]
struct Vectors {
    hash: Vec<Named>,
    count: Vec<Counted>,
    range: Vec<Ranged>,
    disposition: Vec<Disposed>,
}

#[derive(Deserialize)]
struct Named {
    text: String,
    named: bool,
}

#[derive(Deserialize)]
struct Counted {
    text: String,
    count: Option<u64>,
}

#[derive(Deserialize)]
struct Ranged {
    text: String,
    length: u64,
    part: Option<(u64, u64)>,
    #[serde(default)]
    out_of_reach: bool,
}

#[derive(Deserialize)]
struct Disposed {
    name: String,
    written: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/blob-headers.json")).expect("a vector is JSON")
}

#[test]
fn headers_mean_what_the_vectors_say() {
    let vectors = vectors();
    for Named { text, named } in vectors.hash {
        let read = text.parse::<BlobHash>();
        assert_eq!(read.is_ok(), named, "{text}");
        assert!(read.is_err() || read.is_ok_and(|hash| hash.to_string() == text));
    }
    for Counted { text, count } in vectors.count {
        assert_eq!(read_count(text.as_bytes()), count, "{text:?}");
    }
    for Ranged { text, length, part, out_of_reach } in vectors.range {
        let wanted = match part {
            Some((first, end)) => ByteRange::Part(first, end),
            None if out_of_reach => ByteRange::OutOfReach,
            None => ByteRange::Whole,
        };
        assert_eq!(read_range(text.as_bytes(), length), wanted, "{text:?} of {length}");
    }
    for Disposed { name, written } in vectors.disposition {
        assert_eq!(content_disposition(&name), written);
    }
}

/// Bytes that look like a range now and then.
fn range_like() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        "bytes=[0-9]{0,18}-[0-9]{0,18}".prop_map(String::into_bytes),
        "bytes=[-0-9, ]{0,12}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_range_leads_out_of_the_blob(value in range_like(), length in prop_oneof![0..2_000_u64, 0..=MAX_BLOB_BYTES]) {
        if let ByteRange::Part(first, end) = read_range(&value, length) {
            prop_assert!(first < end && end <= length);
            let written = content_range(first, end, length);
            prop_assert_eq!(read_content_range(written.as_bytes()), Some((first, end, length)));
        }
    }

    #[test]
    fn what_a_client_asks_for_to_go_on_is_what_it_lacks(first in 0..5_000_u64, length in 1..5_000_u64) {
        let wanted = if first < length { ByteRange::Part(first, length) } else { ByteRange::OutOfReach };
        prop_assert_eq!(read_range(range_from(first).as_bytes(), length), wanted);
    }

    #[test]
    fn any_bytes_are_a_count_or_none(value in any::<Vec<u8>>()) {
        let meant = std::str::from_utf8(&value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let meant = meant.filter(|text| text.len() <= 16).and_then(|text| text.parse().ok());
        prop_assert_eq!(read_count(&value), meant.filter(|count| *count <= MAX_BLOB_BYTES));
    }

    #[test]
    fn any_bytes_are_a_content_range_or_none(value in prop_oneof![
        any::<Vec<u8>>(),
        "bytes [0-9]{0,4}-[0-9]{0,4}/[0-9*]{0,5}".prop_map(String::into_bytes),
    ]) {
        if let Some((first, end, length)) = read_content_range(&value) {
            prop_assert!(first < end && end <= length);
        }
    }

    #[test]
    fn a_hash_has_one_name(hash in any::<[u8; 32]>(), other in "\\PC{0,70}") {
        let name = BlobHash(hash).to_string();
        prop_assert_eq!(name.parse::<BlobHash>(), Ok(BlobHash(hash)));
        if let Ok(read) = other.parse::<BlobHash>() {
            prop_assert_eq!(read.to_string(), other);
        }
    }

    #[test]
    fn a_disposition_is_an_attachment_in_one_line_of_ascii_whatever_the_name(name in any::<String>()) {
        let written = content_disposition(&name);
        prop_assert!(written.starts_with("attachment; filename=\""));
        prop_assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        prop_assert_eq!(written.matches('"').count(), 2, "{}", written);
    }
}
