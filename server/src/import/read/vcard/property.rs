use std::io::BufRead;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::super::{Damage, ReadError};
use super::lines::{Line, Lines};
use super::photo;
use super::transfer::{Base64Check, quoted_printable};

/// How many characters of a line a message repeats.
const SHOWN_CHARACTERS: usize = 60;

/// The version that a card says it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V2,
    V3,
    V4,
}

/// One line of a card, unfolded and decoded.
#[derive(Debug)]
pub(super) struct Property {
    /// Where it starts.
    pub(super) line: u64,
    /// What binds it to its label: `item1` in `item1.TEL`.
    pub(super) group: Option<String>,
    /// In capitals.
    pub(super) name: String,
    /// In lower case: `home`, `fax`, `pref`.
    pub(super) types: Vec<String>,
    /// The text of an address as a label shows it, where version 4 gives it as a parameter.
    pub(super) label: Option<String>,
    /// The text, its backslashes untouched; empty for data.
    pub(super) value: String,
    /// Whether the value was base64: checked, and kept only of photos.
    pub(super) is_data: bool,
    /// The bytes of a photo; empty where a part of them is missing.
    pub(super) data: Vec<u8>,
    /// Whether bytes had to be replaced that its character set does not know.
    pub(super) is_undecodable: bool,
}

impl Property {
    /// The next property, with all the lines it spans; none at the end of the file.
    pub(super) fn read<R: BufRead>(
        lines: &mut Lines<R>,
        version: Version,
        in_card: bool,
    ) -> Result<Option<Self>, ReadError> {
        let first = loop {
            match lines.take()? {
                Some(line) if line.is_blank() => {}
                Some(line) => break line,
                None => return Ok(None),
            }
        };
        let number = first.number;
        let refused = |damage| ReadError::at(number, damage);
        let mut bytes = first.bytes;
        if number == 1 {
            bytes.drain(..if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 });
        }
        if !in_card && !bytes.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"BEGIN")) {
            return Err(refused(Damage::OutsideCard(shown(&bytes))));
        }
        // A folded head has its colon on a later line.
        while colon(&bytes).is_none() && lines.peek()?.is_some_and(Line::is_folded) {
            bytes.extend(lines.take()?.into_iter().flat_map(|line| line.bytes.into_iter().skip(1)));
        }
        let at = colon(&bytes).ok_or_else(|| refused(Damage::NotAProperty(shown(&bytes))))?;
        let head = Head::parse(&bytes[..at]).ok_or_else(|| refused(Damage::NotAProperty(shown(&bytes))))?;
        let value = bytes.split_off(at + 1);
        let mut data = Vec::new();
        let (text, is_data) = match head.transfer.as_deref() {
            None | Some("8BIT" | "7BIT") => (unfold(lines, value, version)?, false),
            Some("QUOTED-PRINTABLE" | "Q") => (joined_quoted_printable(lines, value, version, number)?, false),
            Some("BASE64" | "B") => {
                let text = checked_base64(lines, value, version, number)?;
                data = Self::kept_data(&head.name, &text);
                (Vec::new(), true)
            }
            Some(other) => return Err(refused(Damage::UnknownTransfer(other.to_owned()))),
        };
        let (value, is_undecodable) = decode(&text, head.charset.as_deref()).map_err(refused)?;
        let mut property = head.into_property(number, value, is_data, is_undecodable);
        property.data = data;
        property.check_data_uri()?;
        Ok(Some(property))
    }

    /// Whether its value is this word.
    pub(super) fn says(&self, word: &str) -> bool {
        self.value.trim().eq_ignore_ascii_case(word)
    }

    /// For a message.
    pub(super) fn shown(&self) -> String {
        format!("{}:{}", self.name, self.value).chars().take(SHOWN_CHARACTERS).collect()
    }

    fn kept_data(name: &str, text: &[u8]) -> Vec<u8> {
        if name == "PHOTO" { photo::decode(text).unwrap_or_default() } else { Vec::new() }
    }

    /// `data:image/jpeg;base64,…`, as version 4 writes photos.
    fn check_data_uri(&mut self) -> Result<(), ReadError> {
        let is_data_uri = self.value.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        let Some((_, data)) = self.value.split_once(";base64,").filter(|_| is_data_uri) else { return Ok(()) };
        let mut check = Base64Check::default();
        check.feed(data.as_bytes()).and_then(|()| check.finish()).map_err(|damage| ReadError::at(self.line, damage))?;
        self.data = Self::kept_data(&self.name, data.as_bytes());
        self.value.clear();
        self.is_data = true;
        Ok(())
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(SHOWN_CHARACTERS).collect()
}

/// Where the value starts: the first colon outside of quotation marks.
fn colon(bytes: &[u8]) -> Option<usize> {
    let mut quoted = false;
    bytes.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b':' && !quoted
    })
}

/// Version 2.1 folds before a space that belongs to the text; later ones put a space there that does not.
fn fold_width(version: Version) -> usize {
    usize::from(version != Version::V2)
}

/// Adds the lines that are folded to this one.
fn unfold<R: BufRead>(lines: &mut Lines<R>, mut value: Vec<u8>, version: Version) -> Result<Vec<u8>, ReadError> {
    let dropped = fold_width(version);
    while lines.peek()?.is_some_and(|line| line.is_folded() && !line.is_blank()) {
        value.extend(lines.take()?.into_iter().flat_map(|line| line.bytes.into_iter().skip(dropped)));
    }
    Ok(value)
}

