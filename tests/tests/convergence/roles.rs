//! A user's role changes: her devices get the fields that she sees now, and lose those that she no longer does.

use serde_json::{Value, json};
use sync_protocol::id::RecordId;

use crate::check;
use crate::office::Office;
use crate::phone::{Fault, Phone};
use crate::steps::Move;

const REP: u8 = 0;
const MANAGER: u8 = 1;
/// So small that the change comes in the middle of a run.
const PAGE_BYTES: u64 = 700;

async fn sync(office: &Office, phone: &mut Phone, exchanges: usize) {
    phone.sync(office, exchanges, PAGE_BYTES, Fault::None).await;
}

fn cost(phone: &Phone, deal: RecordId) -> Option<Value> {
    phone.store.view(deal).expect("her own deal is on her phone").fields.get("cost").cloned()
}

#[tokio::test]
async fn what_a_role_sees_comes_and_goes_with_it() {
    let office = Office::open().await;
    let mut phone = Phone::new(&office, 0);
    let deals = office.records().into_iter().filter(|record| record.entity == "opportunity");
    let hers = deals.filter(|deal| deal.fields.get("owner") == Some(&json!(office.users[0])));
    let deal = hers.map(|deal| deal.id).next().expect("a deal of hers");
    office.set("opportunity", deal, json!({"cost": {"minor": 900, "currency": "EUR"}})).await;
    sync(&office, &mut phone, 100).await;
    assert_eq!(cost(&phone, deal), None, "a rep does not see what deals cost");

    office.reorganise(Move::Becomes { user: 0, role: MANAGER }).await;
    sync(&office, &mut phone, 100).await;
    assert_eq!(cost(&phone, deal), Some(json!({"minor": 900, "currency": "EUR"})), "a manager does");
    check::holds_what_its_user_may_see(&office, &phone);

    // Back and forth while the phone is in the middle of it.
    for role in [REP, MANAGER, REP] {
        office.reorganise(Move::Becomes { user: 0, role }).await;
        sync(&office, &mut phone, 2).await;
    }
    sync(&office, &mut phone, 100).await;
    assert_eq!(cost(&phone, deal), None, "no phone keeps what its user no longer sees");
    check::holds_what_its_user_may_see(&office, &phone);
}
