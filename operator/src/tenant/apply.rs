//! Fourth step: brings the cluster to what was built. Nothing is sent for what is as it was last applied.

use std::collections::BTreeSet;
use std::time::Duration;

use super::build::Child;
use super::keys::{self, Keys};
use super::validate::Validated;
use super::{Context, build};
use crate::cluster::api::{Place, RequestError};
use crate::cluster::index::Children;
use crate::cluster::owned::{MANAGER, owns_all};
use crate::cluster::seen::{Facts, Seen};
use crate::cluster::{Kind, labels, names};
use crate::crd::{Operation, PlannedChange};

/// What keeps a tenant from being applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The namespace is somebody else's.
    #[error("the namespace {0} is there and not this tenant's: delete it or rename it if nobody needs it")]
    NamespaceTaken(String),
    /// The namespace is being deleted.
    #[error("the namespace {0} is being deleted: it is made anew when it is gone")]
    NamespaceGoing(String),
}

/// What was done.
#[derive(Clone)]
pub struct Applied {
    /// What operator and server know each other by.
    pub keys: Keys,
    /// Objects that were made, changed or taken away.
    pub changes: usize,
}

/// What would have to be done, in order.
#[must_use]
pub fn plan(wanted: &[Child], children: &Children) -> Vec<PlannedChange> {
    let change = |op, kind: Kind, name: &str| PlannedChange { op, kind: kind.to_string(), name: name.to_owned() };
    let mut changes: Vec<PlannedChange> = wanted
        .iter()
        .filter_map(|child| Some(change(needed(child, find(children, child))?, child.kind, &child.name)))
        .collect();
    changes.extend(orphans(wanted, children).map(|(kind, name, _)| change(Operation::Delete, kind, name)));
    changes
}

/// Does it.
///
/// # Errors
/// The first thing that could not be done; what comes after it was not tried.
pub async fn apply(
    context: &Context,
    tenant: &Validated,
    wanted: &[Child],
    rotate_every: Duration,
) -> Result<Applied, ApplyError> {
    let mut changes = 0;
    let mut keys = None;
    let children = context.index.children(&tenant.uid);
    own_namespace(context, tenant, &children).await?;
    for child in wanted {
        if child.kind > Kind::Secret && keys.is_none() {
            keys = Some(keys::ensure(context, tenant, rotate_every).await?);
        }
        if needed(child, find(&children, child)).is_some() {
            let place = Place::new(child.kind.resource(), child.namespace.as_deref(), &child.name);
            let applied = context.cluster.apply(&place, &child.sealed(), MANAGER).await?;
            context.index.put_child(child.kind, &applied);
            changes += 1;
        }
    }
    for (kind, name, seen) in orphans(wanted, &children) {
        delete(context, tenant, kind, name, seen).await?;
        changes += 1;
    }
    changes += restart(context, tenant, &children).await?;
    let keys = match keys {
        Some(keys) => keys,
        None => keys::ensure(context, tenant, rotate_every).await?,
    };
    Ok(Applied { keys, changes })
}

/// A namespace that was never seen as the tenant's is looked at before anything is put over it.
async fn own_namespace(context: &Context, tenant: &Validated, children: &Children) -> Result<(), ApplyError> {
    let known = children.get(&(Kind::Namespace, tenant.namespace.clone()));
    if let Some(known) = known {
        return if known.is_going { Err(ApplyError::NamespaceGoing(tenant.namespace.clone())) } else { Ok(()) };
    }
    let place = Place::new(Kind::Namespace.resource(), None, &tenant.namespace);
    match context.cluster.get(&place).await? {
        Some(there) if there["metadata"]["labels"][labels::TENANT_UID] != *tenant.uid => {
            Err(ApplyError::NamespaceTaken(tenant.namespace.clone()))
        }
        Some(there) if !there["metadata"]["deletionTimestamp"].is_null() => {
            Err(ApplyError::NamespaceGoing(tenant.namespace.clone()))
        }
        _ => Ok(()),
    }
}

fn find<'a>(children: &'a Children, child: &Child) -> Option<&'a Seen> {
    children.get(&(child.kind, child.name.clone()))
}

