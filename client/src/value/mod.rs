//! What a person types and reads in a terminal, and the JSON that a record holds.

mod calendar;
mod format;
mod list;
mod money;
mod number;
mod read;

use crm::model::Label;
use serde_json::Value;
use sync_protocol::id::RecordId;

pub use calendar::show_datetime;
pub use format::{Titles, show, show_sum};
pub use read::{Surroundings, read};

/// Why a text is no value of its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub Label);

/// Where names that a person types become the records that she means.
pub trait LinkTargets {
    /// The records of `entity` whose title equals `name`, case and accents aside; where there is none, those that have it
    /// in a field that names records (`crm::rules::naming_fields`), such as a user's e-mail address.
    fn named(&self, entity: &str, name: &str) -> Vec<RecordId>;

    /// The entity of the record, when the device has it.
    fn entity_of(&self, id: RecordId) -> Option<String>;
}

/// A value, or why there is none.
type Reading = Result<Value, Unreadable>;
