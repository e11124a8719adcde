//! Opaque, authenticated positions.
