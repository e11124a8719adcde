use super::super::assemble::Assembly;
use super::super::{Entity, Permission};

impl Assembly {
    /// Gives a role of the overlay's own its permission, or narrows the permission of a role that has one.
    pub(super) fn extend_permission(&mut self, file: &str, entity: &mut Entity, role: String, may: Permission) {
        let path = format!("{}.permissions.{role}", entity.name);
        let is_wider = match entity.permissions.get(&role) {
            Some(before) => !is_within(&may, before),
            None => self.core_roles.contains(&role),
        };
        if is_wider {
            self.problem(
                file,
                &path,
                "the role would be allowed more than before",
                "give the right to a role of your own, or allow this role at most what it has",
            );
        } else {
            entity.permissions.insert(role, may);
        }
    }
}

/// Whether `narrow` allows nothing that `wide` does not.
fn is_within(narrow: &Permission, wide: &Permission) -> bool {
    let sees_no_more = match (&narrow.fields, &wide.fields) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(narrow), Some(wide)) => narrow.iter().all(|field| wide.contains(field)),
    };
    narrow.create <= wide.create
        && narrow.read <= wide.read
        && narrow.update <= wide.update
        && narrow.delete <= wide.delete
        && narrow.export <= wide.export
        && narrow.levels.iter().all(|level| wide.levels.contains(level))
        && sees_no_more
}