/// Joins soft line breaks and decodes.
fn joined_quoted_printable<R: BufRead>(
    lines: &mut Lines<R>,
    mut value: Vec<u8>,
    version: Version,
    number: u64,
) -> Result<Vec<u8>, ReadError> {
    let mut line = number;
    loop {
        let mut dropped = 0;
        if value.last() == Some(&b'=') {
            value.pop();
            match lines.peek()? {
                // A break that would swallow the next property is no break but damage.
                Some(next) if starts_property(&next.bytes) => {
                    return Err(ReadError::at(line, Damage::QuotedPrintable(shown(b"="))));
                }
                None => return Err(ReadError::at(line, Damage::QuotedPrintable(shown(b"=")))),
                Some(_) => {}
            }
        } else if !lines.peek()?.is_some_and(|next| next.is_folded() && !next.is_blank()) {
            break;
        } else {
            dropped = fold_width(version);
        }
        if let Some(next) = lines.take()? {
            line = next.number;
            value.extend(next.bytes.into_iter().skip(dropped));
        }
    }
    quoted_printable(&value).map_err(|damage| ReadError::at(line, damage))
}

fn starts_property(line: &[u8]) -> bool {
    const KNOWN: [&str; 24] = [
        "BEGIN",
        "END",
        "VERSION",
        "N",
        "FN",
        "NICKNAME",
        "TEL",
        "EMAIL",
        "ADR",
        "LABEL",
        "ORG",
        "TITLE",
        "ROLE",
        "NOTE",
        "URL",
        "BDAY",
        "PHOTO",
        "LOGO",
        "CATEGORIES",
        "REV",
        "UID",
        "KEY",
        "TZ",
        "GEO",
    ];
    let Some(end) = line.iter().position(|byte| matches!(byte, b':' | b';')) else { return false };
    let name = line[..end].rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    name.starts_with(b"X-") || KNOWN.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// The text of data with all its lines, whose characters and end are those of base64.
fn checked_base64<R: BufRead>(
    lines: &mut Lines<R>,
    mut value: Vec<u8>,
    version: Version,
    number: u64,
) -> Result<Vec<u8>, ReadError> {
    let mut check = Base64Check::default();
    check.feed(&value).map_err(|damage| ReadError::at(number, damage))?;
    let mut last = number;
    // Version 2.1 also lets the data go on unfolded up to a blank line; no line of it has a colon.
    while lines.peek()?.is_some_and(|line| {
        !line.is_blank() && (line.is_folded() || (version == Version::V2 && !line.bytes.contains(&b':')))
    }) {
        let Some(line) = lines.take()? else { break };
        last = line.number;
        check.feed(&line.bytes).map_err(|damage| ReadError::at(last, damage))?;
        value.extend(line.bytes);
    }
    check.finish().map_err(|damage| ReadError::at(last, damage))?;
    Ok(value)
}

/// The bytes as text, and whether some had to be replaced.
fn decode(bytes: &[u8], charset: Option<&str>) -> Result<(String, bool), Damage> {
    let encoding = match charset {
        Some(label) => Encoding::for_label(label.trim_matches('"').as_bytes())
            .ok_or_else(|| Damage::UnknownCharset(label.to_owned()))?,
        // Older address books write the character set of their machine and do not say so.
        None if std::str::from_utf8(bytes).is_err() => WINDOWS_1252,
        None => UTF_8,
    };
    let (text, replaced) = encoding.decode_without_bom_handling(bytes);
    Ok((text.into_owned(), replaced))
}

/// What stands before the colon.
#[derive(Default)]
struct Head {
    group: Option<String>,
    name: String,
    types: Vec<String>,
    label: Option<String>,
    charset: Option<String>,
    transfer: Option<String>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut parts = split_unquoted(text, ';').into_iter();
        let full = parts.next()?.trim();
        let (group, name) = match full.rsplit_once('.') {
            Some((group, name)) => (Some(group.to_ascii_lowercase()), name),
            None => (None, full),
        };
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !is_word(name) || group.as_deref().is_some_and(|group| !is_word(group)) {
            return None;
        }
        let mut head = Self { group, name: name.to_ascii_uppercase(), ..Self::default() };
        for part in parts {
            let part = part.trim();
            match part.split_once('=') {
                Some((key, value)) => head.parameter(key.trim(), value.trim()),
                None => head.bare(part),
            }
        }
        Some(head)
    }

    fn parameter(&mut self, key: &str, value: &str) {
        let plain = value.trim_matches('"');
        match key.to_ascii_uppercase().as_str() {
            "TYPE" => self.types.extend(plain.split(',').map(|word| word.trim().to_ascii_lowercase())),
            "CHARSET" => self.charset = Some(plain.to_owned()),
            "ENCODING" => self.transfer = Some(plain.to_ascii_uppercase()),
            "PREF" => self.types.push("pref".to_owned()),
            "LABEL" => self.label = Some(plain.replace("^n", "\n").replace("\\n", "\n")),
            _ => {}
        }
    }

    /// Version 2.1 names types and encodings without saying what they are.
    fn bare(&mut self, word: &str) {
        match word.to_ascii_uppercase().as_str() {
            "QUOTED-PRINTABLE" | "BASE64" | "8BIT" | "7BIT" => self.transfer = Some(word.to_ascii_uppercase()),
            "" => {}
            _ => self.types.push(word.to_ascii_lowercase()),
        }
    }

    fn into_property(self, line: u64, value: String, is_data: bool, is_undecodable: bool) -> Property {
        let Self { group, name, types, label, .. } = self;
        Property { line, group, name, types, label, value, is_data, data: Vec::new(), is_undecodable }
    }
}

fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}
