use std::fmt::Display;

use crate::world::World;

/// One sentence of the specification, and how to see whether a server keeps it.
pub struct Check {
    /// Kebab-case and stable: scripts name checks by it.
    pub name: &'static str,
    /// What the specification says, in few words.
    pub says: &'static str,
    /// Looks.
    pub run: fn(&mut World) -> Seen,
}

/// Some sentences of one section of the specification.
pub struct Section {
    /// The section's heading.
    pub name: &'static str,
    /// In the order in which they are looked at.
    pub checks: &'static [Check],
}

/// What was seen of a sentence that holds, or why it does not.
pub type Seen = Result<String, Unmet>;

/// Why a sentence was not seen to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The server does otherwise.
    Broken(String),
    /// It could not be looked at here.
    Unchecked(String),
}

/// Says that something was seen which the specification does not allow.
pub fn broken<T>(seen: impl Display) -> Result<T, Unmet> {
    Err(Unmet::Broken(seen.to_string()))
}

/// Goes on only where `holds`; `seen` says what was seen instead.
pub fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Result<(), Unmet> {
    if holds { Ok(()) } else { Err(Unmet::Broken(seen())) }
}
