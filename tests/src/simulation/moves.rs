//! People, teams and territories change their places.

use proptest::prelude::*;

/// A change of who is who; numbers are places in [`super::Staff`].
#[derive(Clone, Copy, Debug)]
pub enum Move {
    /// A user joins a team, or leaves every team.
    Joins {
        /// Who.
        user: u8,
        /// Which.
        team: Option<u8>,
    },
    /// A team works in another territory.
    Works {
        /// Which team.
        team: u8,
        /// Where.
        territory: u8,
    },
    /// A team gets another manager.
    Leads {
        /// Which team.
        team: u8,
        /// Who.
        user: u8,
    },
    /// A user gets another role.
    Becomes {
        /// Who.
        user: u8,
        /// Of [`super::office::ROLES`].
        role: u8,
    },
    /// A territory comes to lie in another.
    Lies {
        /// Which.
        territory: u8,
        /// Where; nowhere: at the top.
        above: Option<u8>,
    },
    /// A user may no longer sign in, or may again.
    Signs {
        /// Who.
        user: u8,
        /// Whether she may.
        may: bool,
    },
}

impl Move {
    /// Its name in the tally.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Joins { team: Some(_), .. } => "people: joins a team",
            Self::Joins { team: None, .. } => "people: leaves a team",
            Self::Works { .. } => "people: a team works elsewhere",
            Self::Leads { .. } => "people: a team gets a manager",
            Self::Becomes { .. } => "people: gets a role",
            Self::Lies { .. } => "people: a territory moves",
            Self::Signs { may: true, .. } => "people: may sign in again",
            Self::Signs { may: false, .. } => "people: may not sign in",
        }
    }
}

pub(super) fn any_move() -> impl Strategy<Value = Move> {
    // The last user is the administrator, who stays what she is.
    prop_oneof![
        4 => (0..7_u8, prop::option::weighted(0.8, 0..3_u8)).prop_map(|(user, team)| Move::Joins { user, team }),
        2 => (0..3_u8, 0..3_u8).prop_map(|(team, territory)| Move::Works { team, territory }),
        2 => (0..3_u8, 0..8_u8).prop_map(|(team, user)| Move::Leads { team, user }),
        2 => (0..7_u8, 0..3_u8).prop_map(|(user, role)| Move::Becomes { user, role }),
        1 => (1..3_u8, prop::option::of(Just(0_u8))).prop_map(|(territory, above)| Move::Lies { territory, above }),
        1 => (0..7_u8, any::<bool>()).prop_map(|(user, may)| Move::Signs { user, may }),
    ]
}
