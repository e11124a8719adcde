use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The host carries out the oldest effect that waits, or the network the oldest message.
    Run,
    /// The same, several times.
    RunOn(u8),
    /// The person changes something on the device.
    Edit(Change),
    /// The person changes two things in one go.
    EditTogether(Change, Change),
    /// Somebody else changes something on the server.
    Foreign(Change),
    /// The user holds a scope, or not.
    Grant(u8, bool),
    /// The message on its way is lost.
    Lose,
    /// The request on its way arrives now, and once more later.
    Duplicate,
    /// A request that was duplicated arrives.
    LateArrival,
    /// The storage refuses the next commit.
    FailCommit,
    /// The device dies and starts again from what it has stored.
    Crash,
    /// The server seals its cursors with another key: it refuses those that it gave out.
    Rekey,
    /// The server defers what it is asked next.
    Defer,
    /// Time passes.
    Wait(u16),
    /// The person asks for an exchange.
    Sync,
    /// Something but the engine changes a record in the device's store.
    Damage(u8, Damage),
    /// A backup of the server is made.
    Backup,
    /// The server is restored from it.
    Restore,
    /// The server forgets what left.
    Compact,
    /// The network comes or goes.
    Network(bool),
    /// Something comes to pass on the live stream.
    Live(LiveStep),
}

/// What comes to pass on the live stream; its events go their own way, beside the exchange.
#[derive(Clone, Copy, Debug)]
pub enum LiveStep {
    /// The device connects, with the cursor that it has stored.
    Connect,
    /// The server tells what is new: as a delta where it may, or only that there is something.
    Tell { inline: bool },
    /// One of the events on their way arrives, not necessarily the first.
    Arrive(u8),
    /// The same, and it will arrive once more.
    ArriveTwice(u8),
    /// One of them is lost.
    Lose(u8),
}

/// What can happen to a stored record.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    /// It is gone.
    Loses,
    /// It has an earlier sequence.
    Ages(u8),
    /// It stands in another scope.
    Strays(u8),
    /// Its fields are others.
    Forgets,
}

/// A change of one record.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Which record, of those that there are.
    pub record: u8,
    pub kind: ChangeKind,
}

#[derive(Clone, Copy, Debug)]
pub enum ChangeKind {
    Create { place: u8 },
    Delete,
    Name(u8),
    ClearName,
    Stage(u8),
    Top(u8),
    Place(u8),
    Visit,
    Tag(u8),
    Untag(u8),
    Journal,
}

/// Steps of a world in which stores are damaged, servers restored and what left is forgotten.
pub fn rough_steps() -> impl Strategy<Value = Step> {
    let damage = prop_oneof![
        Just(Damage::Loses),
        (0_u8..3).prop_map(Damage::Ages),
        (1_u8..5).prop_map(Damage::Strays),
        Just(Damage::Forgets),
    ];
    prop_oneof![
        40 => steps(),
        2 => (any::<u8>(), damage).prop_map(|(record, damage)| Step::Damage(record, damage)),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
        1 => Just(Step::Compact),
    ]
}

pub fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => Just(Step::Run),
        8 => (1_u8..12).prop_map(Step::RunOn),
        8 => changes().prop_map(Step::Edit),
        1 => (changes(), changes()).prop_map(|(one, other)| Step::EditTogether(one, other)),
        8 => changes().prop_map(Step::Foreign),
        1 => (1_u8..4, any::<bool>()).prop_map(|(scope, held)| Step::Grant(scope, held)),
        2 => Just(Step::Lose),
        1 => Just(Step::Duplicate),
        1 => Just(Step::LateArrival),
        1 => Just(Step::FailCommit),
        2 => Just(Step::Crash),
        1 => Just(Step::Rekey),
        1 => Just(Step::Defer),
        2 => (1_u16..5_000).prop_map(Step::Wait),
        1 => Just(Step::Sync),
        1 => any::<bool>().prop_map(Step::Network),
        14 => live_steps().prop_map(Step::Live),
    ]
}

fn live_steps() -> impl Strategy<Value = LiveStep> {
    prop_oneof![
        2 => Just(LiveStep::Connect),
        6 => Just(LiveStep::Tell { inline: true }),
        1 => Just(LiveStep::Tell { inline: false }),
        4 => Just(LiveStep::Arrive(0)),
        2 => any::<u8>().prop_map(LiveStep::Arrive),
        1 => any::<u8>().prop_map(LiveStep::ArriveTwice),
        1 => any::<u8>().prop_map(LiveStep::Lose),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let kind = prop_oneof![
        3 => (1_u8..4).prop_map(|place| ChangeKind::Create { place }),
        1 => Just(ChangeKind::Delete),
        4 => (0_u8..5).prop_map(ChangeKind::Name),
        1 => Just(ChangeKind::ClearName),
        2 => (0_u8..4).prop_map(ChangeKind::Stage),
        2 => (0_u8..9).prop_map(ChangeKind::Top),
        2 => (1_u8..4).prop_map(ChangeKind::Place),
        2 => Just(ChangeKind::Visit),
        2 => (0_u8..4).prop_map(ChangeKind::Tag),
        1 => (0_u8..4).prop_map(ChangeKind::Untag),
        3 => Just(ChangeKind::Journal),
    ];
    (any::<u8>(), kind).prop_map(|(record, kind)| Change { record, kind })
}
