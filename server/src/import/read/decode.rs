//! Bytes in any encoding, read as UTF-8.

use std::io::{Read, Seek, SeekFrom};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::{Damage, ReadError};

const BLOCK_BYTES: usize = 16 * 1024;

/// The encoding of a file: its byte-order mark, UTF-8 where all of it is that, else what its bytes look like.
pub(super) fn detect(file: &mut (impl Read + Seek), asked: Option<&str>) -> Result<&'static Encoding, ReadError> {
    if let Some(label) = asked {
        return Encoding::for_label(label.as_bytes())
            .ok_or_else(|| ReadError::whole(Damage::UnknownEncoding(label.to_owned())));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let mut first = true;
    let (mut nul_even, mut nul_odd) = (0_usize, 0_usize);
    loop {
        let count = fill(file, &mut block)?;
        if first {
            if let Some((encoding, _)) = Encoding::for_bom(&block[..count]) {
                return Ok(encoding);
            }
            for (at, byte) in block[..count].iter().enumerate() {
                if *byte == 0 {
                    *(if at % 2 == 0 { &mut nul_even } else { &mut nul_odd }) += 1;
                }
            }
            // UTF-16 without a mark: Latin text has a zero in every other byte.
            if nul_odd * 4 > count && nul_odd > nul_even * 4 {
                return Ok(UTF_16LE);
            }
            if nul_even * 4 > count && nul_even > nul_odd * 4 {
                return Ok(UTF_16BE);
            }
            first = false;
        }
        detector.feed(&block[..count], count < block.len());
        if count < block.len() {
            break;
        }
    }
    Ok(detector.guess(None, Utf8Detection::Allow))
}

fn fill(file: &mut impl Read, block: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read(&mut block[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Reads bytes of one encoding as UTF-8, replacing what it does not know by U+FFFD.
pub(super) struct Utf8Reader<R> {
    inner: R,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_from: usize,
    raw_to: usize,
    ended: bool,
    flushed: bool,
    spare: [u8; 4],
    spare_from: usize,
    spare_to: usize,
}

impl<R: Read> Utf8Reader<R> {
    /// Drops a byte-order mark.
    pub(super) fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = if encoding == UTF_8 { encoding.new_decoder_with_bom_removal() } else { encoding.new_decoder() };
        Self {
            inner,
            decoder,
            raw: vec![0; BLOCK_BYTES],
            raw_from: 0,
            raw_to: 0,
            ended: false,
            flushed: false,
            spare: [0; 4],
            spare_from: 0,
            spare_to: 0,
        }
    }

    fn decode(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if self.raw_from == self.raw_to && !self.ended {
                self.raw_from = 0;
                self.raw_to = self.inner.read(&mut self.raw)?;
                self.ended = self.raw_to == 0;
            }
            let (result, read, written, _) =
                self.decoder.decode_to_utf8(&self.raw[self.raw_from..self.raw_to], out, self.ended);
            self.raw_from += read;
            if self.ended && result == CoderResult::InputEmpty {
                self.flushed = true;
            }
            if written > 0 || self.flushed {
                return Ok(written);
            }
        }
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.spare_from < self.spare_to {
            let count = out.len().min(self.spare_to - self.spare_from);
            out[..count].copy_from_slice(&self.spare[self.spare_from..self.spare_from + count]);
            self.spare_from += count;
            return Ok(count);
        }
        if self.flushed {
            return Ok(0);
        }
        // The decoder writes whole characters: a buffer that is smaller than one is served from `spare`.
        if out.len() < self.spare.len() {
            let mut spare = [0; 4];
            let written = self.decode(&mut spare)?;
            self.spare = spare;
            (self.spare_from, self.spare_to) = (0, written);
            return if written == 0 { Ok(0) } else { self.read(out) };
        }
        self.decode(out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read_as_text(bytes: &[u8]) -> String {
        let mut file = Cursor::new(bytes);
        let encoding = detect(&mut file, None).expect("an encoding is found");
        let mut text = String::new();
        Utf8Reader::new(bytes, encoding).read_to_string(&mut text).expect("decodes");
        text
    }

    #[test]
    fn reads_spanish_text_in_the_encodings_that_spreadsheets_write() {
        let text = "nombre;teléfono\nPeña Nuñez;+34 600\nCañón;91\nÁvila, Cigüeña;1\n";
        assert_eq!(read_as_text(text.as_bytes()), text);
        assert_eq!(read_as_text(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()), text);
        let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(text);
        assert_eq!(read_as_text(&windows), text);
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read_as_text(&little), text);
        assert_eq!(read_as_text(&[&[0xFF, 0xFE][..], &little].concat()), text);
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read_as_text(&[&[0xFE, 0xFF][..], &big].concat()), text);
    }

    #[test]
    fn serves_a_buffer_smaller_than_a_character() {
        let mut reader = Utf8Reader::new("ñ€".as_bytes(), UTF_8);
        let mut out = Vec::new();
        let mut one = [0];
        while reader.read(&mut one).expect("reads") == 1 {
            out.push(one[0]);
        }
        assert_eq!(out, "ñ€".as_bytes());
    }
}
