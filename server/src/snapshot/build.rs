//! Reads records and cuts chunks of them.

use crm::rules::Projection;
use sqlx::{Sqlite, Transaction};
use sync_protocol::id::RecordId;
use sync_protocol::wire::chunk::{ChunkHash, ChunkWriter};
use tokio::task::{JoinError, spawn_blocking};
use uuid::Uuid;

use super::cache::Cache;
use super::set::{Cut, Part, Wanted};
use crate::platform::telemetry::metrics::Metrics;
use crate::scope::ScopeKind;

/// A chunk is cut when it has this many bytes, uncompressed.
const CHUNK_BYTES: usize = 2 << 20;
/// Rows that one statement reads, as one value: one row at a time, the way into this process costs more than the reading.
const ROWS_PER_READ: usize = 1_000;
/// Measured on contacts, higher levels of zstd save a few bytes in a hundred and cost several times as long.
const ZSTD_LEVEL: i32 = 1;

/// Why a chunk was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database does not answer.
    #[error("could not read the records of a scope")]
    Database(#[from] sqlx::Error),
    /// What is stored is not what it should be.
    #[error("a record of scope {scope} cannot be read: {reason}")]
    Stored {
        /// The scope.
        scope: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be compressed.
    #[error("could not compress a chunk")]
    Compress(#[source] std::io::Error),
    /// Its file could not be written.
    #[error("could not keep a chunk in the data folder")]
    Keep(#[source] std::io::Error),
    /// The work was stopped: the server shuts down.
    #[error("the work on a chunk was stopped")]
    Stopped(#[from] JoinError),
}

/// Where a chunk goes once it is cut.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    pub cache: &'a Cache,
    pub metrics: &'a Metrics,
}

impl Keeper<'_> {
    async fn keep(self, built: Built) -> Result<(), BuildError> {
        self.metrics.chunk_built(built.cut.rows);
        self.cache.keep(built.cut.hash, built.packed).await.map_err(BuildError::Keep)
    }
}

/// A chunk that was just cut, with its bytes.
struct Built {
    low: Uuid,
    cut: Cut,
    packed: Vec<u8>,
}

impl Built {
    fn part(&self) -> Part {
        Part::fresh(self.low, Some(self.cut.clone()))
    }
}

/// Chunks under construction: the one that is being filled, and those that are full.
struct Filling {
    wanted: Wanted,
    projection: Projection,
    writer: ChunkWriter,
    low: Uuid,
    full: Vec<(Uuid, ChunkWriter)>,
}

/// Cuts the records of a range of ids into chunks and keeps them; the parts that come of it, at least one.
pub async fn build(
    tx: &mut Transaction<'_, Sqlite>,
    wanted: &Wanted,
    projection: &Projection,
    (low, high): (Uuid, Option<Uuid>),
    keeper: Keeper<'_>,
) -> Result<Vec<Part>, BuildError> {
    let ids = ids(tx, wanted, low, high).await?;
    let mut parts = Vec::new();
    let (wanted, projection) = (wanted.clone(), projection.clone());
    let mut filling = Filling { writer: wanted.writer(), wanted, projection, low, full: Vec::new() };
    for group in ids.chunks(ROWS_PER_READ) {
        let lines = bodies(tx, group).await?;
        filling = spawn_blocking(move || filling.push(&lines).map(|()| filling)).await??;
        for (low, writer) in std::mem::take(&mut filling.full) {
            let built = finish(writer, low).await?;
            parts.push(built.part());
            keeper.keep(built).await?;
        }
    }
    if filling.writer.is_empty() {
        if parts.is_empty() {
            parts.push(Part::fresh(low, None));
        }
    } else {
        let built = finish(filling.writer, filling.low).await?;
        parts.push(built.part());
        keeper.keep(built).await?;
    }
    Ok(parts)
}

/// The records that stand in the scope, by id.
async fn ids(
    tx: &mut Transaction<'_, Sqlite>,
    wanted: &Wanted,
    low: Uuid,
    high: Option<Uuid>,
) -> Result<Vec<Uuid>, BuildError> {
    let (statement, of) = if wanted.scope.kind == ScopeKind::All {
        (
            "SELECT group_concat(hex(id), '') FROM record WHERE entity = $1 AND id >= $2 AND id <= $3",
            wanted.scope.entity,
        )
    } else {
        (
            "SELECT group_concat(hex(record), '') FROM scope_entry
             WHERE scope = $1 AND state = 0 AND record >= $2 AND record <= $3",
            i64::from(wanted.key.scope),
        )
    };
    let last = high.map_or(Uuid::max(), |high| Uuid::from_u128(high.as_u128() - 1));
    let text: Option<String> = sqlx::query_scalar(statement).bind(of).bind(low).bind(last).fetch_one(&mut **tx).await?;
    let text = text.unwrap_or_default();
    let mut ids = Vec::with_capacity(text.len() / 32);
    for digits in text.as_bytes().chunks(32) {
        let id = Uuid::try_parse_ascii(digits);
        let scope = wanted.key.scope;
        ids.push(id.map_err(|error| BuildError::Stored { scope, reason: error.to_string() })?);
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Id, sequence and fields of these records, a line each: JSON as it is stored has no line feed.
async fn bodies(tx: &mut Transaction<'_, Sqlite>, ids: &[Uuid]) -> Result<String, sqlx::Error> {
    let mut list = String::with_capacity(ids.len() * 35 + 2);
    for id in ids {
        list.push(if list.is_empty() { '[' } else { ',' });
        list.push('"');
        list.push_str(id.as_simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    let text: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(lower(hex(r.id)) || ' ' || r.seq || ' ' || r.body, char(10))
         FROM json_each($1) AS wanted CROSS JOIN record AS r ON r.id = unhex(wanted.value)",
    )
    .bind(list)
    .fetch_one(&mut **tx)
    .await?;
    Ok(text.unwrap_or_default())
}

impl Filling {
    fn push(&mut self, text: &str) -> Result<(), BuildError> {
        let scope = self.wanted.key.scope;
        self.push_lines(text).map_err(|reason| BuildError::Stored { scope, reason })
    }

    fn push_lines(&mut self, text: &str) -> Result<(), String> {
        let mut lines: Vec<&str> = text.lines().collect();
        // As a rule they are sorted already; the database does not promise it.
        lines.sort_unstable();
        for line in lines {
            let mut parts = line.splitn(3, ' ');
            let (Some(id), Some(seq), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
                return Err("a line of a read has no id, sequence and body".into());
            };
            let id = Uuid::try_parse(id).map_err(|error| error.to_string())?;
            let seq = seq.parse().map_err(|error| format!("the sequence of {id}: {error}"))?;
            if self.writer.len() >= CHUNK_BYTES {
                let full = std::mem::replace(&mut self.writer, self.wanted.writer());
                self.full.push((std::mem::replace(&mut self.low, id), full));
            }
            let shows = |field: &str| self.projection.shows(field);
            self.writer.push(RecordId(id), seq, body, shows).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

async fn finish(writer: ChunkWriter, low: Uuid) -> Result<Built, BuildError> {
    let built = spawn_blocking(move || {
        let rows = writer.rows() as u64;
        let bytes = writer.finish();
        let packed = zstd::bulk::compress(&bytes, ZSTD_LEVEL)?;
        let cut =
            Cut { hash: ChunkHash::of(&bytes), rows, bytes: bytes.len() as u64, packed_bytes: packed.len() as u64 };
        Ok(Built { low, cut, packed })
    });
    built.await?.map_err(BuildError::Compress)
}
