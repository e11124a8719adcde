//! The specification, section by section: each file is one of its headings.

mod blobs;
mod convergence;
mod cursor;
mod digests;
mod epochs;
mod exchange;
mod hello;
mod live;
mod merge;
mod model;
mod mutations;
mod operations;
mod outcomes;
mod problems;
mod snapshot;
mod transport;
mod wake;

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
    &model::SECTION,
    &live::SECTION,
    &wake::SECTION,
    &hello::SECTION,
    &blobs::SECTION,
    &digests::SECTION,
    &epochs::SECTION,
    &problems::SECTION,
    &convergence::SECTION,
];
