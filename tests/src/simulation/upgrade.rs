//! The model changes while its clients are in the field.

use crm::Fields;
use crm::model::Entity;
use proptest::prelude::*;

use super::names::NAMES;

/// An overlay, laid or replaced: its name and how far it goes. The server refuses one that would take something away
/// without saying so.
#[derive(Clone, Copy, Debug)]
pub enum Upgrade {
    /// More fields.
    Fields(u8),
    /// Stricter and laxer rules, also of what devices carry.
    Rules(u8),
    /// What roles may see and do.
    Rights(u8),
    /// Fields and options are called otherwise, or are no more.
    Names(u8),
}

const FIELDS: [&str; 3] = [
    "
entity: account
fields:
  region: {type: text, search: true, labels: {es: Ruta, en: Route}}
",
    "
entity: account
fields:
  region: {type: text, search: true, labels: {es: Ruta, en: Route}}
  secret: {type: text, level: 1, labels: {es: Secreto, en: Secret}}
",
    "
entity: account
fields:
  region: {type: text, search: true, labels: {es: Ruta, en: Route}}
  secret: {type: text, level: 1, labels: {es: Secreto, en: Secret}}
---
entity: opportunity
fields:
  region: {type: text, search: true, labels: {es: Ruta, en: Route}}
pipelines:
  sales:
    - {key: engaging, kind: open, probability: 30, category: pipeline, after: prospecting, labels: {es: En conversación, en: Engaging}}
",
];

const RULES: [&str; 3] = [
    "
entity: opportunity
rules:
  - id: small_deals
    valid_if: \"amount <= 600000\"
    message: {es: Demasiado grande., en: Too large.}
---
entity: account
sync: {where: \"notes == null\"}
",
    "
entity: opportunity
rules:
  - id: small_deals
    valid_if: \"amount <= 3000\"
    message: {es: Demasiado grande., en: Too large.}
sync: {where: \"next_step == null && (close_date == null || close_date > today + 65)\"}
---
entity: account
fields:
  notes: {required_if: \"status == 'blocked'\"}
",
    "
entity: account
fields:
  website: {merge: guarded}
",
];

const RIGHTS: [&str; 4] = [
    "
entity: account
permissions:
  sales_rep: {create: true, read: team, update: own}
",
    "
entity: account
permissions:
  sales_rep: {create: true, read: own, update: own}
---
entity: opportunity
permissions:
  sales_rep: {create: false, read: own, update: own}
  sales_manager: {create: true, read: team, update: team, levels: [0, 1]}
",
    "
entity: opportunity
permissions:
  sales_manager: {create: true, read: territory, update: team, delete: team, levels: [0]}
---
entity: activity
permissions:
  sales_rep: {read: none}
",
    "
entity: account
permissions:
  sales_rep: {create: true, read: team, update: own, fields: [name, status, owner, team, territory, tags, visits]}
",
];

impl Upgrade {
    /// The overlay's name and text.
    #[must_use]
    pub fn layer(self) -> (&'static str, &'static str) {
        let nth = |texts: &[&'static str], n: u8| texts[usize::from(n) % texts.len()];
        match self {
            Self::Fields(n) => ("fields", nth(&FIELDS, n)),
            Self::Rules(n) => ("rules", nth(&RULES, n)),
            Self::Rights(n) => ("rights", nth(&RIGHTS, n)),
            Self::Names(n) => ("names", nth(&NAMES, n)),
        }
    }

    /// Its name in the tally.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fields(_) => "model: more fields",
            Self::Rules(_) => "model: other rules",
            Self::Rights(_) => "model: other rights of a role",
            Self::Names(1) => "model: fields and options are called otherwise",
            Self::Names(_) => "model: fields and options are no more",
        }
    }
}

/// What the sync rules above say of a record, read by people.
pub(super) fn devices_carry(entity: &Entity, fields: &Fields, today: i64) -> bool {
    /// The only day that anybody closes a deal on here, 2027-01-31.
    const CLOSE_DAY: i64 = 20_849;
    match (entity.name.as_str(), &entity.sync.condition) {
        (_, None) => true,
        ("account", Some(_)) => !fields.contains_key("notes"),
        ("opportunity", Some(_)) => {
            let is_near = fields.contains_key("close_date") && CLOSE_DAY <= today + 65;
            !fields.contains_key("next_step") && !is_near
        }
        (other, Some(_)) => panic!("no overlay gives {other} a sync rule"),
    }
}

pub(super) fn any_upgrade() -> impl Strategy<Value = Upgrade> {
    prop_oneof![
        (0..3_u8).prop_map(Upgrade::Fields),
        (0..3_u8).prop_map(Upgrade::Rules),
        (0..4_u8).prop_map(Upgrade::Rights),
        (1..3_u8).prop_map(Upgrade::Names),
    ]
}
