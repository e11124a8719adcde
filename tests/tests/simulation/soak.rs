//! Ten thousand seeds: `make soak`. Stopped, it goes on where it was the next time, at the seeds that failed if some did; a
//! build of other code starts anew.

#![expect(clippy::print_stdout, reason = "it tells how far it is")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cartera_tests::simulation::{Report, Seeds};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sync_protocol::wire::BlobHash;

/// How many, unless `SOAK_SEEDS` says otherwise.
const SEEDS: u64 = 10_000;
/// What is lost when it is stopped.
const SEEDS_AT_A_TIME: u64 = 100;

/// How far it is.
#[derive(Serialize, Deserialize)]
struct Progress {
    /// The program that came so far: another one has shown nothing yet.
    program: String,
    next: u64,
    seconds: f64,
    report: Report,
}

impl Progress {
    fn file() -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
        target.join("soak").join("simulation.json")
    }

    /// Of this program; none of it yet, where the file is that of another.
    fn read() -> Self {
        let program = program();
        let text = fs::read_to_string(Self::file()).ok();
        let read: Option<Self> = text.and_then(|text| serde_json::from_str(&text).ok());
        let none = Self { program: program.clone(), next: 0, seconds: 0.0, report: Report::default() };
        read.filter(|progress| progress.program == program).unwrap_or(none)
    }

    fn write(&self) {
        let file = Self::file();
        fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("a folder for the progress");
        fs::write(file, serde_json::to_string_pretty(self).expect("progress is JSON")).expect("the progress is kept");
    }
}

/// The hash of this test's own file, into which server, engine and simulation are built.
fn program() -> String {
    let file = std::env::current_exe().and_then(fs::read).expect("the test can read itself");
    BlobHash(Sha256::digest(&file).into()).to_string()
}

#[test]
#[ignore = "it takes most of an hour: make soak"]
fn soak() {
    let last = std::env::var("SOAK_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let mut progress = Progress::read();
    while progress.next < last {
        let started = Instant::now();
        let range = progress.next..last.min(progress.next + SEEDS_AT_A_TIME);
        let (end, seeds) = (range.end, Seeds { range });
        progress.report.add(&seeds.play().unwrap_or_else(|failure| panic!("{failure}")));
        progress.next = end;
        progress.seconds += started.elapsed().as_secs_f64();
        progress.write();
        println!("{end} of {last} seeds, {:.0} s", progress.seconds);
    }
    println!("{}in {:.0} s", progress.report, progress.seconds);
    let missing = progress.report.tally.missing();
    assert!(missing.is_empty(), "these never happened: {missing:?}");
    fs::remove_file(Progress::file()).expect("the next soak starts anew");
}
