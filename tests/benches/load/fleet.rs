use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::server::EMAIL;

/// A month: longer than any run.
const SESSION_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// Gives the benchmark's user `count` more devices and returns the tokens of their sessions. The server must not run:
/// it is done in its database, as thousands of passwords to hash are not what is measured. Every request is
/// authenticated as always.
pub fn enrol(data: &Path, count: usize) -> Result<Vec<String>> {
    let mut database = Connection::open(data.join("cartera.db"))?;
    let transaction = database.transaction()?;
    let user: Vec<u8> = transaction
        .query_row(
            "SELECT r.id FROM record AS r JOIN entity AS e ON e.code = r.entity
             WHERE e.name = 'user' AND json_extract(r.body, '$.email') = ?1",
            params![EMAIL],
            |row| row.get(0),
        )
        .context("the benchmark's user is not there")?;
    let now_ms: i64 = transaction.query_row("SELECT created_ms FROM tenant", [], |row| row.get(0))?;
    let mut tokens = Vec::with_capacity(count);
    for number in 0..count {
        let token = token(number);
        let hash = Sha256::digest(&token);
        let id = Sha256::digest(hash);
        transaction.execute(
            "INSERT INTO device (id, user, name, platform, enrolled_ms, seen_ms, last_mutation, acknowledged)
             VALUES (?1, ?2, ?3, 'bench', ?4, ?4, 0, 0)",
            params![&id[..16], user, token, now_ms],
        )?;
        let device = transaction.last_insert_rowid();
        transaction.execute(
            "INSERT INTO session (token_hash, user, device, created_ms, expires_ms, used_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?4)",
            params![hash.as_slice(), user, device, now_ms, now_ms + SESSION_MS],
        )?;
        tokens.push(token);
    }
    transaction.commit()?;
    Ok(tokens)
}

/// The token of the nth of these devices.
pub fn token(number: usize) -> String {
    format!("benchmark-device-{number:06}")
}
