//! One engine and a tiny model of a server, on a faulty network, with crashes between any two effects.
//!
//! What must hold, whatever happens and in whatever order: no mutation is ever lost or done twice, the base equals the
//! server's records at every checkpoint, and when the faults stop the device comes in step.

mod device;
mod live;
mod mend;
mod server;
mod steps;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_device_comes_in_step_and_loses_nothing(page in 1_usize..6, steps in vec(steps::steps(), 1..120)) {
        let mut world = World::new(page);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.settle();
        world.check();
        world.check_in_step();
    }

    #[test]
    fn a_device_mends_whatever_befell_it_or_its_server(
        page in 1_usize..6,
        steps in vec(steps::rough_steps(), 1..120),
    ) {
        let mut world = World::new(page);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.settle();
        world.check();
        world.check_in_step();
        world.check_never_fetched_anew();
    }
}
