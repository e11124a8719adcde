//! Mistakes made on purpose, to show that the simulation would notice them.
//!
//! Each stands as one line where it would be made. Without the feature `seeded-faults` the question whether it is made
//! is the constant `false`, and nothing of it is compiled. Only the test `mutants` of the package `cartera-tests` turns
//! the feature on, in a build of that package alone: no binary is made with it.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A record leaves a scope, and no entry says so.
    SkipExit,
    /// A push is answered before its commit.
    AnswerBeforeCommit,
    /// A page is full in the middle of a new scope's records, and the rest of them is forgotten.
    DropBackfillMark,
    /// Whoever changes a field is taken to have known its last value.
    TakeEveryBaseForKnown,
    /// A mutation takes effect, and its outcome is not stored.
    LoseOutcome,
    /// A mutation that was decided is decided again when it comes again.
    DecideAgain,
    /// Fields that the role does not see go out with the others.
    ShowHiddenFields,
    /// What a group could do stays done although the rest was refused.
    ApplyGroupInPart,
    /// A device keeps the records of a scope that its user holds no longer.
    KeepDroppedScope,
    /// A device forgets the pages of a run that came before the last one.
    ForgetStagedPages,
    /// A chunk goes out although a record in it was deleted or left the scope.
    ReuseStaleChunk,
    /// A device does not lay its own change over its base when the server has made it.
    SkipOwnChange,
    /// A device takes a new model, and what waits in its outbox goes on calling fields as the former one did.
    KeepFormerNames,
    /// The server takes what a device calls as a former model did for what the present one calls so.
    ForgetFormerNames,
}

#[cfg(feature = "seeded-faults")]
pub use seeded::{is_seeded, seed};

/// Whether the mistake is made.
#[cfg(not(feature = "seeded-faults"))]
#[must_use]
pub const fn is_seeded(_fault: Fault) -> bool {
    false
}

#[cfg(feature = "seeded-faults")]
mod seeded {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static SEEDED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Whether the mistake is made on this thread.
    #[must_use]
    pub fn is_seeded(fault: Fault) -> bool {
        SEEDED.get() == Some(fault)
    }

    /// From now on this mistake is made on this thread, or none.
    pub fn seed(fault: Option<Fault>) {
        SEEDED.set(fault);
    }
}
