//! Whom the made-up company sells to: accounts with their people, most of them older than the year that the story tells.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::MutationKind;

use super::calendar::{Day, instant, working_between};
use super::catalogue::Catalogue;
use super::chance::{Chance, land_line, mobile, record_id};
use super::names::{self, Trade, english_person, spanish_person};
use super::places::{City, address, pick_city};
use super::staff::{Representative, Staff};
use super::story::{Story, link, made};
use super::{Period, Size};

/// How important a customer is, in the words of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    A,
    B,
    C,
}

/// An account and what the rest of the story needs of it.
pub struct Customer {
    pub id: RecordId,
    pub name: String,
    pub trade: Trade,
    pub city: &'static City,
    pub class: Class,
    /// The representative who looks after it.
    pub owner: RecordId,
    /// Since when it is known.
    pub since: Day,
    pub contacts: Vec<ContactPerson>,
    /// Of its e-mail addresses.
    pub domain: String,
}

/// A contact and what the rest of the story needs of it.
pub struct ContactPerson {
    pub id: RecordId,
    pub name: names::PersonName,
    /// Since when she is known.
    pub since: Day,
}

impl Customer {
    /// Its people who are known on a day; the first is known as long as the account.
    pub fn contacts_on(&self, day: Day) -> impl Iterator<Item = &ContactPerson> {
        self.contacts.iter().filter(move |contact| contact.since <= day)
    }
}

/// Makes the accounts, each with its contacts.
pub fn settle(
    story: &mut Story,
    size: Size,
    period: Period,
    staff: &Staff,
    catalogue: &Catalogue,
    chance: &mut Chance,
) -> Vec<Customer> {
    let mut settling = Settling { story, period, catalogue, chance, chains: BTreeMap::new(), names: BTreeSet::new() };
    let mut customers: Vec<Customer> = (0..size.accounts)
        .map(|number| {
            let representative = &staff.representatives[number % staff.representatives.len()];
            settling.account(representative)
        })
        .collect();
    let numbers = settling.contacts_per_account(&customers, size.contacts);
    for (customer, number) in customers.iter_mut().zip(numbers) {
        for index in 0..number {
            let contact = settling.contact(customer, index);
            customer.contacts.push(contact);
        }
    }
    customers
}

struct Settling<'a> {
    story: &'a mut Story,
    period: Period,
    catalogue: &'a Catalogue,
    chance: &'a mut Chance,
    /// Hotel companies by the representative who looks after them.
    chains: BTreeMap<RecordId, Vec<RecordId>>,
    /// Those that are given.
    names: BTreeSet<String>,
}

