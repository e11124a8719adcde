//! Ten thousand seeds: `make soak`. Stopped, it goes on where it was the next time.

#![expect(clippy::print_stdout, reason = "it tells how far it is")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cartera_tests::simulation::{Report, Seeds};
use serde::{Deserialize, Serialize};

/// How many, unless `SOAK_SEEDS` says otherwise.
const SEEDS: u64 = 10_000;
/// What is lost when it is stopped.
const SEEDS_AT_A_TIME: u64 = 100;

/// How far it is.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    next: u64,
    seconds: f64,
    report: Report,
}

impl Progress {
    fn file() -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
        target.join("soak").join("simulation.json")
    }

    fn read() -> Self {
        let text = fs::read_to_string(Self::file()).ok();
        text.map_or_else(Self::default, |text| serde_json::from_str(&text).expect("progress is JSON; remove it"))
    }

    fn write(&self) {
        let file = Self::file();
        fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("a folder for the progress");
        fs::write(file, serde_json::to_string_pretty(self).expect("progress is JSON")).expect("the progress is kept");
    }
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
