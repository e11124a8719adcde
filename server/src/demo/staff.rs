//! The people of the made-up company: a director, a manager for each territory, and two representatives in each team.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sync_protocol::id::RecordId;

use super::calendar::{Day, instant};
use super::chance::{Chance, mobile, record_id};
use super::names::{PersonName, spanish_person};
use super::places::{City, TERRITORIES};
use super::story::{Story, changed, link, made};

/// The addresses of the company's people end in this; nothing under `.example` ever resolves.
pub const DOMAIN: &str = "tresolmos.example";

/// Someone who can sign in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Her user record.
    pub id: RecordId,
    /// What people call her.
    pub name: PersonName,
    /// With which she signs in.
    pub email: String,
    /// The role's key.
    pub role: &'static str,
    /// Where she works, in words.
    pub place: String,
}

/// A representative and the cities that she visits.
pub struct Representative {
    pub person: Person,
    pub cities: &'static [City],
}

/// Everyone.
pub struct Staff {
    /// Administers everything.
    pub director: Person,
    /// One for each territory.
    pub managers: Vec<Person>,
    /// Two for each team, in the teams' order.
    pub representatives: Vec<Representative>,
}

impl Staff {
    /// Everyone who can sign in: the director, the managers, the representatives.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        let representatives = self.representatives.iter().map(|representative| &representative.person);
        std::iter::once(&self.director).chain(&self.managers).chain(representatives)
    }
}

/// Hires everyone; `role` tells the record of a role by its key.
pub fn hire(story: &mut Story, first_day: Day, role: impl Fn(&str) -> Option<RecordId>, chance: &mut Chance) -> Staff {
    let mut hiring = Hiring { at_ms: instant(first_day, 9, 0), taken: BTreeSet::new(), story, chance, role: &role };
    let director = hiring.person("admin", "toda España".into(), "Dirección comercial", None, None);
    let mut managers = Vec::new();
    let mut representatives = Vec::new();
    for plan in &TERRITORIES {
        let territory = hiring.territory(plan.name);
        let first_team = hiring.team(plan.teams[0].name, territory);
        let manager =
            hiring.person("sales_manager", plan.name.into(), "Dirección de zona", Some(first_team), Some(&director));
        hiring.story.found(changed("territory", territory, [("manager", link(manager.id))]));
        for (index, plan) in plan.teams.iter().enumerate() {
            let team = if index == 0 { first_team } else { hiring.team(plan.name, territory) };
            hiring.story.found(changed("team", team, [("manager", link(manager.id))]));
            for _ in 0..2 {
                let person = hiring.person("sales_rep", plan.name.into(), "Comercial", Some(team), Some(&manager));
                representatives.push(Representative { person, cities: plan.cities });
            }
        }
        managers.push(manager);
    }
    Staff { director, managers, representatives }
}

struct Hiring<'a> {
    at_ms: i64,
    /// Mailboxes that are given out.
    taken: BTreeSet<String>,
    story: &'a mut Story,
    chance: &'a mut Chance,
    role: &'a dyn Fn(&str) -> Option<RecordId>,
}

impl Hiring<'_> {
    fn territory(&mut self, name: &str) -> RecordId {
        let id = record_id(self.at_ms, self.chance);
        self.story.found(made("territory", id, [("name", json!(name)), ("created_on", json!(self.at_ms))]));
        id
    }

    fn team(&mut self, name: &str, territory: RecordId) -> RecordId {
        let id = record_id(self.at_ms, self.chance);
        let fields = [("name", json!(name)), ("territory", link(territory)), ("created_on", json!(self.at_ms))];
        self.story.found(made("team", id, fields));
        id
    }

    fn person(
        &mut self,
        role: &'static str,
        place: String,
        job_title: &str,
        team: Option<RecordId>,
        manager: Option<&Person>,
    ) -> Person {
        let (name, mailbox) = loop {
            let name = spanish_person(self.chance);
            let mailbox = name.mailbox();
            if self.taken.insert(mailbox.clone()) {
                break (name, mailbox);
            }
        };
        let id = record_id(self.at_ms, self.chance);
        let person = Person { id, name, email: format!("{mailbox}@{DOMAIN}"), role, place };
        let fields = [
            ("name", json!(format!("{} {}", person.name.first, person.name.last))),
            ("email", json!(person.email)),
            ("role", (self.role)(role).map_or(Value::Null, link)),
            ("team", team.map_or(Value::Null, link)),
            ("manager", manager.map_or(Value::Null, |manager| link(manager.id))),
            ("job_title", json!(job_title)),
            ("phones", json!([mobile(self.chance)])),
            ("created_on", json!(self.at_ms)),
        ];
        self.story.found(made("user", id, fields));
        person
    }
}
