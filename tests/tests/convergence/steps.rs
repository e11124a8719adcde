use proptest::prelude::*;

use crate::phone::Fault;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A person changes something on a device.
    Edit { phone: u8, change: Change },
    /// A person changes several things in one go.
    EditTogether { phone: u8, changes: Vec<Change> },
    /// Somebody changes something on the server itself.
    Elsewhere(Change),
    /// The same, many at once, as an import does.
    Together(Vec<Change>),
    /// People and teams change their places.
    Move(Move),
    /// A device exchanges a few times, with pages of so many bytes at the most.
    Sync { phone: u8, exchanges: u8, page: u16, fault: Fault },
    /// Two devices exchange at the same time, and somebody changes something on the server.
    AtOnce { phones: (u8, u8), page: u16, change: Change },
    /// A device forgets what it had not stored.
    Crash(u8),
    /// The server stops and starts again.
    RestartServer,
}

/// A change of one record among those that there are.
#[derive(Clone, Debug)]
pub struct Change {
    pub record: u8,
    pub kind: ChangeKind,
}

#[derive(Clone, Debug)]
pub enum ChangeKind {
    MakeAccount {
        owner: Option<u8>,
    },
    MakeOpportunity {
        team: Option<u8>,
    },
    MakeActivity,
    Delete,
    /// With spaces around it, as people type.
    Text(u8),
    ClearText,
    Cost(u16),
    Stage(u8),
    Owner(u8),
    Team(u8),
    NoPlace,
    Tag(u8),
    Untag(u8),
    Tags(u8),
    Log,
    Contacts(u8),
}

/// A change of who is who.
#[derive(Clone, Copy, Debug)]
pub enum Move {
    /// A user joins a team.
    Joins { user: u8, team: u8 },
    /// A team works in another territory.
    Works { team: u8, territory: u8 },
    /// A team gets another manager.
    Leads { team: u8, user: u8 },
    /// A user gets another role.
    Becomes { user: u8, role: u8 },
    /// A territory comes to lie in another.
    Lies { territory: u8, above: Option<u8> },
}

pub fn story(length: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..length)
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        6 => Just(Fault::None),
        2 => Just(Fault::LosesRequest),
        3 => Just(Fault::LosesAnswer),
    ];
    prop_oneof![
        12 => (any::<u8>(), change()).prop_map(|(phone, change)| Step::Edit { phone, change }),
        2 => (any::<u8>(), prop::collection::vec(change(), 2..4))
            .prop_map(|(phone, changes)| Step::EditTogether { phone, changes }),
        5 => change().prop_map(Step::Elsewhere),
        1 => prop::collection::vec(change(), 2..8).prop_map(Step::Together),
        2 => moved().prop_map(Step::Move),
        12 => (any::<u8>(), prop_oneof![1..4_u8, Just(60_u8)], page(), fault)
            .prop_map(|(phone, exchanges, page, fault)| Step::Sync { phone, exchanges, page, fault }),
        2 => (any::<(u8, u8)>(), page(), change())
            .prop_map(|(phones, page, change)| Step::AtOnce { phones, page, change }),
        1 => any::<u8>().prop_map(Step::Crash),
        1 => Just(Step::RestartServer),
    ]
}

fn page() -> impl Strategy<Value = u16> {
    prop_oneof![Just(1_u16), 200..3_000_u16, Just(u16::MAX)]
}

fn change() -> impl Strategy<Value = Change> {
    // Few records, so that changes meet.
    (0..12_u8, kind()).prop_map(|(record, kind)| Change { record, kind })
}

fn kind() -> impl Strategy<Value = ChangeKind> {
    use ChangeKind::{
        ClearText, Contacts, Cost, Delete, Log, MakeAccount, MakeActivity, MakeOpportunity, NoPlace, Owner, Stage, Tag,
        Tags, Team, Text, Untag,
    };
    prop_oneof![
        2 => prop::option::of(0..5_u8).prop_map(|owner| MakeAccount { owner }),
        3 => prop::option::of(0..3_u8).prop_map(|team| MakeOpportunity { team }),
        2 => Just(MakeActivity),
        3 => Just(Delete),
        4 => (0..4_u8).prop_map(Text),
        1 => Just(ClearText),
        1 => any::<u16>().prop_map(Cost),
        3 => (0..6_u8).prop_map(Stage),
        5 => (0..5_u8).prop_map(Owner),
        3 => (0..3_u8).prop_map(Team),
        1 => Just(NoPlace),
        2 => (0..3_u8).prop_map(Tag),
        1 => (0..3_u8).prop_map(Untag),
        1 => (0..3_u8).prop_map(Tags),
        2 => Just(Log),
        1 => (0..4_u8).prop_map(Contacts),
    ]
}

fn moved() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (0..4_u8, 0..3_u8).prop_map(|(user, team)| Move::Joins { user, team }),
        1 => (0..3_u8, 0..3_u8).prop_map(|(team, territory)| Move::Works { team, territory }),
        1 => (0..3_u8, 0..5_u8).prop_map(|(team, user)| Move::Leads { team, user }),
        1 => (0..4_u8, 0..3_u8).prop_map(|(user, role)| Move::Becomes { user, role }),
        1 => (1..3_u8, prop::option::of(Just(0_u8))).prop_map(|(territory, above)| Move::Lies { territory, above }),
    ]
}