impl Settling<'_> {
    fn account(&mut self, representative: &Representative) -> Customer {
        let owner = representative.person.id;
        let city = pick_city(representative.cities, self.chance);
        let trade = names::pick_trade(self.chance);
        let company = names::company(trade, city.name, self.chance);
        let name = self.distinct(&company.name, city);
        let domain = names::domain(&name);
        let class = match self.chance.random_range(0..10) {
            0 => Class::A,
            1..4 => Class::B,
            _ => Class::C,
        };
        let since = self.since();
        let id = record_id(instant(since, 12, 0), self.chance);
        let is_company = company.tax_id.starts_with('A') && since < self.period.first;
        let parent = self.chain(trade, is_company, owner, id);
        let price_list = self.catalogue.price_lists[usize::from(class != Class::A)];
        let kind = match self.chance.random_range(0..100) {
            0..64 => "customer",
            64..98 => "prospect",
            98 => "partner",
            _ => "supplier",
        };
        let employees = match class {
            Class::A => self.chance.random_range(40..400),
            Class::B => self.chance.random_range(10..60),
            Class::C => self.chance.random_range(2..15),
        };
        let language = city.own_language().filter(|_| self.chance.random_ratio(1, 4)).unwrap_or("es");
        let fields = [
            ("name", json!(name)),
            ("tax_id", json!(company.tax_id)),
            ("kind", json!(kind)),
            ("class", json!(format!("{class:?}"))),
            ("status", json!(if self.chance.random_ratio(1, 40) { "inactive" } else { "active" })),
            ("industry", json!(trade.sector())),
            ("employees", json!(employees)),
            ("founded_year", json!(self.chance.random_range(1962..2025))),
            ("phones", json!([land_line(city.land_line_prefix(), self.chance)])),
            ("emails", json!([{ "address": format!("info@{}", domain) }])),
            ("addresses", json!([address(city, self.chance)])),
            ("headquarters", json!(city.name)),
            ("website", json!(format!("https://www.{}", domain))),
            ("language", json!(language)),
            ("currency", json!("EUR")),
            ("price_list", if kind == "supplier" { Value::Null } else { link(price_list) }),
            ("parent", parent.map_or(Value::Null, link)),
            ("owner", link(owner)),
        ];
        self.tell(since, owner, made("account", id, fields));
        Customer { id, name, trade, city, class, owner, since, contacts: Vec::new(), domain }
    }

    /// The name, with the city or a number where another company has it already.
    fn distinct(&mut self, name: &str, city: &City) -> String {
        let mut candidate = name.to_owned();
        let mut tries = 0;
        while !self.names.insert(candidate.clone()) {
            tries += 1;
            candidate =
                if tries == 1 { format!("{name} ({})", city.name) } else { format!("{name} ({} {tries})", city.name) };
        }
        candidate
    }

    /// A day of the last six years, now and then one of the year that the story tells.
    fn since(&mut self) -> Day {
        let Period { first, last } = self.period;
        if self.chance.random_ratio(7, 100) {
            working_between(first, last, self.chance)
        } else {
            working_between(first - 6 * 365, first - 7, self.chance)
        }
    }

    /// The chain that a hotel belongs to; a hotel company becomes a chain that later hotels may belong to.
    fn chain(&mut self, trade: Trade, is_company: bool, owner: RecordId, id: RecordId) -> Option<RecordId> {
        if trade != Trade::Hotel {
            return None;
        }
        let chains = self.chains.entry(owner).or_default();
        if is_company {
            chains.push(id);
            return None;
        }
        chains.choose(self.chance).copied().filter(|_| self.chance.random_ratio(2, 5))
    }

    /// So many contacts in all, more at larger customers, none without one.
    fn contacts_per_account(&mut self, customers: &[Customer], contacts: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = customers
            .iter()
            .map(|customer| match customer.class {
                Class::A => self.chance.random_range(5..=8),
                Class::B => self.chance.random_range(3..=5),
                Class::C => self.chance.random_range(1..=3),
            })
            .collect();
        let mut total: usize = numbers.iter().sum();
        while total != contacts.max(customers.len()) {
            let number = &mut numbers[self.chance.random_range(0..customers.len())];
            if total < contacts {
                *number += 1;
                total += 1;
            } else if *number > 1 {
                *number -= 1;
                total -= 1;
            }
        }
        numbers
    }

    fn contact(&mut self, customer: &Customer, index: usize) -> ContactPerson {
        let is_foreign = customer.trade == Trade::Hotel && self.chance.random_ratio(1, 9);
        let (name, language) = if is_foreign {
            (english_person(self.chance), "en")
        } else {
            (
                spanish_person(self.chance),
                customer.city.own_language().filter(|_| self.chance.random_ratio(1, 5)).unwrap_or("es"),
            )
        };
        // People join later than their company, and reps meet them during the year.
        let day = match index {
            0 => customer.since,
            _ if customer.since < self.period.first && self.chance.random_ratio(19, 20) => customer.since,
            _ => working_between(customer.since.max(self.period.first), self.period.last, self.chance),
        };
        let id = record_id(instant(day, 12, 30), self.chance);
        let titles = customer.trade.job_titles();
        let channel = match self.chance.random_range(0..10) {
            0..4 => Some("phone"),
            4..6 => Some("whatsapp"),
            6..9 => Some("email"),
            _ => None,
        };
        let birthday = self.chance.random_ratio(1, 5).then(|| {
            let (year, month, day) = (
                self.chance.random_range(1958..2004),
                self.chance.random_range(1..=12),
                self.chance.random_range(1..=28),
            );
            format!("{year}-{month:02}-{day:02}")
        });
        let fields = [
            ("first_name", json!(name.first)),
            ("last_name", json!(name.last)),
            ("job_title", json!(titles[index % titles.len()])),
            ("account", link(customer.id)),
            ("phones", json!([mobile(self.chance)])),
            ("emails", json!([{ "address": format!("{}@{}", name.mailbox(), customer.domain), "label": "work" }])),
            ("birthday", json!(birthday)),
            ("language", json!(language)),
            ("preferred_channel", json!(channel)),
            ("do_not_call", if self.chance.random_ratio(1, 50) { json!(true) } else { Value::Null }),
        ];
        self.tell(day, customer.owner, made("contact", id, fields));
        ContactPerson { id, name, since: day }
    }

    /// What was there before the year began was brought in by the operator; the rest the representative wrote.
    fn tell(&mut self, day: Day, owner: RecordId, mut change: crate::record::write::Change) {
        debug_assert!(change.kind == MutationKind::Create, "customers are only made here");
        if day < self.period.first {
            change.set.insert("created_on".into(), json!(instant(day, 12, 0)));
            self.story.found(change);
        } else {
            self.story.did(day, owner, change);
        }
    }
}
