//! How many people may sign in: what the tenant is entitled to.

use super::answer::Refusal;
use super::working::Working;
use super::{Author, Change, Context};

/// Who could sign in before a change.
pub(super) struct Before<'a> {
    change: &'a Change,
    could_sign_in: bool,
}

impl<'a> Before<'a> {
    pub(super) fn of(working: &Working, change: &'a Change) -> Self {
        Self { change, could_sign_in: working.directory.may_sign_in(change.record.0) }
    }

    /// Refuses one more person who may sign in where as many do as may. Whoever could before still can, so that a limit
    /// which is lowered takes nothing away; and the operator of the machine is not held to it.
    pub(super) fn hold(self, context: &Context<'_>, working: &Working, author: &Author) -> Result<(), Refusal> {
        let Some(limit) = context.catalogue.entitlements.limits.users.filter(|_| author.user.is_some()) else {
            return Ok(());
        };
        let is_one_more = !self.could_sign_in && working.directory.may_sign_in(self.change.record.0);
        if is_one_more && working.directory.signing_in() > limit {
            return Err(Refusal::limit_users(limit));
        }
        Ok(())
    }
}
