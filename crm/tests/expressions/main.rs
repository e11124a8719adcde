//! The expression language: what it accepts, and that memory and SQLite agree on every value and every error.

mod fixture;
mod refusals;
mod sqlite;
mod vectors;
