use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use sync_protocol::wire::BlobHash;

use super::super::InnerFile;

/// Some programs leave the padding away, some leave bits behind the last byte.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes that base64 text stands for, white space aside; none where a part of it is missing: text that ends in
/// padding has as many characters as its groups of four.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if text.ends_with(b"=") && !text.len().is_multiple_of(4) {
        return None;
    }
    LENIENT.decode(text).ok()
}

/// The picture that these bytes are; none where they are no picture of a kind that every device shows.
pub(super) fn picture(bytes: Vec<u8>) -> Option<InnerFile> {
    let media_type = media_type_of(&bytes)?;
    let hash = BlobHash(Sha256::digest(&bytes).into());
    let name = format!("photo.{}", crm::model::ending_of(media_type).unwrap_or("bin"));
    Some(InnerFile { hash, bytes: Bytes::from(bytes), media_type, name })
}

/// By its first bytes: what cards say of their photos is often wrong, and many say nothing.
fn media_type_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_whole_or_not_at_all() {
        assert_eq!(decode(b" /9j/\n4A= ="), Some(vec![0xff, 0xd8, 0xff, 0xe0]));
        assert_eq!(decode(b"/9j/4A"), Some(vec![0xff, 0xd8, 0xff, 0xe0]));
        assert_eq!(decode(b"/9j/4A="), None, "a character in its middle is missing");
    }

    #[test]
    fn what_is_no_picture_is_none_whatever_its_card_says() {
        assert!(picture(b"<html><script>alert(1)</script>".to_vec()).is_none());
        let picture = picture(vec![0xff, 0xd8, 0xff, 0xe0]).expect("a JPEG");
        assert_eq!((picture.media_type, picture.name.as_str()), ("image/jpeg", "photo.jpg"));
    }
}
