//! More records than one statement reads, moving about while a device is in the middle of fetching them.

use serde_json::json;

use crate::check;
use crate::office::{Intent, Office};
use crate::phone::{Fault, Phone};

/// More than twice what one statement of the server reads.
const MANY: usize = 2_300;
/// About a hundred records.
const PAGE_BYTES: u64 = 40_000;

/// Ana's records with even numbers are Carl's from now on, and the other way round.
async fn swap(office: &Office, from: usize, to: usize, every: usize) {
    let owner = json!(office.users[from]);
    let moving = office.records().into_iter().filter(|record| record.entity == "account").enumerate();
    let moving = moving.filter(|(at, record)| at.is_multiple_of(every) && record.fields.get("owner") == Some(&owner));
    let intents = moving.map(|(_, record)| Intent::update("account", record.id, json!({"owner": office.users[to]})));
    office.bulk(intents.collect()).await;
}

#[tokio::test]
async fn thousands_of_records_move_while_devices_fetch_them() {
    let office = Office::open().await;
    let (ana, carl) = (0, 2);
    let make = |at: usize| {
        let owner = if at.is_multiple_of(2) { ana } else { carl };
        Intent::create("account", office.new_id(), json!({"name": format!("Acme {at}"), "owner": office.users[owner]}))
    };
    office.bulk((0..2 * MANY).map(make).collect()).await;
    let mut phones = [Phone::new(&office, ana), Phone::new(&office, carl), Phone::new(&office, 4)];

    // A few pages of the first sync, then half of it moves, and so on until all is there.
    for every in [2, 3, 1] {
        for phone in &mut phones {
            phone.sync(&office, 5, PAGE_BYTES, Fault::None).await;
        }
        swap(&office, ana, carl, every).await;
        swap(&office, carl, ana, every + 1).await;
    }
    let accounts = office.records().into_iter().filter(|record| record.entity == "account");
    let gone = accounts.skip(10).step_by(3).map(|record| Intent::delete("account", record.id));
    office.bulk(gone.collect()).await;
    for phone in &mut phones {
        phone.sync(&office, 1_000, PAGE_BYTES, Fault::LosesAnswer).await;
        check::holds_what_its_user_may_see(&office, phone);
    }

    // The same for devices that were in step before.
    swap(&office, ana, carl, 1).await;
    for phone in &mut phones {
        phone.sync(&office, 5, PAGE_BYTES, Fault::None).await;
    }
    swap(&office, carl, ana, 2).await;
    for phone in &mut phones {
        phone.sync(&office, 1_000, PAGE_BYTES, Fault::None).await;
        check::holds_what_its_user_may_see(&office, phone);
    }
}
