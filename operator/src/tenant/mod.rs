//! Tenants: from what somebody asked for to a running server, and to what is said of it.
//!
//! [`reconcile`] is the table of contents; each of its steps is a file. `validate`, `build` and `status` are pure.

pub mod apply;
pub mod build;
mod context;
pub mod deletion;
pub mod dereference;
mod finalizer;
#[cfg(test)]
pub(crate) mod fixture;
pub mod health;
pub mod keys;
mod report;
pub mod server;
pub mod status;
pub mod validate;

use std::time::Duration;

use kube::ResourceExt as _;

pub use self::context::{Context, Memory};
use self::report::Outcome;
use crate::cluster::api::RequestError;
use crate::crd::{ReconcileMode, Tenant};
use crate::rollout;

/// How often a tenant that is as it should be is looked at: what its server says is not watched.
const HEALTHY: Duration = Duration::from_mins(1);
/// How often one is looked at that is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// When a tenant is looked at again, if nothing happens before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// After this time.
    After(Duration),
    /// When something changes.
    WhenChanged,
}

/// Brings one tenant to what its object says. It may have failed at any point of any attempt before: every step finds out
/// by itself what is left to do.
///
/// # Errors
/// When the API server refused something or did not answer; what is known of it stands in the status as well.
pub async fn reconcile(context: &Context, uid: &str) -> Result<Next, RequestError> {
    let Some(tenant) = context.index.tenant(uid) else { return Ok(Next::WhenChanged) };
    if tenant.metadata.deletion_timestamp.is_some() && !status::is_held(&tenant) {
        return deletion::proceed(context, &tenant).await;
    }
    finalizer::hold(context, &tenant).await?;
    rollout::forget(context, &tenant).await?;
    // As it is now: what was just written of it counts.
    let tenant = context.index.tenant(uid).unwrap_or(tenant);
    let found = dereference::dereference(tenant, &context.index, context.capabilities());
    let validated = validate::validate(&found);
    let outcome = match (&validated, found.tenant.spec.reconcile.mode) {
        (_, ReconcileMode::Paused) | (Err(_), _) => Outcome::untouched(&found),
        (Ok(validated), ReconcileMode::Plan) => {
            let wanted = build::build(validated, context.operator.as_ref());
            Outcome::planned(context, validated, wanted).await
        }
        (Ok(validated), ReconcileMode::Enforce) => {
            let wanted = build::build(validated, context.operator.as_ref());
            Outcome::applied(context, &found.tenant, validated, wanted).await
        }
    };
    report::report(context, &found, validated.as_ref(), outcome).await
}

fn next(tenant: &Tenant, is_ready: bool) -> Next {
    match (tenant.spec.reconcile.mode, is_ready) {
        (ReconcileMode::Paused, _) => Next::WhenChanged,
        (_, true) => Next::After(HEALTHY),
        (_, false) => Next::After(ON_ITS_WAY),
    }
}

/// `<namespace>/<name>`, for the log.
fn full_name(tenant: &Tenant) -> String {
    format!("{}/{}", tenant.namespace().unwrap_or_default(), tenant.name_any())
}
