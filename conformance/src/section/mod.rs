//! The specification, section by section: each file is one of its headings.

mod blobs;
mod convergence;
mod cursor;
mod exchange;
mod merge;
mod mutations;
mod operations;
mod outcomes;
mod problems;
mod transport;

use crate::check::Section;

/// In the order of the specification.
pub const ALL: &[&Section] = &[
    &transport::SECTION,
    &exchange::SECTION,
    &cursor::SECTION,
    &operations::SECTION,
    &mutations::SECTION,
    &outcomes::SECTION,
    &merge::SECTION,
    &blobs::SECTION,
    &problems::SECTION,
    &convergence::SECTION,
];
