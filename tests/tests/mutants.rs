//! The simulation can fail: each mistake that is made on purpose is noticed within a few seeds.
//!
//! Built with the feature `seeded-faults`, in a build of its own without any command: cargo gives every package of one build
//! the same features, and the commands that the other tests run, and people, must not be able to make these mistakes.
//! `scripts/verify tests` runs it after the others.

#![expect(clippy::print_stdout, reason = "with --nocapture it tells what notices which mistake")]

use cartera_tests::simulation::Story;
use cartera_tests::simulation::seeds::play;
use sync_protocol::fault::{Fault, seed};

/// A mistake that survives so many stories would survive a release.
const MOST_SEEDS: u64 = 200;

/// A story in an unoptimised build needs more stack than a thread has by default.
const STACK_BYTES: usize = 16 << 20;

/// What the simulation says of the mistake, and after how many stories.
fn notice(fault: Fault) -> Option<(u64, String)> {
    seed(Some(fault));
    let noticed = (0..MOST_SEEDS).find_map(|seed| Some((seed, play(&Story::of(seed)).err()?)));
    seed(None);
    noticed
}

#[track_caller]
fn is_noticed(fault: Fault) {
    // The mistake is made on one thread, and a story stays on its own.
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || notice(fault)).expect("a thread");
    let noticed = thread.join().expect("a story's panic is caught");
    let Some((seed, said)) = noticed else {
        panic!("{MOST_SEEDS} stories went well although {fault:?} was made");
    };
    let said = said.lines().nth(1).unwrap_or_default();
    println!("{fault:?} is noticed by seed {seed}: {said}");
}

#[test]
fn a_skipped_exit_is_noticed() {
    is_noticed(Fault::SkipExit);
}

#[test]
fn an_answer_before_its_commit_is_noticed() {
    is_noticed(Fault::AnswerBeforeCommit);
}

#[test]
fn a_dropped_backfill_mark_is_noticed() {
    is_noticed(Fault::DropBackfillMark);
}

#[test]
fn a_merge_without_a_look_at_the_base_is_noticed() {
    is_noticed(Fault::TakeEveryBaseForKnown);
}

#[test]
fn a_lost_outcome_is_noticed() {
    is_noticed(Fault::LoseOutcome);
}

#[test]
fn a_mutation_decided_twice_is_noticed() {
    is_noticed(Fault::DecideAgain);
}

#[test]
fn a_field_that_should_be_hidden_is_noticed() {
    is_noticed(Fault::ShowHiddenFields);
}

#[test]
fn a_group_applied_in_part_is_noticed() {
    is_noticed(Fault::ApplyGroupInPart);
}

#[test]
fn a_scope_that_a_device_keeps_is_noticed() {
    is_noticed(Fault::KeepDroppedScope);
}

#[test]
fn a_stale_chunk_is_noticed() {
    is_noticed(Fault::ReuseStaleChunk);
}

#[test]
fn pages_that_a_device_forgets_are_noticed() {
    is_noticed(Fault::ForgetStagedPages);
}

#[test]
fn a_devices_own_change_that_it_forgets_is_noticed() {
    is_noticed(Fault::SkipOwnChange);
}

#[test]
fn a_queued_change_that_keeps_former_names_is_noticed() {
    is_noticed(Fault::KeepFormerNames);
}

#[test]
fn a_server_that_forgets_former_names_is_noticed() {
    is_noticed(Fault::ForgetFormerNames);
}
