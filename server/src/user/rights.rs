//! What one user may do, settled once for as long as model and directory stay as they are.

use std::sync::Arc;

use crm::model::{Level, Permission};
use crm::rules::{Place, Projection, Viewer, reaches, sees};
use uuid::Uuid;

use crate::record::catalogue::{Catalogue, RoleView};
use crate::user::directory::Directory;

/// The role that the operator of the machine acts in.
pub const OPERATOR_ROLE: &str = "admin";

/// A user with what her role lets her see and do.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Who, in which teams and territories.
    pub viewer: Viewer,
    /// What the role sees of the model.
    pub view: Arc<RoleView>,
}

impl Rights {
    /// The rights of a user; `None` when there is no such user, she has no role, or she may not sign in.
    #[must_use]
    pub fn of_user(user: Uuid, directory: &Directory, catalogue: &Catalogue) -> Option<Self> {
        if !directory.user(user)?.active {
            return None;
        }
        let viewer = directory.viewer(user)?;
        let view = catalogue.role_view(&viewer.role);
        Some(Self { viewer, view })
    }

    /// The rights of whoever runs the server's commands on its machine: an administrator's, as nobody's user.
    #[must_use]
    pub fn of_operator(catalogue: &Catalogue) -> Self {
        let viewer =
            Viewer { user: Uuid::nil(), role: OPERATOR_ROLE.into(), teams: Vec::new(), territories: Vec::new() };
        Self { viewer, view: catalogue.role_view(OPERATOR_ROLE) }
    }

    /// What the role may do with records of `entity`; `None` where nothing.
    #[must_use]
    pub fn permission(&self, entity: &str) -> Option<&Permission> {
        self.view.model.entity(entity)?.permissions.get(&self.viewer.role)
    }

    /// The fields of `entity` that the role sees; `None` where it reads no record of it.
    #[must_use]
    pub fn projection(&self, entity: &str) -> Option<&Projection> {
        self.view.projection(entity)
    }

    /// Whether the user may read a record of `entity` that stands at `place`.
    #[must_use]
    pub fn sees(&self, entity: &str, place: &Place) -> bool {
        self.permission(entity).is_some_and(|permission| sees(permission.read, &self.viewer, place))
    }

    /// Whether the right to write named by `level` (`|p| p.update`, …) reaches a record of `entity` that stands at
    /// `place`.
    #[must_use]
    pub fn reach(&self, entity: &str, place: &Place, level: impl Fn(&Permission) -> Level) -> bool {
        self.permission(entity).is_some_and(|permission| reaches(level(permission), &self.viewer, place))
    }
}
