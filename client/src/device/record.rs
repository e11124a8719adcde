use std::collections::BTreeSet;

use crm::Fields;
use serde::Serialize;
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::store::View;

/// A record as the person sees it: what the server last said, with what was done here laid over it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Its entity.
    pub entity: String,
    /// Its sequence; 0 for one that the server has not answered about yet.
    pub seq: Sequence,
    /// What people call it.
    pub title: String,
    /// The fields that were changed here and that the server has not answered about yet.
    pub unsent: BTreeSet<String>,
    /// Its fields, as in the model's JSON; an absent field is empty.
    pub fields: Fields,
}

impl Record {
    pub(super) fn of(view: View, title: String) -> Self {
        let View { id, entity, base, fields, unsent } = view;
        Self { id, entity, seq: base, title, unsent, fields }
    }
}
