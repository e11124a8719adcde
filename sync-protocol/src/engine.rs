//! The client engine.
