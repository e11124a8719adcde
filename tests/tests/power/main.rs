//! Power cuts: whatever was acknowledged is there when the power is back, and the database is whole.
//!
//! `kill -9` alone does not show that: the operating system keeps what a dead process wrote. So the server of this test
//! writes to a disk that forgets whatever was not synced; and where commits are not synced, the test notices.

#![expect(clippy::print_stdout, reason = "with --nocapture it tells what was lost without syncing")]

mod chance;
mod disk;
mod writers;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cartera_server::app::App;
use cartera_server::platform::clock::ManualClock;
use cartera_server::platform::config::{Config, Durability};
use cartera_server::platform::entropy::SeededEntropy;
use chance::Chance;
use rusqlite::Connection;
use tempfile::TempDir;
use writers::{Acknowledged, Writers, Wrong, push, what_is_wrong};

const POWER_CUTS: u64 = 100;
const NOW_MS: i64 = 1_795_330_800_000;

async fn start(folder: &Path, durability: Durability, seed: u64) -> Result<App, Wrong> {
    let mut config = Config::with_data_dir(folder);
    config.database.readers = 2;
    config.database.vfs = Some(disk::NAME);
    config.database.durability = durability;
    let (clock, entropy) = (Arc::new(ManualClock::at(NOW_MS)), Arc::new(SeededEntropy::new(seed)));
    App::open(config, clock, entropy)
        .await
        .map_err(|error| Wrong::Other(format!("the server does not start: {error:#}")))
}

/// Writers push until the power goes at some moment; returns what the disk holds then, and what they had been told.
async fn work_until_dark(app: &App, folder: &Path, chance: &mut Chance) -> (TempDir, Vec<Acknowledged>) {
    let writers = Writers::start(app).await;
    let enough = usize::try_from(chance.below(120)).expect("few");
    let copies_log = chance.below(3) == 0;
    while writers.count() < enough {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    if copies_log {
        // The log goes into the database file in the middle of it all.
        let copy = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(app.db().readers()).await;
        copy.expect("the log can be copied");
    }
    // Some moment within a commit or two.
    tokio::time::sleep(Duration::from_micros(chance.below(6_000))).await;
    // First what they know, then the dark: what they hear afterwards they need not find again.
    let told = writers.acknowledged();
    let found = disk::lose_power(folder, chance);
    writers.stop().await;
    (found, told)
}

/// What was wrong after a power cut.
struct Noticed {
    /// Power cuts after which everything was right.
    good: u64,
    wrong: Wrong,
}

impl fmt::Display for Noticed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "after {} cuts without harm: {}", self.good, self.wrong)
    }
}

/// The last writer's mutations, pushed again, are answered as they were.
async fn tells_the_same(app: &App, told: &[Acknowledged]) -> Result<(), Wrong> {
    let Some((device, ..)) = told.last() else { return Ok(()) };
    let sent = told.iter().filter(|(own, ..)| own == device);
    let (mutations, outcomes): (Vec<_>, Vec<_>) = sent.map(|(_, one, other)| (one.clone(), other.clone())).unzip();
    match push(app, *device, mutations).await {
        Some(again) if again == outcomes => Ok(()),
        Some(again) => Err(Wrong::Lost(format!("a retry is answered otherwise: {again:?}"))),
        None => Err(Wrong::Other(format!("device {device} gets no answer to a retry"))),
    }
}

/// The server starts, works until the power goes, and what the disk holds then is looked at.
async fn live_once(
    folder: &mut TempDir,
    cut: u64,
    durability: Durability,
    told: &mut Vec<Acknowledged>,
) -> Result<(), Wrong> {
    let mut chance = Chance::new(cut + 1);
    let app = start(folder.path(), durability, cut).await?;
    tells_the_same(&app, told).await?;
    let (found, more) = work_until_dark(&app, folder.path(), &mut chance).await;
    told.extend(more);
    app.close().await;
    *folder = found;
    let database = Connection::open(folder.path().join("cartera.db"));
    let database = database.map_err(|error| Wrong::Lost(error.to_string()))?;
    what_is_wrong(&database, told)
}

/// So many power cuts, one after the other on what the last one left; how many mutations were acknowledged, or what was
/// wrong after one of them.
async fn cut_power(times: u64, durability: Durability) -> Result<usize, Noticed> {
    disk::plug_in();
    let mut folder = TempDir::new().expect("a temporary folder");
    let mut told: Vec<Acknowledged> = Vec::new();
    for cut in 0..times {
        let lived = live_once(&mut folder, cut, durability, &mut told).await;
        lived.map_err(|wrong| Noticed { good: cut, wrong })?;
    }
    Ok(told.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_power_cuts() {
    let told = cut_power(POWER_CUTS, Durability::Synced).await.unwrap_or_else(|noticed| panic!("{noticed}"));
    assert!(told > 1_000, "hardly anything was written: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_syncing_it_does_not_and_the_test_notices() {
    match cut_power(POWER_CUTS, Durability::Handed).await {
        Ok(told) => {
            panic!("without syncing, {told} mutations survived {POWER_CUTS} power cuts: the disk loses nothing")
        }
        Err(noticed) if matches!(noticed.wrong, Wrong::Other(_)) => {
            panic!("something else than the missing sync was noticed, {noticed}")
        }
        Err(noticed) => println!("noticed {noticed}"),
    }
}
