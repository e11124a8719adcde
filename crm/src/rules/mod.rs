//! What a change must satisfy, what follows from it, and who may make it.
//!
//! The order of a write: [`normalise`] each value, [`fill_defaults`] when the record is new, [`derive`], then [`check`].

mod access;
mod carry;
mod check;
mod derive;
mod finding;
mod fold;
mod follow;
mod message;
mod name;
mod normalise;
mod projection;
mod title;

pub use access::{Place, SHARE_FIELDS, Viewer, reaches, sees};
pub use carry::carries;
pub use check::{Gaps, check};
pub use derive::{derive, fill_defaults};
pub use finding::{Finding, Findings};
pub use fold::fold;
pub use follow::{follow_parent, place_fields};
pub use name::{names, naming_fields, texts};
pub use normalise::normalise;
pub use projection::Projection;
pub use title::title;
