//! Which column goes where: what the sender says, and what the model's names, labels and aliases say by themselves.

mod file;
mod resolve;
mod target;

pub use file::{Mapping, MissingPolicies, OneOrMany, Policy};
pub use resolve::{ColumnPlan, Layout, MappingError, MappingProblem};
pub use target::{Goal, Target, field_names};

#[cfg(test)]
mod tests;
