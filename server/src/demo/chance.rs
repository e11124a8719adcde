//! The seeded randomness of the made-up company: each part of it draws from a stream of its own, so that a change to one
//! leaves the others as they are.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sync_protocol::id::RecordId;

/// A generator that gives the same for the same seed on every machine.
pub type Chance = ChaCha8Rng;

/// A part of the company.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Staff = 1,
    Catalogue,
    Customers,
    Deals,
    Diary,
    Leads,
}

/// The generator of one part.
pub fn chance(seed: u64, part: Part) -> Chance {
    let mut chance = Chance::seed_from_u64(seed);
    chance.set_stream(part as u64);
    chance
}

/// A UUIDv7 of the instant `at_ms`.
pub fn record_id(at_ms: i64, chance: &mut Chance) -> RecordId {
    let random: [u8; 10] = chance.random();
    RecordId(uuid::Builder::from_unix_timestamp_millis(at_ms.unsigned_abs(), &random).into_uuid())
}

/// A Spanish mobile number as the field kind `phones` holds it.
pub fn mobile(chance: &mut Chance) -> serde_json::Value {
    let number: u32 = chance.random_range(610_000_000..680_000_000);
    phone(number, "mobile")
}

/// A land line with the prefix of its province.
pub fn land_line(prefix: u32, chance: &mut Chance) -> serde_json::Value {
    let digits = if prefix < 100 { 10_000_000 } else { 1_000_000 };
    phone(prefix * digits + chance.random_range(digits / 5..digits * 3 / 5), "work")
}

fn phone(number: u32, label: &str) -> serde_json::Value {
    let raw =
        format!("{} {:02} {:02} {:02}", number / 1_000_000, number / 10_000 % 100, number / 100 % 100, number % 100);
    serde_json::json!({ "raw": raw, "e164": format!("+34{number}"), "label": label })
}
