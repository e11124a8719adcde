//! Changes that a tenant asks for to objects that are built: of what has no field of its own, and of nothing else.

use serde_json::Value;

use super::Child;
use crate::cluster::{Kind, merge_patch};
use crate::crd::{Override, OverrideKind};
use crate::tenant::validate::Refusal;

const ANNOTATIONS: &str = "/metadata/annotations";
/// What else may be changed of a StatefulSet. Nothing here weakens what keeps tenants apart.
const OF_STATEFUL_SETS: [&str; 5] = [
    "/spec/template/metadata/annotations",
    "/spec/template/spec/affinity",
    "/spec/template/spec/topologySpreadConstraints",
    "/spec/template/spec/schedulerName",
    "/spec/template/spec/terminationGracePeriodSeconds",
];
/// Annotations that the operator itself reads.
const RESERVED: &str = "cartera.dev/";

const fn kind(of: OverrideKind) -> Kind {
    match of {
        OverrideKind::StatefulSet => Kind::StatefulSet,
        OverrideKind::Service => Kind::Service,
        OverrideKind::Ingress => Kind::Ingress,
        OverrideKind::HTTPRoute => Kind::HTTPRoute,
    }
}

/// Refuses what may not be changed.
pub(in crate::tenant) fn check(overrides: &[Override]) -> Result<(), Refusal> {
    for one in overrides {
        let kind = kind(one.kind);
        if let Some(path) = forbidden(kind, &Value::Object(one.patch.clone()), "") {
            let more = if kind == Kind::StatefulSet { OF_STATEFUL_SETS.join(", ") } else { "nothing else".to_owned() };
            return Err(Refusal {
                reason: "OverrideNotAllowed",
                message: format!(
                    "the override of {kind} may not change {path}: allowed are {ANNOTATIONS} but for {RESERVED}*, and {more}"
                ),
            });
        }
    }
    Ok(())
}

fn forbidden(kind: Kind, patch: &Value, path: &str) -> Option<String> {
    if path.ends_with(ANNOTATIONS) && is_allowed(kind, path) {
        let keys = patch.as_object()?.keys();
        return keys.filter(|key| key.starts_with(RESERVED)).map(|key| format!("{path}/{key}")).next();
    }
    if is_allowed(kind, path) {
        return None;
    }
    match patch {
        Value::Object(members) => {
            members.iter().find_map(|(name, value)| forbidden(kind, value, &format!("{path}/{name}")))
        }
        _ => Some(path.to_owned()),
    }
}

fn is_allowed(kind: Kind, path: &str) -> bool {
    path == ANNOTATIONS || (kind == Kind::StatefulSet && OF_STATEFUL_SETS.contains(&path))
}

/// Makes the changes that are meant for `child`.
pub(super) fn apply(overrides: &[Override], child: &mut Child) {
    for one in overrides.iter().filter(|one| kind(one.kind) == child.kind) {
        merge_patch(&mut child.object, &Value::Object(one.patch.clone()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(kind: OverrideKind, patch: Value) -> Override {
        let Value::Object(patch) = patch else { unreachable!("patches here are objects") };
        Override { kind, patch }
    }

    #[test]
    fn what_keeps_tenants_apart_cannot_be_changed() {
        for (kind, patch, path) in [
            (
                OverrideKind::StatefulSet,
                json!({ "spec": { "template": { "spec": { "hostNetwork": true } } } }),
                "/spec/template/spec/hostNetwork",
            ),
            (OverrideKind::StatefulSet, json!({ "spec": { "replicas": 2 } }), "/spec/replicas"),
            (OverrideKind::Service, json!({ "spec": { "type": "LoadBalancer" } }), "/spec/type"),
            (OverrideKind::Service, json!({ "metadata": { "labels": { "a": "b" } } }), "/metadata/labels/a"),
            (
                OverrideKind::Ingress,
                json!({ "metadata": { "annotations": { "cartera.dev/applied-hash": "0" } } }),
                "/metadata/annotations/cartera.dev/applied-hash",
            ),
        ] {
            let refusal = check(&[one(kind, patch)]).expect_err(path);
            assert!(refusal.message.contains(path), "{}", refusal.message);
        }
    }

    #[test]
    fn annotations_and_placing_can() {
        let allowed = [
            one(OverrideKind::Ingress, json!({ "metadata": { "annotations": { "example.com/timeout": "60" } } })),
            one(
                OverrideKind::StatefulSet,
                json!({ "spec": { "template": { "spec": { "affinity": { "nodeAffinity": {} } } } } }),
            ),
        ];
        assert_eq!(check(&allowed), Ok(()));
    }
}
