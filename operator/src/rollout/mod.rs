//! Roll-outs: tenants are brought to another image wave by wave, and nothing new is begun once too many have failed.
//!
//! [`reconcile`] is the table of contents; each of its steps is a file. Which tenants take part (`fleet`), how far each is
//! (`progress`), whether it is a time for restarts (`window`) and what follows (`decide`) are pure. A roll-out remembers
//! its image, its wave and since when that is watched; everything else it finds out anew from its tenants.

mod aim;
mod decide;
mod fleet;
mod gate;
mod progress;
mod report;
mod target;
pub mod window;

#[cfg(test)]
mod tests;

pub use self::target::forget;
use crate::cluster::api::RequestError;
use crate::crd::{FleetRollout, RolloutState};
use crate::tenant::{Context, Next};

/// Takes the steps of a roll-out that are due.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn reconcile(context: &Context, name: &str) -> Result<Next, RequestError> {
    let Some(rollout) = context.index.rollout(name) else { return Ok(Next::WhenChanged) };
    if is_over(&rollout) {
        return Ok(Next::WhenChanged);
    }
    let platform = context.index.platform();
    let now = context.clock.now();
    let aim = match aim::aim(&rollout, platform.as_deref()) {
        Ok(aim) => aim,
        Err(refusal) => return report::refused(context, &rollout, &refusal).await,
    };
    let members = fleet::members(&rollout, &context.index.tenants(), &context.index.rollouts());
    let standings = progress::standings(members, &rollout, &aim, now);
    let standings = gate::pass(context, &rollout, standings).await;
    let window = match &platform {
        _ if !rollout.spec.respect_windows => Ok(window::Window::Open),
        Some(platform) => window::look(&platform.spec.maintenance_windows, now),
        None => Err("there is no PlatformConfig, which says when tenants may be restarted: make one".to_owned()),
    };
    let mut decision = decide::decide(&rollout, &standings, window, now);
    if !aim::is_written_down(&rollout) {
        // Before any tenant has the image: whatever the channel stands for later, it stays this one.
        decision = decision.without_deeds();
    }
    let begun = decision.start.iter().map(|tenant| (tenant, &aim.image));
    let given_back = decision.give_back.iter().map(|(tenant, former)| (tenant, former));
    let mut refused = None;
    for (tenant, image) in begun.chain(given_back) {
        // One that cannot be told holds up no other, and not what is said of them.
        if let Err(error) = target::set(context, &rollout, tenant, image).await {
            refused.get_or_insert(error);
        }
    }
    report::report(context, &rollout, &aim, &standings, &decision).await?;
    refused.map_or(Ok(decision.next), Err)
}

/// Whether it has come to its end; it never begins again.
fn is_over(rollout: &FleetRollout) -> bool {
    rollout.status.as_ref().and_then(|status| status.state) == Some(RolloutState::Succeeded)
}
