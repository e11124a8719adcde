use bytes::Bytes;
use jiff::civil::{Date, DateTime};
use serde_json::{Value, json};
use sync_protocol::wire::BlobHash;

/// One cell as its file has it; what it means is decided by the field it is mapped to.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing, or only white space.
    Empty,
    /// Text, trimmed.
    Text(String),
    /// A number that the file types as one: digits with a decimal point, in no locale.
    Number(String),
    /// A truth value that the file types as one.
    Boolean(bool),
    /// A day that the file types as one.
    Date(Date),
    /// A day and a time of day that the file types as such, in no zone.
    Datetime(DateTime),
    /// A value that the reader has already built in the form of a record's field.
    Built(Value),
    /// A file inside of the file, such as the photo on a card.
    Blob(InnerFile),
    /// What a formula left that failed, such as `#DIV/0!`.
    Failed(String),
}

/// A file inside of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct InnerFile {
    /// SHA-256 of its bytes.
    pub hash: BlobHash,
    /// All of them.
    pub bytes: Bytes,
    /// What it is, told from its first bytes.
    pub media_type: &'static str,
    /// What it is called.
    pub name: String,
}

impl InnerFile {
    /// As a record's field names it.
    #[must_use]
    pub fn value(&self) -> Value {
        json!({
            "hash": self.hash.to_string(), "name": self.name, "size": self.bytes.len(), "type": self.media_type,
        })
    }
}

impl Cell {
    /// A cell of text; empty when nothing but white space is in it.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if text.is_empty() { Self::Empty } else { Self::Text(text.to_owned()) }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// How a person would write it: for messages, and for fields that hold text.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Number(text) | Self::Failed(text) | Self::Built(Value::String(text)) => {
                text.clone()
            }
            Self::Boolean(value) => value.to_string(),
            Self::Date(date) => date.to_string(),
            Self::Datetime(at) => at.to_string(),
            Self::Built(value) => value.to_string(),
            Self::Blob(file) => file.name.clone(),
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it starts: the line of a text file, from 1; the row of a worksheet.
    pub line: u64,
    /// As many as there are columns.
    pub cells: Vec<Cell>,
    /// What is odd about it and does not keep it from being read.
    pub oddities: Vec<Oddity>,
}

/// Something in a row that was read, but not as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The row has this many cells more than there are columns, and they are not empty.
    ExtraCells(Vec<String>),
    /// The row has this many cells fewer than there are columns.
    MissingCells(usize),
    /// Bytes that the encoding does not know were replaced.
    Undecodable {
        /// What it looks like now.
        text: String,
    },
    /// The card has a property that is not kept.
    NotKept {
        /// The property's name.
        property: String,
    },
    /// The card names nobody: its e-mail address or telephone number stands for the name.
    Nameless {
        /// What stands for the name.
        text: String,
    },
}
