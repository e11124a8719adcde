use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::id::{RecordId, ScopeId, Sequence};

/// Why a row was not taken: the body is no JSON object.
#[derive(Debug, thiserror::Error)]
#[error("the body of record {record} is not a JSON object")]
pub struct BadBody {
    /// The record.
    pub record: RecordId,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

/// A chunk under construction.
#[derive(Debug)]
pub struct ChunkWriter {
    scope: ScopeId,
    entity: String,
    ids: String,
    seqs: String,
    /// By name.
    columns: Vec<Column>,
    rows: usize,
    last_seq: Sequence,
    bytes: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// The values so far, each with the comma that follows it.
    values: String,
    /// Rows that have their value here.
    rows: usize,
}

impl ChunkWriter {
    /// An empty chunk of one scope of one entity.
    #[must_use]
    pub fn new(scope: ScopeId, entity: &str) -> Self {
        Self {
            scope,
            entity: entity.to_owned(),
            ids: String::new(),
            seqs: String::new(),
            columns: Vec::new(),
            rows: 0,
            last_seq: 0,
            bytes: 0,
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes the chunk has so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a record: ids must come in ascending order. `body` is its fields as a canonical JSON object; of them, those
    /// go into the chunk that `shows` names.
    ///
    /// # Errors
    ///
    /// When the body is no JSON object; the chunk is of no use then.
    pub fn push(
        &mut self,
        id: RecordId,
        seq: Sequence,
        body: &str,
        shows: impl Fn(&str) -> bool,
    ) -> Result<(), BadBody> {
        push(&mut self.ids, format_args!("\"{id}\","));
        let step = i128::from(seq) - i128::from(self.last_seq);
        push(&mut self.seqs, format_args!("{step},"));
        self.last_seq = seq;
        let row = self.rows;
        self.rows += 1;
        // An id with its quotes and comma, a difference of sequences with its comma.
        self.bytes += 43;
        let fields = Fields { writer: self, row, shows };
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let read = deserializer.deserialize_map(fields).and_then(|()| deserializer.end());
        read.map_err(|source| BadBody { record: id, source })
    }

    /// The column of that name, looked for from where the last field was found: fields come sorted, as columns are.
    fn column(&mut self, name: &str, from: usize) -> usize {
        let at = match self.columns.get(from) {
            Some(column) if column.name == name => return from,
            _ => self.columns.binary_search_by(|column| column.name.as_str().cmp(name)),
        };
        at.unwrap_or_else(|at| {
            self.columns.insert(at, Column { name: name.to_owned(), values: String::new(), rows: 0 });
            at
        })
    }

    fn put(&mut self, row: usize, at: usize, value: &str) {
        let column = &mut self.columns[at];
        // No body names a field twice; if one did, a second value would shift all that follow.
        if column.rows > row {
            return;
        }
        let before = column.values.len();
        column.pad(row);
        column.values.push_str(value);
        column.values.push(',');
        column.rows = row + 1;
        self.bytes += column.values.len() - before;
    }

    /// The chunk's bytes: one line of canonical JSON with its line feed.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let rows = self.rows;
        self.columns.iter_mut().for_each(|column| column.pad(rows));
        let length: usize = self.columns.iter().map(|column| column.values.len() + column.name.len() + 8).sum();
        let mut json = String::with_capacity(length + self.ids.len() + self.seqs.len() + self.entity.len() + 80);
        json.push_str("{\"columns\":{");
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            push(&mut json, format_args!("{}:", quoted(&column.name)));
            push_array(&mut json, &column.values);
        }
        push(&mut json, format_args!("}},\"entity\":{},\"ids\":", quoted(&self.entity)));
        push_array(&mut json, &self.ids);
        push(&mut json, format_args!(",\"scope\":{},\"seqs\":", self.scope));
        push_array(&mut json, &self.seqs);
        json.push_str("}\n");
        json.into_bytes()
    }
}

impl Column {
    /// Rows without the field have `null`: a record never stores one.
    fn pad(&mut self, rows: usize) {
        while self.rows < rows {
            self.values.push_str("null,");
            self.rows += 1;
        }
    }
}

/// Takes a body's fields as they are read, without building a map of them.
struct Fields<'w, F> {
    writer: &'w mut ChunkWriter,
    row: usize,
    shows: F,
}

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Fields<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
            if !(self.shows)(&name.0) || value.get() == "null" {
                continue;
            }
            let at = self.writer.column(&name.0, next);
            self.writer.put(self.row, at, value.get());
            next = at + 1;
        }
        Ok(())
    }
}

/// A field's name, borrowed where it holds nothing escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// Values with a comma after each, as an array.
fn push_array(json: &mut String, values: &str) {
    json.push('[');
    json.push_str(values.strip_suffix(',').unwrap_or(values));
    json.push(']');
}

fn push(json: &mut String, arguments: fmt::Arguments<'_>) {
    json.write_fmt(arguments).expect("writing to a string does not fail");
}
