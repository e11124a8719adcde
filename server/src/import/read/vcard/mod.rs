//! vCard 2.1, 3.0 and 4.0, read strictly.
//!
//! Address books write these formats in their own ways, and the parsers that there are forgive everything: a card that
//! was cut, a photo with half of its data or a broken escape comes out as a card with less in it, and nobody is told.
//! An import may not lose anything in silence, so this reader is strict about structure (folding, `BEGIN`, `VERSION`,
//! `END`, base64, quoted-printable), says the line, and is lenient only where real files are odd without loss: line
//! ends of `\r\r\n`, blank lines, bare parameters, bytes outside of the character set that a value names.

mod card;
mod lines;
mod photo;
mod property;
mod transfer;
mod words;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use super::decode::Utf8Reader;
use super::{Damage, FileFacts, Format, ReadError, Sink};
use card::Card;
use lines::Lines;
use property::{Property, Version};

pub use card::COLUMNS;

/// Reads every card; a column for each kind of property that a card in the file has.
pub(super) fn read(file: &mut File, sink: &mut dyn Sink) -> Result<(), ReadError> {
    // Rows are as wide as the file's cards need: what they hold is known after a first reading, which holds nothing.
    let mut used = vec![false; COLUMNS.len()];
    let mut cards = 0_u64;
    let encoding = each_card(file, &mut |card| {
        cards += 1;
        for (used, cell) in used.iter_mut().zip(card.cells().0) {
            *used |= !cell.is_empty();
        }
        ControlFlow::Continue(())
    })?;
    if cards == 0 {
        return Err(ReadError::whole(Damage::Empty));
    }
    let facts = FileFacts { format: Format::Vcard, encoding, ..FileFacts::default() };
    let columns: Vec<String> =
        COLUMNS.iter().zip(&used).filter(|(_, used)| **used).map(|(name, _)| (*name).to_owned()).collect();
    if sink.start(&facts, &columns).is_break() {
        return Ok(());
    }
    each_card(file, &mut |card| sink.row(card.into_row(&used)))?;
    Ok(())
}

/// Calls `take` for each card and returns the file's encoding where its byte-order mark says one.
fn each_card(file: &mut File, take: &mut dyn FnMut(Card) -> ControlFlow<()>) -> Result<Option<String>, ReadError> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = [0; 3];
    let mut filled = 0;
    while filled < head.len() {
        match file.read(&mut head[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    file.seek(SeekFrom::Start(0))?;
    if let Some((encoding, _)) = encoding_rs::Encoding::for_bom(&head[..filled]) {
        cards(BufReader::new(Utf8Reader::new(file, encoding)), take)?;
        Ok(Some(encoding.name().to_owned()))
    } else {
        cards(BufReader::new(file), take)?;
        Ok(None)
    }
}

fn cards(input: impl BufRead, take: &mut dyn FnMut(Card) -> ControlFlow<()>) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let mut open: Option<Card> = None;
    loop {
        // Until a card says its version it is read as the newest: folding is the same, and VERSION comes early.
        let version = open.as_ref().and_then(Card::version).unwrap_or(Version::V4);
        let Some(property) = Property::read(&mut lines, version, open.is_some())? else { break };
        let line = property.line;
        match (property.name.as_str(), open.as_mut()) {
            ("BEGIN", None) if property.says("VCARD") => open = Some(Card::begun(line)),
            ("BEGIN", Some(card)) if property.says("VCARD") => {
                return Err(ReadError::at(line, Damage::CardNotEnded { begun: card.line }));
            }
            ("END", Some(_)) if property.says("VCARD") => {
                let Some(card) = open.take() else { continue };
                if card.version().is_none() {
                    return Err(ReadError::at(line, Damage::NoVersion { begun: card.line }));
                }
                if take(card).is_break() {
                    return Ok(());
                }
            }
            ("BEGIN" | "END", _) | (_, None) => {
                return Err(ReadError::at(line, Damage::OutsideCard(property.shown())));
            }
            (_, Some(card)) => card.add(property)?,
        }
    }
    match open {
        Some(card) => Err(ReadError::at(lines.last_line(), Damage::CardCut { begun: card.line })),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
