//! The expression language: what it accepts, and that memory and SQLite agree on every value and every error.

mod agreement;
mod compiling;
mod fixture;
mod refusals;
mod snapshots;
mod sqlite;
mod vectors;
