//! The client as its users meet it: its library, its file and its commands, without a network.

mod commands;
mod offline_edits;
mod over_http;
mod storage_equals_memory;
mod support;
mod typed_values;
