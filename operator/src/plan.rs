//! Plans: whether they make sense, and how many tenants name them.

use kube::ResourceExt as _;
use serde_json::json;

use crate::cluster::api::{Place, RequestError};
use crate::cluster::conditions::{Finding, settle};
use crate::cluster::owned::STATUS_MANAGER;
use crate::crd::{Plan, PlanStatus};
use crate::tenant::{Context, Next};

/// Says how a plan stands.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn reconcile(context: &Context, name: &str) -> Result<Next, RequestError> {
    let Some(plan) = context.index.plan(name) else { return Ok(Next::WhenChanged) };
    let before = plan.status.clone().unwrap_or_default();
    let tenants = context.index.tenants_of(name).len();
    let findings = [valid(&plan), in_use(tenants)];
    let status = PlanStatus {
        observed_generation: plan.metadata.generation,
        tenants: i64::try_from(tenants).unwrap_or_default(),
        conditions: settle(&before.conditions, &findings, plan.metadata.generation, context.clock.now()),
    };
    if status != before {
        let object = json!({
            "apiVersion": "cartera.dev/v1alpha1", "kind": "Plan",
            "metadata": { "name": name, "uid": plan.uid() }, "status": status,
        });
        context.cluster.apply_status(&Place::of(&*plan), &object, STATUS_MANAGER).await?;
    }
    Ok(Next::WhenChanged)
}

fn valid(plan: &Plan) -> Finding {
    let resources = &plan.spec.resources;
    let requested = [
        (&resources.requests.memory, Some(&resources.limits.memory)),
        (&resources.requests.cpu, resources.limits.cpu.as_ref()),
    ];
    for (request, limit) in requested {
        let Some(limit) = limit else { continue };
        match (request.thousandths(), limit.thousandths()) {
            (Ok(asked), Ok(most)) if asked <= most => {}
            (Err(error), _) | (_, Err(error)) => return Finding::no("Valid", "InvalidQuantity", error.to_string()),
            _ => {
                return Finding::no(
                    "Valid",
                    "RequestAboveLimit",
                    format!(
                        "resources.requests has {request} and resources.limits {limit}: no pod can be made so; raise the limit or lower the request"
                    ),
                );
            }
        }
    }
    Finding::yes("Valid", "Valid", "tenants can be made by it")
}

fn in_use(tenants: usize) -> Finding {
    match tenants {
        0 => Finding::no("InUse", "NoTenants", "no tenant names it: it can be deleted"),
        _ => Finding::yes("InUse", "HasTenants", "tenants name it: they are refused if it is deleted"),
    }
}
