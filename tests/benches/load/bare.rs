use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, params};

/// Rows that the bare loop writes in one transaction where nobody waits for each.
const ROWS_PER_TRANSACTION: usize = 1_000;

/// The least that a program could do with the same rows: one table, prepared statements, the same durability.
pub struct Bare {
    connection: Connection,
    rows: usize,
}

impl Bare {
    pub fn create(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             CREATE TABLE record (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, body TEXT NOT NULL);
             CREATE INDEX record_seq ON record (seq);",
        )?;
        Ok(Self { connection, rows: 0 })
    }

    pub fn insert(&mut self, bodies: &[String]) -> Result<()> {
        for (chunk, bodies) in bodies.chunks(ROWS_PER_TRANSACTION).enumerate() {
            let transaction = self.connection.transaction()?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO record (id, seq, body) VALUES (?1, ?1, ?2)")?;
                for (index, body) in bodies.iter().enumerate() {
                    insert.execute(params![i64::try_from(chunk * ROWS_PER_TRANSACTION + index)?, body])?;
                }
            }
            transaction.commit()?;
        }
        self.rows = bodies.len();
        Ok(())
    }

    /// Reads every row in the order of the sequence and copies its body into one answer.
    pub fn scan(&self) -> Result<()> {
        let mut select =
            self.connection.prepare_cached("SELECT id, seq, body FROM record WHERE seq >= 0 ORDER BY seq")?;
        let mut rows = select.query([])?;
        let mut answer = String::new();
        while let Some(row) = rows.next()? {
            answer.push_str(row.get_ref(2)?.as_str()?);
        }
        std::hint::black_box(answer);
        Ok(())
    }

    /// Changes one field of `batch` rows in each of `batches` durable transactions, one after the other.
    pub fn update(&mut self, batches: usize, batch: usize) -> Result<()> {
        for number in 0..batches {
            let transaction = self.connection.transaction()?;
            {
                let mut update = transaction.prepare_cached(
                    "UPDATE record SET seq = ?2, body = json_set(body, '$.job_title', ?3) WHERE id = ?1",
                )?;
                for index in 0..batch {
                    let nth = number * batch + index;
                    let (id, seq) = (nth.wrapping_mul(7_919) % self.rows, self.rows + nth);
                    update.execute(params![i64::try_from(id)?, i64::try_from(seq)?, format!("Título {nth}")])?;
                }
            }
            transaction.commit()?;
        }
        Ok(())
    }
}
