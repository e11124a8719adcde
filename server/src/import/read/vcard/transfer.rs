//! The encodings that carry a value's bytes through seven bits, checked to the last character.

use super::super::Damage;

/// Decodes quoted-printable text whose soft line breaks are already joined.
pub(super) fn quoted_printable(text: &[u8]) -> Result<Vec<u8>, Damage> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if *first != b'=' {
            decoded.push(*first);
            rest = after;
            continue;
        }
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            let shown = &rest[..rest.len().min(8)];
            return Err(Damage::QuotedPrintable(String::from_utf8_lossy(shown).into_owned()));
        };
        decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
        rest = &after[2..];
    }
    Ok(decoded)
}

/// Checks base64 as it comes, line by line.
#[derive(Debug, Default)]
pub(super) struct Base64Check {
    characters: u64,
    padding: u64,
}

impl Base64Check {
    /// The next piece; white space counts for nothing.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), Damage> {
        for byte in piece.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            let is_data = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
            if *byte == b'=' {
                self.padding += 1;
            } else if !is_data || self.padding > 0 {
                return Err(Damage::Base64Character(byte.escape_ascii().to_string()));
            }
            self.characters += 1;
        }
        Ok(())
    }

    /// At its end. Data that ends in padding has its end; where something in its middle is missing, as in photos that
    /// some phone wrote, the card is whole all the same: the photo is left out, and a warning says so.
    pub(super) fn finish(&self) -> Result<(), Damage> {
        let is_cut = self.padding == 0 && !self.characters.is_multiple_of(4);
        if self.characters == 0 || is_cut || self.padding > 2 {
            return Err(Damage::Base64Cut { characters: self.characters });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_is_decoded_or_refused() {
        assert_eq!(quoted_printable(b"=C3=91=20x").expect("decodes"), "Ñ x".as_bytes());
        for broken in [&b"=C"[..], b"a=", b"=ZZ", b"=C3=9"] {
            assert!(quoted_printable(broken).is_err(), "{}", broken.escape_ascii());
        }
    }

    #[test]
    fn base64_is_whole_or_refused() {
        let check = |pieces: &[&str]| {
            let mut check = Base64Check::default();
            pieces.iter().try_for_each(|piece| check.feed(piece.as_bytes())).and_then(|()| check.finish())
        };
        assert!(check(&["/9j/", " 4A=="]).is_ok());
        for broken in [&["/9j/4"][..], &["/9j*"], &["/9==", "AAAA"], &[], &["A==="], &["AAAA", "AA"]] {
            assert!(check(broken).is_err(), "{broken:?}");
        }
    }
}
