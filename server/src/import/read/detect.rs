use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use super::{Damage, ReadError};

const HEAD_BYTES: usize = 64 * 1024;
/// What a person may type for an empty row or column; enough to see the shape of a table.
const SAMPLE_ROWS: usize = 50;
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// A format that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text with a delimiter between cells.
    #[default]
    Csv,
    /// An Office Open XML workbook.
    Xlsx,
    /// Cards of an address book, versions 2.1, 3.0 and 4.0.
    Vcard,
}

impl Format {
    /// The format that a file's name promises.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "xlsx" | "xlsm" => Some(Self::Xlsx),
            "vcf" | "vcard" => Some(Self::Vcard),
            _ => None,
        }
    }
}

/// The format of a file: what its first bytes prove, else what its name promises, else text with delimiters.
///
/// # Errors
/// When it cannot be read, or is none of the formats.
pub fn format_of_file(file: &mut File, name: &str) -> Result<Format, ReadError> {
    match (format(file), Format::of_name(name)) {
        (Ok(Format::Csv) | Err(_), Some(promised)) => Ok(promised),
        (found, _) => found,
    }
}

/// The format of a file by its first bytes.
pub(super) fn format(file: &mut File) -> Result<Format, ReadError> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    format_of(&head)
}

fn format_of(head: &[u8]) -> Result<Format, ReadError> {
    if head.starts_with(b"PK\x03\x04") {
        return Ok(Format::Xlsx);
    }
    let wide = encoding_rs::Encoding::for_bom(head).is_some_and(|(encoding, _)| encoding != encoding_rs::UTF_8);
    let upper: Vec<u8> = head.iter().filter(|byte| **byte != 0).map(u8::to_ascii_uppercase).collect();
    let has = |needle: &[u8]| upper.windows(needle.len()).any(|window| window == needle);
    if has(b"BEGIN:VCARD") || has(b"END:VCARD") || upper.starts_with(b"VERSION:") {
        return Ok(Format::Vcard);
    }
    let has_zeros = head.contains(&0);
    // UTF-16 text is half zeros at most; a binary file has them without order, or begins with a signature.
    if has_zeros && !wide && !looks_like_utf16(head) {
        return Err(ReadError::whole(Damage::UnknownFormat));
    }
    Ok(Format::Csv)
}

fn looks_like_utf16(head: &[u8]) -> bool {
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    even.max(odd) * 4 > head.len() && even.min(odd) * 8 < even.max(odd)
}

/// What stands between the cells: the candidate with which most rows have as many cells as the first one has.
pub(super) fn delimiter(text: &str) -> char {
    let mut best = (0, 0, ',');
    for candidate in DELIMITERS {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(candidate as u8)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let widths: Vec<usize> =
            reader.records().take(SAMPLE_ROWS).map_while(Result::ok).map(|record| record.len()).collect();
        let Some(first) = widths.first().copied().filter(|width| *width > 1) else { continue };
        // In per mille of the rows, so that the number of rows does not weigh.
        let even = widths.iter().filter(|width| **width == first).count() * 1000 / widths.len();
        if (even, first) > (best.0, best.1) {
            best = (even, first, candidate);
        }
    }
    best.2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_formats_by_their_content() {
        assert_eq!(format_of(b"PK\x03\x04....").expect("known"), Format::Xlsx);
        assert_eq!(format_of(b"\xEF\xBB\xBFbegin:vcard\r\nVERSION:3.0").expect("known"), Format::Vcard);
        assert_eq!(format_of(b"VERSION:2.1\nFN:x\nEND:VCARD").expect("known"), Format::Vcard);
        assert_eq!(format_of(b"name;city\nAcme;Madrid\n").expect("known"), Format::Csv);
        let wide: Vec<u8> = "name;city\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(format_of(&wide).expect("known"), Format::Csv);
        assert!(format_of(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\x00\x00\x01\x00\x00\x03").is_err());
    }

    #[test]
    fn tells_delimiters_by_the_shape_of_the_table() {
        assert_eq!(delimiter("name,city\nAcme,Madrid\n"), ',');
        assert_eq!(delimiter("name;revenue\nAcme;1.100,04\nBeta, S.L.;2,5\n"), ';');
        assert_eq!(delimiter("name\tcity\nAcme, S.A.\tMadrid\n"), '\t');
        assert_eq!(delimiter("a|b|c\n1|2|3\n"), '|');
        assert_eq!(delimiter("name\nAcme\n"), ',');
        assert_eq!(delimiter(""), ',');
    }
}
