//! Edits: what a person, or a program, wants of one record; some of several at once.

use std::collections::BTreeMap;

use cartera_server::record::write::Change as ServerChange;
use crm::Fields;
use crm::model::Model;
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldOperation, MutationKind};

use super::names::{Named, any_named};
use super::office::Staff;

/// A change of one record among those that its author sees.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which, of those that fit.
    pub record: u8,
    /// What.
    pub kind: ChangeKind,
}

/// What is changed.
#[derive(Clone, Copy, Debug)]
pub enum ChangeKind {
    /// A new account, with an owner or open.
    MakeAccount(Option<u8>),
    /// A new contact of an account.
    MakeContact,
    /// A new opportunity of an account, numbered by the server, in a team or in its account's place.
    MakeOpportunity(Option<u8>),
    /// A new activity about something.
    MakeActivity,
    /// A new lead.
    MakeLead(u8),
    /// A lead becomes an account, a contact and an opportunity: four mutations that stand or fall together.
    Convert,
    /// The record is deleted.
    Delete,
    /// A text, with spaces around it, as people type.
    Text(u8),
    /// The text is cleared.
    ClearText,
    /// A field that only an overlay brings.
    Region(u8),
    /// A field that reps do not see.
    Cost(u16),
    /// A field of class max, one of class min.
    Order(u16),
    /// A guarded field with rules: the pipeline's stage.
    Stage(u8),
    /// A guarded field.
    Status(u8),
    /// An amount that rules look at.
    Amount(u16),
    /// Another owner.
    Owner(u8),
    /// Another team.
    Team(u8),
    /// Nobody's record from now on.
    NoPlace,
    /// Shared with one more.
    Share(u8),
    /// Shared with one more team.
    ShareTeam(u8),
    /// Shared with one less.
    Unshare(u8),
    /// Shared with one, and with nobody else.
    ShareAnew(u8),
    /// A member is added to a set.
    Tag(u8),
    /// A member is removed from a set.
    Untag(u8),
    /// A set is sent as a value.
    Tags(u8),
    /// A counter is incremented.
    Visit,
    /// An entry is appended to a log.
    Log,
    /// Links to contacts.
    Contacts(u8),
    /// What is called otherwise, or is no more, when the model goes on.
    Named(Named),
    /// A value of the wrong type.
    Nonsense,
}

/// What somebody wants of one record, before it is a mutation or a server's change.
#[derive(Clone, Debug)]
pub struct Intent {
    /// What to do.
    pub kind: MutationKind,
    /// The record's entity.
    pub entity: String,
    /// The record.
    pub record: RecordId,
    /// Fields to set.
    pub set: Fields,
    /// Changes that say what to do.
    pub ops: Vec<FieldOperation>,
}

impl Intent {
    /// A new record; `set` is an object.
    #[must_use]
    pub fn create(entity: &str, record: RecordId, set: Value) -> Self {
        let mut intent = Self { kind: MutationKind::Create, ..Self::update(entity, record, set) };
        intent.set.retain(|_, value| !value.is_null());
        intent
    }

    /// A change of fields; `set` is an object.
    #[must_use]
    pub fn update(entity: &str, record: RecordId, set: Value) -> Self {
        let set: BTreeMap<String, Value> = serde_json::from_value(set).expect("an object");
        Self { kind: MutationKind::Update, entity: entity.into(), record, set, ops: vec![] }
    }

    /// A deletion.
    #[must_use]
    pub fn delete(entity: &str, record: RecordId) -> Self {
        Self { kind: MutationKind::Delete, ..Self::update(entity, record, json!({})) }
    }

    pub(super) fn operate(entity: &str, record: RecordId, operation: FieldOperation) -> Self {
        Self { ops: vec![operation], ..Self::update(entity, record, json!({})) }
    }

    pub(super) fn into_change(self) -> ServerChange {
        let Self { kind, entity, record, set, ops } = self;
        ServerChange { kind, entity, record, base: None, set, ops }
    }
}

/// Who makes a change: what she sees, and where new ids come from.
pub(super) struct Author<'a> {
    /// Records with their entities, sorted.
    pub(super) sees: Vec<(RecordId, String)>,
    /// The model that she knows.
    pub(super) model: Option<&'a Model>,
    pub(super) staff: &'a Staff,
    pub(super) new_id: &'a dyn Fn() -> RecordId,
    pub(super) now_ms: i64,
    /// Differs between any two changes of a story.
    pub(super) mark: String,
}

/// What people edit here.
pub(super) const EDITED: [&str; 5] = ["account", "contact", "opportunity", "activity", "lead"];

