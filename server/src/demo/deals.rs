//! Opportunities, each on its way through the stages: some won, some lost, some where they stand today.

use rand::RngExt;
use rand::seq::{IndexedRandom, IteratorRandom};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;

use super::calendar::{Day, date_text, instant, working_between, working_from};
use super::catalogue::{Catalogue, Product};
use super::chance::{Chance, record_id};
use super::customers::{Class, Customer};
use super::story::{Story, changed, euros, link, made};
use super::{Period, Size};

/// A stage of the sales pipeline: how many days a deal stays there, and how many per cent are lost from it.
struct Station {
    key: &'static str,
    days: (i64, i64),
    lost_percent: u32,
}

const STATIONS: [Station; 4] = [
    Station { key: "prospecting", days: (2, 16), lost_percent: 17 },
    Station { key: "qualification", days: (3, 18), lost_percent: 16 },
    Station { key: "proposal", days: (6, 32), lost_percent: 20 },
    Station { key: "negotiation", days: (3, 24), lost_percent: 18 },
];

/// Something that happened to a deal: what the diary has an entry for.
pub struct Step {
    pub day: Day,
    /// The stage that it reached; the first made the deal.
    pub stage: &'static str,
}

/// A deal and what the rest of the story needs of it.
pub struct Deal {
    pub id: RecordId,
    /// Index of its account among the customers.
    pub customer: usize,
    pub contact: RecordId,
    pub source: &'static str,
    /// In order; none lies after the period.
    pub steps: Vec<Step>,
}

impl Deal {
    /// Whether it is neither won nor lost.
    pub fn is_open(&self) -> bool {
        self.steps.last().is_some_and(|step| !matches!(step.stage, "won" | "lost"))
    }
}

/// Makes the deals and takes each as far as the period allows.
pub fn pursue(
    story: &mut Story,
    size: Size,
    period: Period,
    customers: &[Customer],
    catalogue: &Catalogue,
    chance: &mut Chance,
) -> Vec<Deal> {
    let weights: Vec<(usize, u32)> = customers
        .iter()
        .enumerate()
        .map(|(index, customer)| {
            let weight = match customer.class {
                Class::A => 9,
                Class::B => 3,
                Class::C => 1,
            };
            (index, weight)
        })
        .collect();
    let mut pursuit = Pursuit { story, period, catalogue, chance };
    (0..size.opportunities)
        .map(|_| {
            let (index, _) =
                weights.choose_weighted(pursuit.chance, |(_, weight)| *weight).expect("there are customers");
            pursuit.deal(*index, &customers[*index])
        })
        .collect()
}

struct Pursuit<'a> {
    story: &'a mut Story,
    period: Period,
    catalogue: &'a Catalogue,
    chance: &'a mut Chance,
}

impl<'a> Pursuit<'a> {
    /// One deal, from the day on which it was made as far as the period allows.
    fn deal(&mut self, index: usize, customer: &Customer) -> Deal {
        let mut day = working_between(self.period.first.max(customer.since), self.period.last, self.chance);
        let (products, amount, cost) = self.basket(customer);
        let contact =
            customer.contacts_on(day).choose(self.chance).expect("an account is known with its first contact").id;
        let name = format!("{}: {}", customer.name, products[0].name);
        let source = *["customer", "customer", "customer", "web", "referral", "campaign", "event", "cold_call"]
            .choose(self.chance)
            .expect("the list is not empty");
        let id = record_id(instant(day, 13, 0), self.chance);
        let is_estimated = self.chance.random_ratio(1, 2);
        let fields = [
            ("name", json!(name.chars().take(160).collect::<String>())),
            ("account", link(customer.id)),
            ("contacts", json!([contact.to_string()])),
            ("stage", json!(STATIONS[0].key)),
            ("amount", if is_estimated { euros(amount / 100_000 * 100_000) } else { Value::Null }),
            ("products", json!(products.iter().map(|product| product.id.to_string()).collect::<Vec<_>>())),
            ("start_date", json!(date_text(day))),
            ("close_date", json!(date_text(day + self.chance.random_range(45..100)))),
            ("source", json!(source)),
        ];
        self.story.did(day, customer.owner, made("opportunity", id, fields));
        let mut deal = Deal { id, customer: index, contact, source, steps: vec![Step { day, stage: STATIONS[0].key }] };
        let mut station = 0;
        loop {
            let (least, most) = STATIONS[station].days;
            // Some deals stay where they are for good: every pipeline has them.
            let stay = if self.chance.random_ratio(1, 40) { 400 } else { self.chance.random_range(least..=most) };
            day = working_from(day + stay);
            if day > self.period.last {
                return deal;
            }
            let is_lost = self.chance.random_ratio(STATIONS[station].lost_percent, 100);
            let next = match station {
                _ if is_lost => None,
                0 if self.chance.random_ratio(1, 10) => Some(2),
                3 if self.chance.random_ratio(1, 25) => Some(2),
                station => Some(station + 1),
            };
            let Some(next) = next else {
                self.lose(customer, &mut deal, day);
                return deal;
            };
            station = next;
            if station == STATIONS.len() {
                self.win(customer, &mut deal, day);
                return deal;
            }
            self.advance(customer, &mut deal, station, day, (amount, cost));
        }
    }

