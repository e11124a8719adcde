//! What a new model calls otherwise than the one that the device had.

use std::collections::BTreeMap;
use std::sync::Arc;

use crm::Fields;
use crm::model::{Evolution, Model};
use sync_protocol::store::{Names, Renaming};

/// From one model of a user to the next, as a device's store follows it.
#[must_use]
pub fn names(before: &Model, after: &Model) -> Names {
    let steps = Evolution::between(before, after);
    if steps.is_empty() { Names::default() } else { Names::of(Arc::new(Steps(steps))) }
}

#[derive(Debug)]
struct Steps(BTreeMap<String, Evolution>);

impl Renaming for Steps {
    fn name(&self, entity: &str, field: &str) -> Option<String> {
        match self.0.get(entity) {
            Some(step) => step.name(field).map(str::to_owned),
            None => Some(field.to_owned()),
        }
    }

    fn follow(&self, entity: &str, fields: &mut Fields) -> Fields {
        self.0.get(entity).map(|step| step.follow(fields)).unwrap_or_default()
    }
}
