//! Users: who works here, in which team and territory, and what that lets them do.

mod add;
pub mod directory;
mod list;
mod me;
mod password;
pub mod rights;
pub mod routes;
mod session;
