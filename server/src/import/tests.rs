//! Imports as a whole, through the same routes that commands and programs use.

mod files;
mod photos;
mod real_files;
pub(crate) mod world;
