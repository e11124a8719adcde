//! The simulation: up to twenty devices of several people against the real server, one clock, a network that loses,
//! cuts, repeats and delays, devices and servers that die at every moment, people who move and rights that change.
//!
//! A seed is a [`Story`], a story always goes the same way: one thing happens after the other, each request is answered
//! before the next step, time and randomness come from the seed. The server is the real one with its router, handed the
//! bytes of each request in the process, on a SQLite file of its own; the devices are the protocol's engine over its
//! store in memory, some of them also over the file of the native client.
//!
//! | module | knows |
//! |---|---|
//! | [`story`] | what can happen, and the story of a seed |
//! | `change`, `names`, `moves`, `upgrade`, `fault` | one kind of thing that can happen each |
//! | `office` | the server, who works there, its crashes |
//! | `device` | a device: engine, store, what its person was told |
//! | `world` | everything under one roof: carries out what engines ask for |
//! | `step` | the playing of a story's steps |
//! | `line`, `fetch` | an exchange on its way there and back; a manifest and its chunks |
//! | `mend` | backups and the way back to them, what the server forgets, how devices compare |
//! | `live` | what a device hears while it is connected |
//! | `oracle` | who may see what, worked out from the tables without the server's code |
//! | `check` | what must hold: at each answer, at each checkpoint, in the end |
//! | `tally` | what happened how often |
//! | [`seeds`] | many stories on all cores; a failed one is cut short and told |
//!
//! What is new in the product gets here by a variant of [`story::Step`] (or of one of its parts) with its arm in
//! `step`, and a line in `tally` without which the run fails: what never happened proves nothing.

mod change;
mod check;
mod device;
mod fault;
mod fetch;
mod line;
mod live;
mod mend;
mod moves;
mod names;
mod office;
mod oracle;
pub mod seeds;
mod step;
pub mod story;
mod tally;
mod upgrade;
mod world;

pub use change::{Change, ChangeKind, Intent};
pub use device::Device;
pub use fault::{Death, Fault, Moment};
pub use live::Arrival;
pub use moves::Move;
pub use names::Named;
pub use office::{Held, Office, Staff};
pub use seeds::{Failure, Report, Seeds};
pub use story::{Carrier, Step, Story};
pub use tally::Tally;
pub use upgrade::Upgrade;
pub use world::World;
