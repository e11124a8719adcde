use serde::{Deserialize, Serialize};

use crate::id::Sequence;
use crate::wire::Mutation;

/// A journal has at most this many entries.
pub const JOURNAL_LENGTH: usize = 10_000;
/// And none that was answered longer ago than this, by the server's clock.
pub const JOURNAL_DAYS: i64 = 90;

/// A mutation that has its outcome: to be offered again if the server is restored from a backup that does not know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Journaled {
    /// The mutation as it was sent.
    pub mutation: Mutation,
    /// Nothing was done: nothing may be done when it is offered again.
    pub rejected: bool,
    /// The tenant's last sequence when the outcome came: a backup that reaches up to here has it.
    pub head: Sequence,
    /// When the outcome came, by the server's clock.
    pub at_ms: i64,
}

impl Journaled {
    /// What to offer: the same, or in the place of a rejected one a void one, which keeps the numbers whole.
    #[must_use]
    pub fn offer(self) -> Mutation {
        if self.rejected { Mutation::void(self.mutation.id) } else { self.mutation }
    }
}