impl Author<'_> {
    /// What a change means among what its author sees; empty where it means nothing.
    pub(super) fn intents(&self, change: &Change) -> Vec<Intent> {
        if matches!(change.kind, ChangeKind::Convert) {
            return self.convert(change.record).unwrap_or_default();
        }
        self.intent(change).into_iter().collect()
    }

    fn nth(&self, entities: &[&str], n: u8) -> Option<(RecordId, &str)> {
        let fitting: Vec<_> = self.sees.iter().filter(|(_, entity)| entities.contains(&entity.as_str())).collect();
        fitting.get(usize::from(n) % fitting.len().max(1)).map(|(id, entity)| (*id, entity.as_str()))
    }

    fn intent(&self, change: &Change) -> Option<Intent> {
        use ChangeKind as Kind;
        let n = change.record;
        let any = || self.nth(&EDITED, n);
        let account = || self.nth(&["account"], n).map(|(id, _)| id);
        let deal = || self.nth(&["opportunity"], n).map(|(id, _)| id);
        let new = |entity, set| Some(Intent::create(entity, (self.new_id)(), set));
        let user = |n: u8| self.staff.users[usize::from(n) % self.staff.users.len()];
        let team = |n: u8| self.staff.teams[usize::from(n) % self.staff.teams.len()];
        let mark = &self.mark;
        let update = |target: Option<(RecordId, &str)>, set| target.map(|(id, entity)| Intent::update(entity, id, set));
        let tags = |n: u8| vec![json!(format!("t{n}"))];
        let tagged = |target: Option<(RecordId, &str)>, op| target.map(|(id, entity)| Intent::operate(entity, id, op));
        match change.kind {
            Kind::Convert => None,
            Kind::MakeAccount(owner) => {
                new("account", json!({"name": format!(" Account {mark}"), "owner": owner.map(user)}))
            }
            Kind::MakeContact => new("contact", json!({"last_name": format!("Contact {mark}"), "account": account()?})),
            Kind::MakeOpportunity(of) => {
                new("opportunity", json!({"name": format!("Deal {mark}"), "account": account()?, "team": of.map(team)}))
            }
            Kind::MakeActivity => {
                let (id, entity) = self.nth(&["account", "contact", "opportunity", "lead"], n)?;
                let about = json!({"entity": entity, "id": id});
                new("activity", json!({"subject": format!("Call {mark}"), "type": "call", "about": about}))
            }
            Kind::MakeLead(owner) => new("lead", json!({"last_name": format!("Lead {mark}"), "owner": user(owner)})),
            Kind::Delete => any().map(|(id, entity)| Intent::delete(entity, id)),
            Kind::Text(n) => any().map(|(id, entity)| text_of(entity, id, &json!(format!(" text {n} ")))),
            Kind::ClearText => any().map(|(id, entity)| text_of(entity, id, &Value::Null)),
            Kind::Region(n) => update(self.nth(&["account", "opportunity"], n), json!({"region": format!("r{n}")})),
            Kind::Cost(minor) => {
                let cost = json!({"cost": {"minor": minor, "currency": "eur"}});
                Some(Intent::update("opportunity", deal()?, cost))
            }
            Kind::Order(minor) => {
                Some(Intent::update("account", account()?, json!({"record_order": minor, "first_order": minor})))
            }
            Kind::Amount(minor) => {
                let amount = json!({"amount": {"minor": i64::from(minor) * 20 - 1_000, "currency": "EUR"}});
                Some(Intent::update("opportunity", deal()?, amount))
            }
            Kind::Stage(n) => Some(Intent::update("opportunity", deal()?, stage(n))),
            Kind::Status(n) => {
                let status = ["active", "inactive", "blocked"][usize::from(n) % 3];
                Some(Intent::update("account", account()?, json!({"status": status})))
            }
            Kind::Owner(n) => update(any(), json!({"owner": user(n)})),
            Kind::Team(n) => update(any(), json!({"team": team(n)})),
            Kind::NoPlace => update(any(), json!({"owner": null, "team": null, "territory": null})),
            Kind::Share(n) => {
                tagged(any(), FieldOperation::Add { field: "shared_with".into(), values: vec![json!(user(n))] })
            }
            Kind::ShareTeam(n) => {
                tagged(any(), FieldOperation::Add { field: "shared_with_teams".into(), values: vec![json!(team(n))] })
            }
            Kind::Unshare(n) => {
                tagged(any(), FieldOperation::Remove { field: "shared_with".into(), values: vec![json!(user(n))] })
            }
            Kind::ShareAnew(n) => update(any(), json!({"shared_with": [user(n)], "shared_with_teams": null})),
            Kind::Tag(n) => tagged(any(), FieldOperation::Add { field: "tags".into(), values: tags(n) }),
            Kind::Untag(n) => tagged(any(), FieldOperation::Remove { field: "tags".into(), values: tags(n) }),
            Kind::Tags(n) => update(any(), json!({"tags": ["z", " a", format!("t{n}")]})),
            Kind::Visit => {
                let visit = FieldOperation::Increment { field: "visits".into(), by: i64::from(n) + 1 };
                Some(Intent::operate("account", account()?, visit))
            }
            Kind::Log => {
                let entry = json!({"at": self.now_ms, "text": format!("entry {mark}")});
                let log = FieldOperation::Append { field: "key_dates".into(), values: vec![entry] };
                Some(Intent::operate("account", account()?, log))
            }
            Kind::Contacts(n) => {
                let (contact, _) = self.nth(&["contact"], n)?;
                Some(Intent::update("opportunity", deal()?, json!({"contacts": [contact]})))
            }
            Kind::Named(named) => named.intent(self.model?, account()?, self.now_ms, mark),
            Kind::Nonsense => update(any(), json!({"tags": 7, "no_such_field": true})),
        }
    }

    /// As the app converts a lead: what comes of it, and the lead that says so.
    fn convert(&self, n: u8) -> Option<Vec<Intent>> {
        let (lead, _) = self.nth(&["lead"], n)?;
        let [account, contact, deal] = [(); 3].map(|()| (self.new_id)());
        let mark = &self.mark;
        let links = json!({"status": "converted", "account": account, "contact": contact, "opportunity": deal});
        Some(vec![
            Intent::create("account", account, json!({"name": format!("Account {mark}")})),
            Intent::create("contact", contact, json!({"last_name": format!("Contact {mark}"), "account": account})),
            Intent::create("opportunity", deal, json!({"name": format!("Deal {mark}"), "account": account})),
            Intent::update("lead", lead, links),
        ])
    }
}

