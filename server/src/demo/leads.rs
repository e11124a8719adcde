//! Leads: people who came in by themselves, some of whom became a deal.

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;

use super::Period;
use super::calendar::{Day, instant, working_between, working_from};
use super::chance::{Chance, mobile, record_id};
use super::customers::Customer;
use super::deals::Deal;
use super::names::{self, PersonName, spanish_person};
use super::places::{address, pick_city};
use super::staff::Staff;
use super::story::{Story, changed, link, made};

/// Leads that became nothing, or nothing yet.
const UNCONVERTED: usize = 260;

/// Takes in the leads.
pub fn take_in(
    story: &mut Story,
    period: Period,
    staff: &Staff,
    customers: &[Customer],
    deals: &[Deal],
    chance: &mut Chance,
) {
    for deal in deals {
        let customer = &customers[deal.customer];
        let came_in = matches!(deal.source, "web" | "campaign" | "event") && chance.random_ratio(1, 3);
        let day = deal.steps[0].day - chance.random_range(3..12);
        if came_in && day >= period.first.max(customer.since) {
            convert(story, deal, customer, working_from(day), chance);
        }
    }
    for number in 0..UNCONVERTED {
        let representative = &staff.representatives[number % staff.representatives.len()];
        let city = pick_city(representative.cities, chance);
        let trade = names::pick_trade(chance);
        let company = names::company(trade, city.name, chance);
        let lead = Lead {
            name: spanish_person(chance),
            domain: names::domain(&company.name),
            company: company.name,
            sector: trade.sector(),
            source: ["web", "campaign", "event", "referral", "phone"].choose(chance).expect("the list is not empty"),
            address: json!([address(city, chance)]),
        };
        stay(story, period, representative.person.id, &lead, chance);
    }
}

struct Lead {
    name: PersonName,
    company: String,
    domain: String,
    sector: &'static str,
    source: &'static str,
    address: Value,
}

/// A lead that became a deal: it came in some days before.
fn convert(story: &mut Story, deal: &Deal, customer: &Customer, day: Day, chance: &mut Chance) {
    let converted_on = deal.steps[0].day.max(day);
    let Some(person) = customer.contacts.iter().find(|contact| contact.id == deal.contact) else { return };
    let lead = Lead {
        name: person.name.clone(),
        company: customer.name.clone(),
        domain: customer.domain.clone(),
        sector: customer.trade.sector(),
        source: deal.source,
        address: json!([address(customer.city, chance)]),
    };
    let id = came_in(story, day, customer.owner, &lead, chance);
    let fields = [
        ("status", json!("converted")),
        ("account", link(customer.id)),
        ("contact", link(deal.contact)),
        ("opportunity", link(deal.id)),
    ];
    story.did(converted_on, customer.owner, changed("lead", id, fields));
}

/// A lead that is still new, was called, or was dismissed.
fn stay(story: &mut Story, period: Period, owner: RecordId, lead: &Lead, chance: &mut Chance) {
    let is_recent = chance.random_ratio(1, 3);
    let first = if is_recent { period.last - 20 } else { period.first };
    let day = working_between(first, period.last, chance);
    let id = came_in(story, day, owner, lead, chance);
    let next = working_from(day + chance.random_range(1..6));
    if next > period.last || (is_recent && chance.random_ratio(1, 2)) {
        return;
    }
    story.did(next, owner, changed("lead", id, [("status", json!("contacted"))]));
    let end = working_from(next + chance.random_range(2..15));
    if end > period.last {
        return;
    }
    let reason = *["no_need", "no_budget", "no_answer", "no_answer", "competitor", "not_a_fit", "invalid"]
        .choose(chance)
        .expect("the list is not empty");
    let fields = if chance.random_ratio(1, 5) {
        vec![("status", json!("qualified"))]
    } else {
        vec![("status", json!("unqualified")), ("lost_reason", json!(reason))]
    };
    story.did(end, owner, changed("lead", id, fields));
}

fn came_in(story: &mut Story, day: Day, owner: RecordId, lead: &Lead, chance: &mut Chance) -> RecordId {
    let id = record_id(instant(day, 10, 0), chance);
    let touch = match lead.source {
        "web" => json!("utm_source=buscador&utm_medium=cpc&utm_campaign=cocinas"),
        "campaign" => json!("utm_source=boletin&utm_medium=email&utm_campaign=frio-verano"),
        _ => Value::Null,
    };
    let fields = [
        ("first_name", json!(lead.name.first)),
        ("last_name", json!(lead.name.last)),
        ("company", json!(lead.company)),
        ("phones", json!([mobile(chance)])),
        ("emails", json!([{ "address": format!("{}@{}", lead.name.mailbox(), lead.domain) }])),
        ("addresses", lead.address.clone()),
        ("industry", json!(lead.sector)),
        ("source", json!(lead.source)),
        ("first_touch", touch),
        ("score", json!(chance.random_range(5..=100))),
    ];
    story.did(day, owner, made("lead", id, fields));
    id
}
