//! The tenant's own row, its model's layers, and what an empty database starts with.
