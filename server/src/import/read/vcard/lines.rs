use std::io::{BufRead, Read};

use super::super::{Damage, ReadError};

/// No line of an address book is longer, unless it is not a line of an address book.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// The lines of a file as they stand in it, with their numbers and without their ends.
pub(super) struct Lines<R> {
    input: R,
    next: Option<Line>,
    last: u64,
    read: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

impl Line {
    pub(super) fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether it goes on with what the line before began.
    pub(super) fn is_folded(&self) -> bool {
        matches!(self.bytes.first(), Some(b' ' | b'\t'))
    }
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, next: None, last: 0, read: 0 }
    }

    /// The number of the line that was taken last.
    pub(super) fn last_line(&self) -> u64 {
        self.last
    }

    pub(super) fn peek(&mut self) -> Result<Option<&Line>, ReadError> {
        if self.next.is_none() {
            self.next = self.fetch()?;
        }
        Ok(self.next.as_ref())
    }

    pub(super) fn take(&mut self) -> Result<Option<Line>, ReadError> {
        let line = match self.next.take() {
            Some(line) => Some(line),
            None => self.fetch()?,
        };
        self.last = line.as_ref().map_or(self.last, |line| line.number);
        Ok(line)
    }

    fn fetch(&mut self) -> Result<Option<Line>, ReadError> {
        let number = self.read + 1;
        let mut bytes = Vec::new();
        let count = (&mut self.input).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut bytes)?;
        if count == 0 {
            return Ok(None);
        }
        if count as u64 > MAX_LINE_BYTES {
            return Err(ReadError::at(number, Damage::NotAProperty("a line of more than 1 MiB".into())));
        }
        self.read = number;
        // Some exporters end lines with `\r\r\n`.
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        if let Some(byte) = bytes.iter().find(|byte| byte.is_ascii_control() && !matches!(byte, b'\t')) {
            return Err(ReadError::at(number, Damage::ControlCharacter(*byte)));
        }
        Ok(Some(Line { number, bytes }))
    }
}
