//! Imports as a whole, on the real files, through the same routes that commands and programs use.

mod crm_sales;
mod files;
mod vcards;
pub(crate) mod world;
