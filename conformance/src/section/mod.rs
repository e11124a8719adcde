//! The specification, section by section: each file is one of its headings.

mod blobs;
mod convergence;
mod cursor;
mod digests;
mod exchange;
mod hello;
mod live;
mod merge;
mod mutations;
mod operations;
mod outcomes;
mod problems;
mod snapshot;
mod transport;

use crate::check::Section;

/// In the order of the specification.
pub const ALL: &[&Section] = &[
    &transport::SECTION,
    &exchange::SECTION,
    &cursor::SECTION,
    &snapshot::SECTION,
    &operations::SECTION,
    &mutations::SECTION,
    &outcomes::SECTION,
    &merge::SECTION,
    &live::SECTION,
    &hello::SECTION,
    &blobs::SECTION,
    &digests::SECTION,
    &problems::SECTION,
    &convergence::SECTION,
];
