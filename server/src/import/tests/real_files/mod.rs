//! On real files, which lie outside of the repository.

mod crm_sales;
mod vcards;
