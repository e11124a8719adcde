//! More records than one statement reads, moving about while a device is in the middle of fetching them.

use cartera_tests::simulation::{Carrier, Intent, Office, World};
use serde_json::json;

/// More than twice what one statement of the server reads.
const MANY: usize = 2_300;
/// About a hundred records.
const PAGE_BYTES: u64 = 40_000;

const ANA: usize = 0;
const CARL: usize = 2;
const EVA: u8 = 7;

/// Of one's records each so many are the other's from now on.
async fn swap(office: &Office, from: usize, to: usize, every: usize) {
    let (from, to) = (json!(office.staff.users[from]), json!(office.staff.users[to]));
    let moving = office.records().into_iter().filter(|record| record.entity == "account").enumerate();
    let moving = moving.filter(|(at, record)| at.is_multiple_of(every) && record.fields.get("owner") == Some(&from));
    let intents = moving.map(|(_, record)| Intent::update("account", record.id, json!({"owner": to})));
    office.bulk(intents.collect()).await;
}

#[tokio::test]
async fn thousands_of_records_move_while_devices_fetch_them() {
    let carrier = |user| Carrier { user, skew_ms: 0, has_file: false };
    let mut world = World::new(1, &[carrier(0), carrier(2), carrier(EVA)]).await;
    let make = |at: usize| {
        let owner = world.office.staff.users[if at.is_multiple_of(2) { ANA } else { CARL }];
        Intent::create("account", world.office.new_id(), json!({"name": format!("Acme {at}"), "owner": owner}))
    };
    world.office.bulk((0..2 * MANY).map(make).collect()).await;

    // A few pages of the first sync, then half of it moves, and so on until all is there.
    for every in [2, 3, 1] {
        for at in 0..3 {
            world.sync(at, 5, PAGE_BYTES).await;
        }
        swap(&world.office, ANA, CARL, every).await;
        swap(&world.office, CARL, ANA, every + 1).await;
    }
    let accounts = world.office.records().into_iter().filter(|record| record.entity == "account");
    let gone = accounts.skip(10).step_by(3).map(|record| Intent::delete("account", record.id));
    world.office.bulk(gone.collect()).await;
    for at in 0..3 {
        world.sync(at, 1_000, PAGE_BYTES).await;
    }
    world.check_devices();

    // The same for devices that were in step before.
    swap(&world.office, ANA, CARL, 1).await;
    for at in 0..3 {
        world.sync(at, 5, PAGE_BYTES).await;
    }
    swap(&world.office, CARL, ANA, 2).await;
    for at in 0..3 {
        world.sync(at, 1_000, PAGE_BYTES).await;
    }
    world.check_devices();
}