/// What an object lacks: nothing if its hash says that this was applied last and all of it is still the operator's.
fn needed(child: &Child, seen: Option<&Seen>) -> Option<Operation> {
    let Some(seen) = seen else { return Some(Operation::Create) };
    let is_as_applied = seen.applied.as_deref() == Some(&*child.hash()) && owns_all(&seen.fields, &child.object);
    (!is_as_applied).then_some(Operation::Update)
}

/// What was made once and is wanted no longer. What holds data is never among it.
fn orphans<'a>(wanted: &[Child], children: &'a Children) -> impl Iterator<Item = (Kind, &'a str, &'a Seen)> {
    let kept: BTreeSet<(Kind, String)> = wanted.iter().map(|child| (child.kind, child.name.clone())).collect();
    children
        .iter()
        .filter(move |((kind, _), seen)| kind.is_applied() && kind.is_watched() && !kind.holds_data() && !seen.is_going)
        // Others make objects with our labels too, such as the Secrets of certificates: only what was applied counts.
        .filter(|(_, seen)| seen.applied.is_some())
        .filter(move |(key, _)| !kept.contains(key))
        .map(|((kind, name), seen)| (*kind, name.as_str(), seen))
}

async fn delete(
    context: &Context,
    tenant: &Validated,
    kind: Kind,
    name: &str,
    seen: &Seen,
) -> Result<(), RequestError> {
    let place = Place::new(kind.resource(), Some(&tenant.namespace), name);
    context.cluster.delete(&place, &seen.uid).await?;
    context.index.forget(&tenant.uid, kind, name, |known| known.uid == seen.uid);
    Ok(())
}

/// The pod of a StatefulSet with `OnDelete` goes when the operator says so: when something was asked for that a running
/// server does not notice by itself.
async fn restart(context: &Context, tenant: &Validated, children: &Children) -> Result<usize, RequestError> {
    let Some(seen) = children.get(&(Kind::Pod, names::POD.to_owned())) else { return Ok(0) };
    let Facts::Pod { restart, .. } = &seen.facts else { return Ok(0) };
    if seen.is_going || restart.as_deref() == Some(&*build::restart_digest(tenant)) {
        return Ok(0);
    }
    delete(context, tenant, Kind::Pod, names::POD, seen).await?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::index::Index;
    use crate::tenant::build::tests::built;

    /// The object as the API server would give it back, all of it the operator's.
    fn given_back(child: &Child) -> Value {
        fn fields(value: &Value) -> Value {
            match value {
                Value::Object(members) => {
                    members.iter().map(|(name, value)| (format!("f:{name}"), fields(value))).collect()
                }
                _ => json!({}),
            }
        }
        let mut object = child.sealed();
        let owned = fields(&object);
        object["metadata"]["uid"] = json!(format!("{}-{}", child.kind, child.name));
        object["metadata"]["resourceVersion"] = json!("1");
        object["metadata"]["managedFields"] = json!([{ "manager": MANAGER, "operation": "Apply", "fieldsV1": owned }]);
        object
    }

    fn seen(children: &[Child]) -> (Index, String) {
        let index = Index::default();
        let uids: Vec<String> =
            children.iter().filter_map(|child| index.put_child(child.kind, &given_back(child))).collect();
        (index, uids[0].clone())
    }

    #[test]
    fn at_rest_there_is_nothing_to_do() {
        let wanted = built();
        let (index, uid) = seen(&wanted);
        assert_eq!(plan(&wanted, &index.children(&uid)), []);
    }

    #[test]
    fn what_is_missing_changed_or_left_over_is_planned() {
        let mut wanted = built();
        let (index, uid) = seen(&wanted);
        let mut edited = given_back(&wanted[2]);
        edited["metadata"]["resourceVersion"] = json!("2");
        edited["metadata"]["managedFields"][0]["fieldsV1"].as_object_mut().expect("fields").remove("f:spec");
        index.put_child(wanted[2].kind, &edited);
        let left_over = wanted.pop().expect("something was built");
        let (kind, name) = (wanted[5].kind, wanted[5].name.clone());
        index.forget(&uid, kind, &name, |_| true);
        let found: Vec<_> =
            plan(&wanted, &index.children(&uid)).into_iter().map(|change| (change.op, change.kind)).collect();
        assert!(found.contains(&(Operation::Update, wanted[2].kind.to_string())));
        assert!(found.contains(&(Operation::Create, kind.to_string())));
        assert!(found.contains(&(Operation::Delete, left_over.kind.to_string())));
    }
}
