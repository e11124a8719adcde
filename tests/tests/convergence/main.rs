//! Several people's devices against the real server, without HTTP: whatever is edited where, whatever is lost on the way,
//! in the end every device holds what its user may see, and nothing that was done was done twice.
//!
//! `PROPTEST_CASES=2000 cargo test -p cartera-tests --test convergence` runs it longer.

mod check;
mod many;
mod office;
mod phone;
mod roles;
mod steps;

use office::Office;
use phone::{Fault, Phone};
use proptest::prelude::*;
use steps::Step;

/// Enough for every page of the smallest size and for what each device learns of the others' last words.
const ROUNDS: usize = 3;

/// Everybody with a device, one user with two.
const CARRIERS: [usize; 6] = [0, 0, 1, 2, 3, 4];

async fn play(steps: Vec<Step>) {
    let mut office = Office::open().await;
    let mut phones: Vec<Phone> = CARRIERS.iter().map(|user| Phone::new(&office, *user)).collect();
    for (at, step) in steps.into_iter().enumerate() {
        match step {
            Step::Edit { phone, change } => {
                let phone = &mut phones[usize::from(phone) % CARRIERS.len()];
                if let Some(draft) = phone.draft(&office, &change, at) {
                    phone.edit(&office, vec![draft]).await;
                }
            }
            Step::EditTogether { phone, changes } => {
                let phone = &mut phones[usize::from(phone) % CARRIERS.len()];
                let drafts = changes.iter().enumerate();
                let drafts = drafts.filter_map(|(n, change)| phone.draft(&office, change, at * 10 + n)).collect();
                phone.edit(&office, drafts).await;
            }
            Step::Elsewhere(change) => office.write(&change, at).await,
            Step::Together(changes) => office.write_together(&changes, at).await,
            Step::Move(moved) => office.reorganise(moved).await,
            Step::Sync { phone, exchanges, page, fault } => {
                let phone = &mut phones[usize::from(phone) % CARRIERS.len()];
                phone.sync(&office, usize::from(exchanges), u64::from(page), fault).await;
            }
            Step::AtOnce { phones: (one, other), page, change } => {
                let pair = [one, other].map(|phone| usize::from(phone) % CARRIERS.len());
                if let Ok([one, other]) = phones.get_disjoint_mut(pair) {
                    let page = u64::from(page);
                    tokio::join!(
                        one.sync_in_a_crowd(&office, page),
                        other.sync_in_a_crowd(&office, page),
                        office.write(&change, at),
                    );
                }
            }
            Step::Crash(phone) => phones[usize::from(phone) % CARRIERS.len()].restart(),
            Step::RestartServer => office.restart().await,
        }
    }
    for _ in 0..ROUNDS {
        for phone in &mut phones {
            phone.sync(&office, 400, 1 << 20, Fault::None).await;
        }
    }
    for phone in &phones {
        check::holds_what_its_user_may_see(&office, phone);
    }
    check::nothing_was_done_twice(&office, &phones);
    check::no_link_leads_nowhere(&office);
}

fn run(steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(play(steps));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_device_comes_to_hold_what_its_user_may_see(steps in steps::story(60)) {
        run(steps);
    }
}
