//! The tenant's model as people meet it: shown as their role sees it, and widened by overlays while the server runs.

pub mod additive;
pub mod apply;
pub mod routes;
pub mod step;

#[cfg(test)]
mod tests;
