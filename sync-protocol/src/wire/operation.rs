use serde::{Deserialize, Serialize};

use super::Fields;
use crate::id::{RecordId, ScopeId, Sequence};

/// One thing that a device is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Operation {
    /// The record as it is now, in as far as the user may see it.
    Put {
        /// Its entity.
        entity: String,
        /// Its id.
        id: RecordId,
        /// Its sequence: the `base` of the next mutation.
        seq: Sequence,
        /// Every scope that the user holds and the record stands in; replaces what the device knew.
        scopes: Vec<ScopeId>,
        /// Absent: `set` is the whole record and replaces it. Present: `set` has only the fields that changed after
        /// the device's cursor and that the device did not write itself, `null` where one was cleared.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
        /// The fields.
        set: Fields,
    },
    /// The record is gone for everybody; its author is told like everybody else.
    Delete {
        /// Its id.
        id: RecordId,
        /// The sequence of the deletion.
        seq: Sequence,
    },
    /// The record left every scope that the user holds; it lives on for others.
    Exit {
        /// Its id.
        id: RecordId,
        /// The sequence at which it left.
        seq: Sequence,
    },
    /// The user holds a scope that the device did not have; its records follow as `put`.
    ScopeAdd {
        /// The scope.
        scope: ScopeId,
    },
    /// The user holds a scope no longer: what stands in no other held scope leaves the device.
    ScopeDrop {
        /// The scope.
        scope: ScopeId,
    },
    /// The device's own write, already in its base through its outcome, is the record's last change: only the
    /// sequence is news.
    Acknowledged {
        /// The record.
        id: RecordId,
        /// Its sequence.
        seq: Sequence,
        /// As in `put`.
        scopes: Vec<ScopeId>,
    },
}
