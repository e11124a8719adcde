//! A user's role changes: her devices get the fields that she sees now, and lose those that she no longer does.

use cartera_tests::simulation::{Carrier, Change, ChangeKind, Move, Upgrade, World};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;

const ANA: u8 = 0;
const REP: u8 = 0;
const MANAGER: u8 = 1;
/// So small that the change comes in the middle of a run.
const PAGE_BYTES: u64 = 700;

fn cost(world: &World, deal: RecordId) -> Option<Value> {
    world.devices[0].store.view(deal).expect("her own deal is on her phone").fields.get("cost").cloned()
}

#[tokio::test]
async fn what_a_role_sees_comes_and_goes_with_it() {
    let mut world = World::new(1, &[Carrier { user: ANA, skew_ms: 0, has_file: true }]).await;
    let ana = json!(world.office.staff.users[usize::from(ANA)]);
    let deals = world.office.records().into_iter().filter(|record| record.entity == "opportunity");
    let deal = deals.filter(|deal| deal.fields.get("owner") == Some(&ana)).map(|deal| deal.id).next();
    let deal = deal.expect("a deal of hers");
    world.office.set("opportunity", deal, json!({"cost": {"minor": 900, "currency": "EUR"}})).await;
    world.sync(0, 100, PAGE_BYTES).await;
    assert_eq!(cost(&world, deal), None, "a rep does not see what deals cost");

    world.office.reorganise(Move::Becomes { user: ANA, role: MANAGER }).await;
    world.sync(0, 100, PAGE_BYTES).await;
    assert_eq!(cost(&world, deal), Some(json!({"minor": 900, "currency": "EUR"})), "a manager does");
    world.check_devices();

    // Back and forth while the phone is in the middle of it.
    for role in [REP, MANAGER, REP] {
        world.office.reorganise(Move::Becomes { user: ANA, role }).await;
        world.sync(0, 2, PAGE_BYTES).await;
    }
    world.sync(0, 100, PAGE_BYTES).await;
    assert_eq!(cost(&world, deal), None, "no phone keeps what its user no longer sees");
    world.check_devices();
}

#[tokio::test]
async fn what_a_device_made_itself_shows_no_more_than_its_users_role_sees_now() {
    let mut world = World::new(1, &[Carrier { user: ANA, skew_ms: 0, has_file: true }]).await;
    // In the middle of its first sync the device makes an account, and hears what the server made of it.
    world.sync(0, 3, PAGE_BYTES).await;
    world.edit(0, &[Change { record: 0, kind: ChangeKind::MakeAccount(Some(ANA)) }]);
    world.sync(0, 2, PAGE_BYTES).await;
    let narrow = Upgrade::Rights(3);
    assert!(world.office.upgrade(narrow).await, "from now on reps see a few fields of accounts: {narrow:?}");
    world.sync(0, 100, PAGE_BYTES).await;
    world.check_devices();
}
