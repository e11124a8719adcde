//! From rows to changes, without a database: what a row says, which records it names, and what differs from what is
//! stored.
//!
//! A row becomes a [`Draft`]: a record with the records that it links to, as far as the row speaks of them. Resolving
//! the draft against an [`Index`] of what is stored gives each of them an id, an old or a new one; comparing it with
//! what is stored gives the changes.

mod changes;
mod draft;
mod index;
mod oddity;
mod problem;
mod resolve;

pub use changes::{Compared, compare};
pub use draft::{Draft, Drafting};
pub use index::{Found, Index};
pub use problem::{RowProblem, Severity};
pub use resolve::{Deferred, Node, Resolved, Resolver};
