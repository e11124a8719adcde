//! What the users of connected devices may see, settled anew only when people, model or scopes changed.

use std::collections::HashMap;
use std::sync::Arc;

use sync_protocol::cursor::Cursor;
use sync_protocol::id::{RecordId, ScopeId};

use super::event::Event;
use super::registry::Connection;
use crate::live::Snapshot;
use crate::platform::telemetry::metrics::Metrics;
use crate::user::rights::Rights;

/// What a user may see; users who may see the same share one.
#[derive(Debug)]
pub(super) struct Standing {
    /// Those of one of the users.
    pub(super) rights: Arc<Rights>,
    /// The scopes that they hold, ascending.
    pub(super) held: Vec<ScopeId>,
}

impl Standing {
    /// Whether a device with that cursor holds what its user may hold, with the fields that she sees.
    pub(super) fn fits(&self, cursor: &Cursor) -> bool {
        cursor.scopes == self.held && cursor.view == self.rights.view.hidden
    }
}

/// The standings of a moment.
#[derive(Debug, Default)]
pub(super) struct Standings {
    as_of: Option<Snapshot>,
    /// By role and scopes held.
    known: HashMap<(String, Vec<ScopeId>), Arc<Standing>>,
}

/// Connections that end.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Their users may not sign in any more.
    pub(super) signed_out: Vec<u64>,
    /// They were told what they came for, or cannot be told.
    pub(super) gone: Vec<u64>,
}

impl Standings {
    /// Settles those who came since, and everybody when something changed; who sees another model is told.
    pub(super) fn settle(
        &mut self,
        connections: &mut HashMap<u64, Connection>,
        snapshot: &Snapshot,
        metrics: &Metrics,
    ) -> Settled {
        let is_unchanged = self.as_of.as_ref().is_some_and(|before| is_same(before, snapshot));
        if !is_unchanged {
            self.known.clear();
            self.as_of = Some(snapshot.clone());
        }
        let mut settled = Settled::default();
        let mut of_users: HashMap<RecordId, Option<Arc<Standing>>> = HashMap::new();
        for (id, connection) in connections {
            if is_unchanged && connection.standing.is_some() {
                continue;
            }
            let user = connection.who.user;
            let standing = of_users.entry(user).or_insert_with(|| self.of(user, snapshot)).clone();
            let Some(standing) = standing else {
                settled.signed_out.push(*id);
                continue;
            };
            let model = &standing.rights.view.model.hash;
            let is_new = connection.who.model.replace(model.clone()).is_some_and(|known| known != *model);
            if is_new {
                // A delta would speak in the words of a model that the device does not have yet.
                connection.lose_place();
                if !connection.tell(Event::upgrade(model), metrics) {
                    settled.gone.push(*id);
                }
            }
            connection.standing = Some(standing);
        }
        settled
    }

    fn of(&mut self, user: RecordId, snapshot: &Snapshot) -> Option<Arc<Standing>> {
        let rights = snapshot.rights_of(user.0)?;
        let held = snapshot.scopes.held(&rights, &snapshot.catalogue);
        let alike = self.known.entry((rights.view.role.clone(), held));
        let standing = |held: &Vec<ScopeId>| Arc::new(Standing { rights, held: held.clone() });
        Some(alike.or_insert_with_key(|(_, held)| standing(held)).clone())
    }
}

fn is_same(before: &Snapshot, now: &Snapshot) -> bool {
    Arc::ptr_eq(&before.directory, &now.directory)
        && Arc::ptr_eq(&before.catalogue, &now.catalogue)
        && Arc::ptr_eq(&before.scopes, &now.scopes)
}