    /// What the deal is about: some products that suit the customer, what they come to and what they cost us.
    fn basket(&mut self, customer: &Customer) -> (Vec<&'a Product>, i64, i64) {
        let catalogue = self.catalogue;
        let goods = catalogue.products.iter().filter(|product| !product.is_service && product.suits(customer.trade));
        let most = match customer.class {
            Class::A => 5,
            Class::B => 3,
            Class::C => 2,
        };
        let wanted = self.chance.random_range(1..=most);
        let mut products = goods.sample(self.chance, usize::try_from(wanted).unwrap_or(1));
        if self.chance.random_ratio(2, 5) {
            products.extend(catalogue.products.iter().filter(|product| product.is_service).choose(self.chance));
        }
        let (mut amount, mut cost) = (0, 0);
        for product in &products {
            let quantity: i64 = self.chance.random_range(if product.is_service { 4..=24 } else { 1..=most });
            amount += product.price * quantity;
            cost += product.cost * quantity;
        }
        let discounted = amount * self.chance.random_range(88..=100) / 100;
        (products, discounted / 1_000 * 1_000, cost)
    }

    fn advance(&mut self, customer: &Customer, deal: &mut Deal, station: usize, day: Day, money: (i64, i64)) {
        let stage = STATIONS[station].key;
        let mut fields = vec![("stage", json!(stage))];
        if stage == "proposal" {
            fields.extend([
                ("amount", euros(money.0)),
                ("close_date", json!(date_text(day + self.chance.random_range(20..70)))),
                ("next_step", json!("Llamar para comentar la propuesta")),
            ]);
            if self.chance.random_ratio(2, 5) {
                let competitor = self.catalogue.competitors.choose(self.chance).expect("there are competitors");
                fields.push(("competitors", json!([competitor.to_string()])));
            }
        }
        if stage == "negotiation" && self.chance.random_ratio(1, 3) {
            fields.push(("own_probability", json!(self.chance.random_range(12..19) * 5)));
        }
        self.tell(customer, deal, stage, day, fields);
    }

    fn win(&mut self, customer: &Customer, deal: &mut Deal, day: Day) {
        let note = [
            "Plazo de entrega y servicio técnico.",
            "Precio.",
            "Buena relación de años.",
            "La demostración en cocina.",
        ]
        .choose(self.chance)
        .expect("the list is not empty");
        let fields = vec![("stage", json!("won")), ("close_date", json!(date_text(day))), ("close_note", json!(note))];
        self.tell(customer, deal, "won", day, fields);
    }

    fn lose(&mut self, customer: &Customer, deal: &mut Deal, day: Day) {
        let reason = *["price", "price", "competitor", "competitor", "no_budget", "no_decision", "timing", "product"]
            .choose(self.chance)
            .expect("the list is not empty");
        let fields =
            vec![("stage", json!("lost")), ("close_date", json!(date_text(day))), ("close_reason", json!(reason))];
        self.tell(customer, deal, "lost", day, fields);
    }

    fn tell(
        &mut self,
        customer: &Customer,
        deal: &mut Deal,
        stage: &'static str,
        day: Day,
        fields: Vec<(&'static str, Value)>,
    ) {
        self.story.did(day, customer.owner, changed("opportunity", deal.id, fields));
        deal.steps.push(Step { day, stage });
    }
}