impl Intent {
    /// Its name in the tally.
    pub(super) fn name(&self) -> &'static str {
        match (self.kind, self.ops.first()) {
            (MutationKind::Create, _) => "edit: create",
            (MutationKind::Delete, _) => "edit: delete",
            (MutationKind::Update, None) => "edit: set",
            (MutationKind::Update, Some(FieldOperation::Increment { .. })) => "edit: increment",
            (MutationKind::Update, Some(FieldOperation::Add { .. })) => "edit: add to a set",
            (MutationKind::Update, Some(FieldOperation::Remove { .. })) => "edit: remove from a set",
            (MutationKind::Update, Some(FieldOperation::Append { .. })) => "edit: append",
        }
    }
}

fn text_of(entity: &str, id: RecordId, text: &Value) -> Intent {
    let field = match entity {
        "contact" => "job_title",
        "opportunity" => "next_step",
        _ => "notes",
    };
    Intent::update(entity, id, json!({ field: text }))
}

/// A stage, every other time with what it needs.
fn stage(n: u8) -> Value {
    let stages = ["prospecting", "qualification", "proposal", "negotiation", "won", "lost", "engaging"];
    let mut set = json!({"stage": stages[usize::from(n / 2) % stages.len()]});
    if n.is_multiple_of(2) {
        set["amount"] = json!({"minor": u32::from(n) * 100, "currency": "EUR"});
        set["close_date"] = json!("2027-01-31");
        set["close_reason"] = json!("price");
    }
    set
}

pub(super) fn any_change() -> impl Strategy<Value = Change> {
    // Few records, so that changes meet.
    (0..8_u8, any_kind()).prop_map(|(record, kind)| Change { record, kind })
}

fn any_kind() -> impl Strategy<Value = ChangeKind> {
    use ChangeKind as Kind;
    let making = prop_oneof![
        2 => prop::option::of(0..8_u8).prop_map(Kind::MakeAccount),
        3 => prop::option::of(0..3_u8).prop_map(Kind::MakeOpportunity),
        1 => Just(Kind::MakeContact),
        2 => Just(Kind::MakeActivity),
        1 => (0..8_u8).prop_map(Kind::MakeLead),
        1 => Just(Kind::Convert),
    ];
    let setting = prop_oneof![
        4 => (0..4_u8).prop_map(Kind::Text),
        1 => Just(Kind::ClearText),
        1 => (0..3_u8).prop_map(Kind::Region),
        2 => any::<u16>().prop_map(Kind::Cost),
        1 => any::<u16>().prop_map(Kind::Order),
        3 => (0..14_u8).prop_map(Kind::Stage),
        2 => (0..3_u8).prop_map(Kind::Status),
        1 => any::<u16>().prop_map(Kind::Amount),
        1 => (0..4_u8).prop_map(Kind::Contacts),
        6 => any_named().prop_map(Kind::Named),
        1 => Just(Kind::Nonsense),
    ];
    let moving = prop_oneof![
        5 => (0..8_u8).prop_map(Kind::Owner),
        3 => (0..3_u8).prop_map(Kind::Team),
        1 => Just(Kind::NoPlace),
        2 => (0..8_u8).prop_map(Kind::Share),
        1 => (0..3_u8).prop_map(Kind::ShareTeam),
        1 => (0..8_u8).prop_map(Kind::Unshare),
        1 => (0..8_u8).prop_map(Kind::ShareAnew),
    ];
    let operating = prop_oneof![
        2 => (0..3_u8).prop_map(Kind::Tag),
        1 => (0..3_u8).prop_map(Kind::Untag),
        1 => (0..3_u8).prop_map(Kind::Tags),
        2 => Just(Kind::Visit),
        2 => Just(Kind::Log),
    ];
    prop_oneof![8 => making, 3 => Just(Kind::Delete), 25 => setting, 12 => moving, 9 => operating]
}
