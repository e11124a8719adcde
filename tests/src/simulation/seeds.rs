//! Many stories on all cores; a failed one is cut short and told.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use serde::{Deserialize, Serialize};

use super::story::Story;
use super::tally::Tally;
use super::world::World;

/// A story in an unoptimised build needs more stack than a thread has by default.
const STACK_BYTES: usize = 16 << 20;

/// How often a failed story is played again to cut it short.
const MOST_REPLAYS: usize = 500;

/// What came of playing a story: what happened and a digest of all that the server said, or what was wrong.
pub type Played = Result<(Tally, u64), String>;

/// A story whose end, or way there, is not as it must be.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// As little of it as still fails.
    pub story: Story,
    /// What was wrong with it.
    pub said: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, story, said } = self;
        writeln!(formatter, "seed {seed} fails; what is left of its story:\n{story}\n{said}\n")?;
        write!(
            formatter,
            "To play it again: SIMULATION_SEED={seed} cargo test -p cartera-tests --test simulation seeds"
        )
    }
}

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How many stories were played.
    pub seeds: u64,
    /// What happened in them.
    pub tally: Tally,
}

impl Report {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.tally.add(&other.tally);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, tally } = self;
        let (steps, exchanges, checkpoints) = (tally.of("steps"), tally.of("exchanges"), tally.of("checkpoints"));
        writeln!(formatter, "{seeds} seeds, {steps} steps, {exchanges} exchanges, {checkpoints} checkpoints")?;
        write!(formatter, "{tally}")
    }
}

/// The stories of some seeds.
#[derive(Debug)]
pub struct Seeds {
    /// Which.
    pub range: Range<u64>,
}

impl Seeds {
    /// Plays them all, one on each core at a time.
    ///
    /// # Errors
    /// The first that failed, cut short; the others are not played to their end then.
    ///
    /// # Panics
    /// When there are no threads to be had.
    pub fn play(&self) -> Result<Report, Failure> {
        let next = AtomicU64::new(self.range.start);
        let report = Mutex::new(Report::default());
        let failed = Mutex::new(None);
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if seed >= self.range.end || failed.lock().expect("nobody panics with it").is_some() {
                    return;
                }
                match play(&Story::of(seed)) {
                    Ok((tally, _)) => {
                        let mut report = report.lock().expect("nobody panics with it");
                        report.seeds += 1;
                        report.tally.add(&tally);
                    }
                    Err(said) => drop(failed.lock().expect("nobody panics with it").get_or_insert((seed, said))),
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).expect("a thread");
            }
        });
        match failed.into_inner().expect("nobody panicked with it") {
            None => Ok(report.into_inner().expect("nobody panicked with it")),
            Some((seed, said)) => {
                let (story, said) = in_a_thread(|| cut_short(Story::of(seed), said));
                Err(Failure { seed, story, said })
            }
        }
    }
}

fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).expect("a thread");
        thread.join().expect("a story's panic is caught")
    })
}

/// Plays one story on this thread, and on this thread alone.
///
/// # Errors
/// What was wrong.
///
/// # Panics
/// When there is no runtime to be had.
pub fn play(story: &Story) -> Played {
    listen();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    IS_PLAYING.set(true);
    SAID.take();
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(World::play(story))));
    drop(runtime);
    IS_PLAYING.set(false);
    let said = SAID.take();
    played.map_err(|_| said.join("\n"))
}

thread_local! {
    static IS_PLAYING: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Panics of a story are kept for its report instead of being printed, each time that it is played again.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let otherwise = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IS_PLAYING.get() {
                SAID.with_borrow_mut(|said| said.push(panic.to_string()));
            } else {
                otherwise(panic);
            }
        }));
    });
}

/// Leaves out of a failed story whatever can be left out without making it succeed.
fn cut_short(mut story: Story, mut said: String) -> (Story, String) {
    let mut replays = 0;
    let mut still_fails = |candidate: &Story, said: &mut String| {
        replays += 1;
        if replays > MOST_REPLAYS {
            return false;
        }
        play(candidate).map_err(|again| *said = again).is_err()
    };
    for device in (0..story.carriers.len()).rev() {
        if let Some(candidate) = story.without_device(device)
            && still_fails(&candidate, &mut said)
        {
            story = candidate;
        }
    }
    let mut size = story.steps.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        let mut was_cut = false;
        while from < story.steps.len() {
            let mut candidate = story.clone();
            candidate.steps.drain(from..(from + size).min(story.steps.len()));
            if still_fails(&candidate, &mut said) {
                story = candidate;
                was_cut = true;
            } else {
                from += size;
            }
        }
        // What could not go may go now that something else went.
        size = if size == 1 && was_cut { 1 } else { size / 2 };
    }
    (story, said)
}
