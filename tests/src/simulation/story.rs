//! What can happen, and the story of a seed.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::change::{Change, any_change};
use super::fault::{Fault, Moment, any_fault, any_moment};
use super::live::{Arrival, any_arrival};
use super::moves::{Move, any_move};
use super::upgrade::{Upgrade, any_upgrade};

/// Two years.
const MOST_SKEW_MS: i64 = 2 * 366 * 86_400_000;

/// The devices of a tenant and what happens, step after step.
#[derive(Clone, Debug)]
pub struct Story {
    /// Where the server's randomness starts from.
    pub seed: u64,
    /// The devices.
    pub carriers: Vec<Carrier>,
    /// What happens. A step about a device that there is not is about another one.
    pub steps: Vec<Step>,
}

/// A device, before anything happens.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Whose, as a place in [`super::Staff`].
    pub user: u8,
    /// How far its clock is ahead.
    pub skew_ms: i64,
    /// Also keeps everything in the native client's SQLite store.
    pub has_file: bool,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A person changes something on a device; several things in one go are a group.
    Edit {
        /// Which device.
        device: u8,
        /// What.
        changes: Vec<Change>,
    },
    /// A person puts away what needed attention.
    Dismiss {
        /// Which device.
        device: u8,
    },
    /// Somebody changes things on the server itself, in one commit.
    Elsewhere(Vec<Change>),
    /// The same, as an import does it.
    Bulk(Vec<Change>),
    /// People and teams change their places.
    Move(Move),
    /// The model changes.
    Upgrade(Upgrade),
    /// A device wants to exchange, and its host carries out so many effects of its engine.
    Run {
        /// Which device.
        device: u8,
        /// How many.
        effects: u8,
        /// The most bytes of a page.
        page: u16,
        /// Which of its requests goes wrong, and how.
        fault: Option<(u8, Fault)>,
    },
    /// Two devices exchange at the same time, and somebody changes something on the server: one commit.
    Together {
        /// The devices.
        devices: (u8, u8),
        /// The most bytes of a page.
        page: u16,
        /// What changes on the server.
        change: Change,
    },
    /// A device dies and starts again.
    Crash {
        /// Which device.
        device: u8,
        /// When.
        moment: Moment,
    },
    /// A device is lost, and its user gets another.
    Replace {
        /// Which device.
        device: u8,
    },
    /// The next commit of a device fails.
    FailCommit {
        /// Which device.
        device: u8,
    },
    /// A device loses its connection, or finds it again.
    Network {
        /// Which device.
        device: u8,
        /// Whether there is one.
        is_there: bool,
    },
    /// A device that is in step listens while something changes on the server.
    Listen {
        /// Which device.
        device: u8,
        /// What changes.
        change: Change,
        /// How it hears of it.
        arrival: Arrival,
    },
    /// An event that was on its way reaches its device.
    Hear(u8),
    /// A request that its device gave up reaches the server.
    Arrive(u8),
    /// Time passes.
    Wait {
        /// So much of it.
        seconds: u32,
    },
    /// The server stops in a step of an even number, dies in one of an odd number, and starts again.
    Restart,
    /// The server's disk is copied.
    BackUp,
    /// The server goes back to the last copy, if there is one.
    Restore,
    /// The server forgets what left its scope.
    Forget {
        /// So many days ago, or earlier.
        days: u8,
    },
}

impl Story {
    /// The story of a seed: always the same.
    ///
    /// # Panics
    /// Never: nothing is refused while it is made up.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let tree = (carriers(), vec(any_step(), 10..110)).new_tree(&mut runner);
        let (carriers, steps) = tree.expect("a story can always be made up").current();
        Self { seed, carriers, steps }
    }

    /// The story without a device and what it does, the others numbered anew; none where it is the only one.
    pub(super) fn without_device(&self, device: usize) -> Option<Self> {
        let count = self.carriers.len();
        if count == 1 {
            return None;
        }
        let mut story = self.clone();
        story.carriers.remove(device);
        story.steps.retain_mut(|step| {
            step.devices().into_iter().all(|number| {
                let at = usize::from(*number) % count;
                *number = u8::try_from(at - usize::from(at > device)).expect("few devices");
                at != device
            })
        });
        Some(story)
    }
}

