//! How two changes of one field meet.
//!
//! Pure decisions over JSON values. A change of a field is **clean** when the device that sends it knew the field's
//! last change, or made it itself ([`is_clean`]); a clean change stands, whatever the class. Otherwise the class
//! decides. Nothing is ever dropped in silence: an incoming value is taken, combined, found there already, or the
//! decision says that it lost, and the server keeps it in the record's history and tells the device.

mod operation;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use operation::{OperationError, apply_operation};

use crate::fault::{Fault, is_seeded};
use crate::id::Sequence;

/// How two changes of a field meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The value that stands on the server wins over one made without knowledge of it. The person whose value lost is
    /// told, finds it in the record's history, and can set it again knowingly.
    #[default]
    Lww,
    /// Members are added and removed by operations, which always combine; the whole set, when it is sent as a value,
    /// meets as [`Class::Lww`].
    Set,
    /// Entries are appended and never removed.
    Append,
    /// Increments add up; a value sent instead of an increment meets as [`Class::Lww`].
    Counter,
    /// The larger stands.
    Max,
    /// The smaller stands.
    Min,
    /// Computed from other fields: nobody sends it.
    Derived,
    /// Only the server writes it.
    Server,
    /// Compare and set: a change made without knowledge of the last one is a conflict, and its whole mutation is
    /// rejected.
    Guarded,
}

/// What becomes of a value that a mutation sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The incoming value stands.
    Take,
    /// The field holds the incoming value already.
    Same,
    /// The current value stands; the incoming one is lost and goes to the history.
    Keep,
    /// Neither stands as it is, this does, and both are in it.
    Combine(Value),
    /// The mutation is rejected with `conflict`.
    Conflict,
    /// Nobody but the server writes this field: the mutation is rejected with `forbidden`.
    Refuse,
}

impl Decision {
    /// Whether the incoming value is nowhere in what stands afterwards: it belongs in the history, and in what the
    /// device is told.
    #[must_use]
    pub fn loses(&self) -> bool {
        matches!(self, Self::Keep | Self::Conflict | Self::Refuse)
    }

    /// What the field holds afterwards; `Null` where it is empty.
    #[must_use]
    pub fn standing(&self, current: Option<&Value>, incoming: &Value) -> Value {
        match self {
            Self::Take => incoming.clone(),
            Self::Combine(value) => value.clone(),
            Self::Same | Self::Keep | Self::Conflict | Self::Refuse => current.cloned().unwrap_or(Value::Null),
        }
    }
}

/// Whether a change made on `base` knew the field's last change, which has the sequence `changed`.
///
/// What a device wrote itself is never a conflict to its later writes.
#[must_use]
pub fn is_clean(changed: Sequence, changed_by_same_device: bool, base: Sequence) -> bool {
    changed <= base || changed_by_same_device || is_seeded(Fault::TakeEveryBaseForKnown)
}

/// Decides what becomes of `incoming` (`Null` clears the field) in a field that holds `current`.
#[must_use]
pub fn merge_set(class: Class, current: Option<&Value>, incoming: &Value, clean: bool) -> Decision {
    let current = current.unwrap_or(&Value::Null);
    match class {
        Class::Derived | Class::Server => Decision::Refuse,
        _ if current == incoming => Decision::Same,
        Class::Append => append_missing(current, incoming),
        _ if clean => Decision::Take,
        Class::Lww | Class::Set | Class::Counter => Decision::Keep,
        Class::Max => take_if(current, incoming, Ordering::Greater),
        Class::Min => take_if(current, incoming, Ordering::Less),
        Class::Guarded => Decision::Conflict,
    }
}

/// Takes the incoming value into an empty field, or when it compares to the current one as `wanted`.
fn take_if(current: &Value, incoming: &Value, wanted: Ordering) -> Decision {
    if current.is_null() || compare(incoming, current) == Some(wanted) { Decision::Take } else { Decision::Keep }
}

/// Two values of one field: numbers, texts (dates among them), booleans, or amounts of one currency.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(a.as_i64()?.cmp(&b.as_i64()?)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Object(a), Value::Object(b)) if a.get("currency")? == b.get("currency")? => {
            compare(a.get("minor")?, b.get("minor")?)
        }
        _ => None,
    }
}

/// The current entries, then those of the incoming log that are not among them; each entry counts once per occurrence.
fn append_missing(current: &Value, incoming: &Value) -> Decision {
    let (Value::Array(current), Value::Array(incoming)) = (current, incoming) else {
        return if current.is_null() { Decision::Take } else { Decision::Keep };
    };
    let mut unmatched: Vec<&Value> = current.iter().collect();
    let mut combined = current.clone();
    for entry in incoming {
        match unmatched.iter().position(|known| *known == entry) {
            Some(index) => {
                unmatched.remove(index);
            }
            None => combined.push(entry.clone()),
        }
    }
    if combined == *incoming {
        Decision::Take
    } else if combined.len() == current.len() {
        Decision::Keep
    } else {
        Decision::Combine(Value::Array(combined))
    }
}
