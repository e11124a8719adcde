//! The world that acceptance tests happen in: the real server in a process of its own, people who sign in, phones that
//! exchange, and the two commands.
//!
//! A story stops where its world does not answer as it should, so everything here panics with what was asked and what
//! came, at the story's own line. Whatever is started ends, and whatever is written goes, when its value is dropped.
#![expect(
    clippy::missing_panics_doc,
    reason = "the module's own text says when: everything here is a test's assertion"
)]

mod answer;
mod command;
mod company;
mod device;
mod person;
mod phone;
mod server;
pub mod simulation;
mod test_data;
mod wait;

pub use answer::Answer;
pub use command::{Ran, product, run};
pub use company::{ADMIN, Company, PASSWORD};
pub use device::Device;
pub use person::Person;
pub use phone::{Message, Phone, Pulled, new_record};
pub use server::Server;
pub use test_data::test_data;
pub use wait::wait_until;