impl Step {
    /// The numbers of the devices that it is about.
    fn devices(&mut self) -> Vec<&mut u8> {
        match self {
            Self::Edit { device, .. }
            | Self::Dismiss { device }
            | Self::Run { device, .. }
            | Self::Crash { device, .. }
            | Self::Replace { device }
            | Self::FailCommit { device }
            | Self::Network { device, .. }
            | Self::Listen { device, .. } => vec![device],
            Self::Together { devices: (one, other), .. } => vec![one, other],
            Self::Elsewhere(_)
            | Self::Bulk(_)
            | Self::Move(_)
            | Self::Upgrade(_)
            | Self::Arrive(_)
            | Self::Hear(_)
            | Self::Wait { .. }
            | Self::Restart
            | Self::BackUp
            | Self::Restore
            | Self::Forget { .. } => vec![],
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, carrier) in self.carriers.iter().enumerate() {
            writeln!(formatter, "device {number}: {carrier:?}")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(formatter, "{number:3} {step:?}")?;
        }
        Ok(())
    }
}

fn carriers() -> impl Strategy<Value = Vec<Carrier>> {
    let skew = prop_oneof![2 => Just(0_i64), 1 => -100_000..100_000_i64, 1 => -MOST_SKEW_MS..MOST_SKEW_MS];
    let carrier = (0..8_u8, skew, prop::bool::weighted(0.2)).prop_map(|(user, skew_ms, has_file)| Carrier {
        user,
        skew_ms,
        has_file,
    });
    let number = prop_oneof![6 => 1..5_usize, 3 => 5..9_usize, 1 => 9..=20_usize];
    number.prop_flat_map(move |number| vec(carrier.clone(), number))
}

fn any_step() -> impl Strategy<Value = Step> {
    let device = || any::<u8>();
    prop_oneof![
        14 => (device(), any_change()).prop_map(|(device, change)| Step::Edit { device, changes: vec![change] }),
        2 => (device(), vec(any_change(), 2..4)).prop_map(|(device, changes)| Step::Edit { device, changes }),
        1 => device().prop_map(|device| Step::Dismiss { device }),
        6 => vec(any_change(), 1..3).prop_map(Step::Elsewhere),
        1 => vec(any_change(), 2..8).prop_map(Step::Bulk),
        3 => any_move().prop_map(Step::Move),
        1 => any_upgrade().prop_map(Step::Upgrade),
        22 => (device(), effects(), page(), prop::option::weighted(0.4, (0..3_u8, any_fault())))
            .prop_map(|(device, effects, page, fault)| Step::Run { device, effects, page, fault }),
        2 => (any::<(u8, u8)>(), page(), any_change())
            .prop_map(|(devices, page, change)| Step::Together { devices, page, change }),
        4 => (device(), any_moment()).prop_map(|(device, moment)| Step::Crash { device, moment }),
        1 => device().prop_map(|device| Step::FailCommit { device }),
        2 => device().prop_map(|device| Step::Replace { device }),
        1 => (device(), any::<bool>()).prop_map(|(device, is_there)| Step::Network { device, is_there }),
        2 => any::<u8>().prop_map(Step::Arrive),
        4 => (device(), any_change(), any_arrival())
            .prop_map(|(device, change, arrival)| Step::Listen { device, change, arrival }),
        1 => any::<u8>().prop_map(Step::Hear),
        2 => prop_oneof![3 => 1..600_u32, 1 => 3_600..1_000_000_u32].prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
        1 => Just(Step::BackUp),
        1 => Just(Step::Restore),
        1 => prop_oneof![Just(0), Just(1), Just(10)].prop_map(|days| Step::Forget { days }),
    ]
}

fn effects() -> impl Strategy<Value = u8> {
    prop_oneof![2 => 1..12_u8, 1 => Just(u8::MAX)]
}

fn page() -> impl Strategy<Value = u16> {
    prop_oneof![1 => Just(1_u16), 3 => 200..3_000_u16, 3 => Just(u16::MAX)]
}
