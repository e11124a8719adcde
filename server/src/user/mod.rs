//! Users: who works here, in which team and territory, and what that lets them do.

pub mod directory;
pub mod rights;
