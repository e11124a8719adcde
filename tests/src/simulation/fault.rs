//! What goes wrong on the way, and with whoever stands at its ends.

use proptest::prelude::*;

/// What goes wrong with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request does not reach the server.
    RequestLost,
    /// So many thousandths of it do.
    RequestCut(u16),
    /// The server does what it is asked, and nobody hears.
    AnswerLost,
    /// So many thousandths of the answer arrive.
    AnswerCut(u16),
    /// The request reaches the server twice; the device hears the second answer.
    Twice,
    /// The device gives up waiting, and the request reaches the server when [`super::Step::Arrive`] says.
    Late,
    /// Something before the server says that it is busy.
    Busy,
    /// The server dies.
    Dies(Death),
}

/// When a server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It has the request, and nothing of it is on the disk.
    BeforeCommit,
    /// All of it is on the disk, and nobody has heard.
    AfterCommit,
    /// The answer is on its way.
    AfterAnswer,
}

/// When a device dies: around the next effect that its engine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It is not carried out.
    BeforeEffect,
    /// It is, and the engine never hears.
    AfterEffect,
}

impl Fault {
    /// Its name in the tally.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestLost => "network: request lost",
            Self::RequestCut(_) => "network: request cut",
            Self::AnswerLost => "network: answer lost",
            Self::AnswerCut(_) => "network: answer cut",
            Self::Twice => "network: request twice",
            Self::Late => "network: request late",
            Self::Busy => "network: busy",
            Self::Dies(Death::BeforeCommit) => "server: dies before the commit",
            Self::Dies(Death::AfterCommit) => "server: dies after the commit",
            Self::Dies(Death::AfterAnswer) => "server: dies after its answer",
        }
    }
}

/// Any fault.
pub(super) fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::AnswerLost),
        2 => (0..1_000_u16).prop_map(Fault::AnswerCut),
        2 => Just(Fault::RequestLost),
        2 => (0..1_000_u16).prop_map(Fault::RequestCut),
        2 => Just(Fault::Twice),
        2 => Just(Fault::Late),
        1 => Just(Fault::Busy),
        1 => Just(Fault::Dies(Death::BeforeCommit)),
        1 => Just(Fault::Dies(Death::AfterCommit)),
        2 => Just(Fault::Dies(Death::AfterAnswer)),
    ]
}

pub(super) fn any_moment() -> impl Strategy<Value = Moment> {
    prop_oneof![Just(Moment::BeforeEffect), Just(Moment::AfterEffect)]
}
