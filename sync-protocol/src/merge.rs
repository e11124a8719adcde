//! How two changes of one field meet.
