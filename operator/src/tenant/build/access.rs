//! Who may do what in the namespace: the operator what it needs, the server nothing.

use serde_json::json;

use super::{Child, OperatorIdentity, child};
use crate::cluster::{Kind, names};
use crate::tenant::validate::Validated;

/// Rights on Secrets hold in tenants' namespaces alone, so nothing of the operator's reads those of the cluster.
pub(super) fn role_binding(tenant: &Validated, operator: &OperatorIdentity) -> Child {
    let rest = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": names::TENANT_ACCESS },
        "subjects": [{ "kind": "ServiceAccount", "name": operator.service_account, "namespace": operator.namespace }],
    });
    child(tenant, Kind::RoleBinding, names::TENANT_ACCESS, &rest)
}

pub(super) fn service_account(tenant: &Validated) -> Child {
    child(tenant, Kind::ServiceAccount, names::SERVER, &json!({ "automountServiceAccountToken": false }))
}
