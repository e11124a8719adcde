use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::MAX_CHUNK_BYTES;
use crate::id::{RecordId, ScopeId, Sequence};
use crate::wire::Fields;

/// Why bytes are no chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Longer than any chunk.
    #[error("it has {bytes} bytes, and a chunk has at most {MAX_CHUNK_BYTES}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, or not of a chunk's form.
    #[error("it cannot be read: {reason}")]
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// A column, or the sequences, are not one for each id.
    #[error("`{column}` has {values} values for {rows} ids")]
    Uneven {
        /// Which one.
        column: String,
        /// How many it has.
        values: usize,
        /// How many there should be.
        rows: usize,
    },
    /// The ids are not ascending.
    #[error("record {record} does not come after the one before it")]
    Unordered {
        /// The first that does not.
        record: RecordId,
    },
    /// The differences do not add up to sequences.
    #[error("the sequence of record {record} is out of range")]
    Sequence {
        /// The first of these.
        record: RecordId,
    },
}

/// A chunk, read: the values stay in the bytes that they came in.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// The scope in which its records stand.
    pub scope: ScopeId,
    /// Their entity.
    pub entity: Cow<'a, str>,
    ids: Vec<RecordId>,
    seqs: Vec<Sequence>,
    /// By name.
    columns: Vec<(Cow<'a, str>, Vec<&'a RawValue>)>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    columns: BTreeMap<Cow<'a, str>, Vec<&'a RawValue>>,
    #[serde(borrow)]
    entity: Cow<'a, str>,
    ids: Vec<RecordId>,
    scope: ScopeId,
    seqs: Vec<i64>,
}

impl<'a> Chunk<'a> {
    /// Reads a chunk's uncompressed bytes.
    ///
    /// # Errors
    ///
    /// [`ChunkError`] says what is wrong with them.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        if bytes.len() > MAX_CHUNK_BYTES {
            return Err(ChunkError::TooLarge { bytes: bytes.len() });
        }
        let malformed = |reason: String| ChunkError::Malformed { reason };
        // As text first: what is known to be UTF-8 is not looked at again value by value.
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let wire: Wire = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let rows = wire.ids.len();
        let even = |column: &str, values: usize| {
            if values == rows {
                return Ok(());
            }
            Err(ChunkError::Uneven { column: column.to_owned(), values, rows })
        };
        even("seqs", wire.seqs.len())?;
        for (name, values) in &wire.columns {
            even(name, values.len())?;
        }
        if let Some(pair) = wire.ids.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(ChunkError::Unordered { record: pair[1] });
        }
        let seqs = add_up(&wire.ids, &wire.seqs)?;
        let columns = wire.columns.into_iter().collect();
        Ok(Self { scope: wire.scope, entity: wire.entity, ids: wire.ids, seqs, columns })
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The first and the last id; none where it is empty.
    #[must_use]
    pub fn range(&self) -> Option<(RecordId, RecordId)> {
        Some((*self.ids.first()?, *self.ids.last()?))
    }

    /// Its records, by id.
    pub fn rows(&self) -> impl Iterator<Item = ChunkRow<'_>> {
        let heads = self.ids.iter().zip(&self.seqs);
        heads.enumerate().map(|(index, (id, seq))| ChunkRow { id: *id, seq: *seq, index, columns: &self.columns })
    }
}

/// Sequences travel as the first one and the difference of each to the one before it: small numbers compress well.
fn add_up(ids: &[RecordId], steps: &[i64]) -> Result<Vec<Sequence>, ChunkError> {
    let mut seq = 0_i64;
    let mut seqs = Vec::with_capacity(steps.len());
    for (id, step) in ids.iter().zip(steps) {
        let next = seq.checked_add(*step).filter(|seq| *seq > 0);
        seq = next.ok_or(ChunkError::Sequence { record: *id })?;
        seqs.push(seq.cast_unsigned());
    }
    Ok(seqs)
}

/// One record of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct ChunkRow<'a> {
    /// The record.
    pub id: RecordId,
    /// Its sequence.
    pub seq: Sequence,
    index: usize,
    columns: &'a [(Cow<'a, str>, Vec<&'a RawValue>)],
}

impl<'a> ChunkRow<'a> {
    /// The fields that it has, by name, each with its JSON.
    pub fn values(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let index = self.index;
        let values = self.columns.iter().map(move |(name, values)| (name.as_ref(), values[index].get()));
        values.filter(|(_, value)| *value != "null")
    }

    /// The JSON of a field; none where the record does not have it.
    #[must_use]
    pub fn json(&self, name: &str) -> Option<&'a str> {
        let at = self.columns.binary_search_by(|(column, _)| column.as_ref().cmp(name)).ok()?;
        Some(self.columns[at].1[self.index].get()).filter(|value| *value != "null")
    }

    /// The fields, read.
    ///
    /// # Errors
    ///
    /// Where a value is JSON that no value of ours can be: a number beyond all bounds.
    pub fn fields(&self) -> Result<Fields, ChunkError> {
        let read = |(name, value): (&str, &str)| -> Result<(String, Value), ChunkError> {
            let value = serde_json::from_str(value).map_err(|error| ChunkError::Malformed {
                reason: format!("`{name}` of record {}: {error}", self.id),
            })?;
            Ok((name.to_owned(), value))
        };
        self.values().map(read).collect()
    }
}
