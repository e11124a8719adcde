//! Devices that fetch while somebody writes: whatever a page says that it is up to, it is.

use cartera_tests::simulation::{Carrier, Intent, World};
use serde_json::json;

const ROUNDS: usize = 10;

#[tokio::test]
async fn a_page_cut_during_a_commit_lacks_nothing_of_what_it_is_up_to() {
    let carrier = |user| Carrier { user, skew_ms: 0, has_file: false };
    // Ana, her manager, the administrator.
    let mut world = World::new(1, &[carrier(0), carrier(4), carrier(7)]).await;
    for at in 0..3 {
        world.bring_in_step(at).await;
    }
    let (ana, team) = (world.office.staff.users[0], world.office.staff.teams[0]);
    for round in 0..ROUNDS {
        // There is something to fetch already: who is in step is answered without a look at the database.
        world.office.set("team", team, json!({"description": format!("round {round}")})).await;
        // Each commit lets her see other records than before.
        let moved = Intent::update("user", ana, json!({"team": world.office.staff.teams[1 - round % 2]}));
        world.sync_while(&[0, 1, 2], vec![moved]).await;
    }
    for at in 0..3 {
        world.bring_in_step(at).await;
    }
    world.check_devices();
}
