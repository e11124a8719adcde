//! What a change must satisfy, what follows from it, and who may make it.
