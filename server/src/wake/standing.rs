//! What the users of devices that can be woken hold, settled anew only when people, model or scopes changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sync_protocol::id::{RecordId, ScopeId};

use crate::live::Snapshot;

/// What a user holds; users who hold the same share one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Standing {
    role: String,
    /// Hash of the model as the role sees it.
    model: String,
    /// The scopes, ascending.
    pub(super) held: Vec<ScopeId>,
}

/// The standings of a moment.
#[derive(Default)]
pub(super) struct Standings {
    as_of: Option<Snapshot>,
    of_users: HashMap<RecordId, Option<Arc<Standing>>>,
    shared: HashSet<Arc<Standing>>,
}

impl Standings {
    /// Goes on with that moment.
    pub(super) fn renew(&mut self, snapshot: &Snapshot) {
        let is_same = self.as_of.as_ref().is_some_and(|before| {
            Arc::ptr_eq(&before.directory, &snapshot.directory)
                && Arc::ptr_eq(&before.catalogue, &snapshot.catalogue)
                && Arc::ptr_eq(&before.scopes, &snapshot.scopes)
        });
        if !is_same {
            self.of_users.clear();
            self.shared.clear();
            self.as_of = Some(snapshot.clone());
        }
    }

    /// What a user holds at that moment; `None` when she may not sign in.
    pub(super) fn of(&mut self, user: RecordId) -> Option<Arc<Standing>> {
        if let Some(known) = self.of_users.get(&user) {
            return known.clone();
        }
        let standing = self.as_of.as_ref().and_then(|snapshot| {
            let rights = snapshot.rights_of(user.0)?;
            let held = snapshot.scopes.held(&rights, &snapshot.catalogue);
            let model = rights.view.model.hash.clone();
            Some(Arc::new(Standing { role: rights.view.role.clone(), model, held }))
        });
        let standing = standing.map(|own| {
            let known = self.shared.get(&own).cloned();
            known.unwrap_or_else(|| {
                self.shared.insert(own.clone());
                own
            })
        });
        self.of_users.insert(user, standing.clone());
        standing
    }
}
