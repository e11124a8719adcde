//! Any bytes as each header of a blob and as its name, for a blob whose length the first eight say: what is read lies
//! within the blob and is written the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sync_protocol::wire::BlobHash;
use sync_protocol::wire::blob::{
    ByteRange, MAX_BLOB_BYTES, content_disposition, content_range, content_range_out_of_reach, range_from,
    read_content_range, read_count, read_range,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((length, said)) = bytes.split_first_chunk() else { return };
    let length = u64::from_le_bytes(*length) & MAX_BLOB_BYTES;
    check_count(said);
    check_range(said, length);
    check_content_range(said);
    if let Ok(text) = std::str::from_utf8(said) {
        check_name(text);
    }
});

fn check_count(said: &[u8]) {
    if let Some(count) = read_count(said) {
        assert!(count <= MAX_BLOB_BYTES, "{count} is beyond what every reader keeps");
        assert_eq!(read_count(count.to_string().as_bytes()), Some(count), "a count is written as it is read");
    }
}

fn check_range(said: &[u8], length: u64) {
    match read_range(said, length) {
        ByteRange::Whole => {}
        ByteRange::OutOfReach => {
            assert!(said.starts_with(b"bytes="), "only bytes are out of reach");
            assert_eq!(read_content_range(content_range_out_of_reach(length).as_bytes()), None, "it names no part");
        }
        ByteRange::Part(first, end) => {
            assert!(first < end && end <= length, "{first}..{end} lies within {length}");
            let written = content_range(first, end, length);
            assert_eq!(read_content_range(written.as_bytes()), Some((first, end, length)), "{written}");
            assert_eq!(read_range(range_from(first).as_bytes(), length), ByteRange::Part(first, length));
        }
    }
}

fn check_content_range(said: &[u8]) {
    if let Some((first, end, length)) = read_content_range(said) {
        assert!(first < end && end <= length, "{first}..{end} lies within {length}");
        let written = content_range(first, end, length);
        assert_eq!(read_content_range(written.as_bytes()), Some((first, end, length)), "{written}");
    }
}

fn check_name(text: &str) {
    if let Ok(hash) = text.parse::<BlobHash>() {
        assert_eq!(hash.to_string(), text, "a blob has one name");
    }
    let written = content_disposition(text);
    assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "a header takes {written:?}");
    let (plain, exact) = match written.split_once("; filename*=UTF-8''") {
        Some((plain, exact)) => (plain, decoded(exact)),
        None => (written.as_str(), text.as_bytes().to_vec()),
    };
    let plain = plain.strip_prefix("attachment; filename=\"").and_then(|rest| rest.strip_suffix('"'));
    let plain = plain.expect("never anything but an attachment");
    assert!(!plain.contains(['"', '\\', '/', ';']), "the name ends where it seems to: {written:?}");
    assert_eq!(exact, text.as_bytes(), "the exact form is the name");
}

/// Percent-encoded text as it was.
fn decoded(written: &str) -> Vec<u8> {
    let mut rest = written.as_bytes();
    let mut bytes = Vec::new();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (digits, behind) = rest.split_at(2);
            let digits = std::str::from_utf8(digits).expect("digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    bytes
}
