//! What every slice stands on, as callers meet it: who may come in, how the server starts and stops, its command.

mod backpressure;
mod command;
mod devices;
mod entitlement;
mod first_administrator;
mod limits;
mod listeners;
mod listening;
mod live;
mod modules;
mod passwords;
mod push_receiver;
mod read_only;
mod routes;
mod routes_are_described;
mod routes_need_credentials;
mod sessions;
mod shutdown;
mod support;
mod sync_rules;
mod telemetry;
mod tenancy;
mod users;
mod wake;
