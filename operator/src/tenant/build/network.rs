//! Who may connect to whom: nobody to nobody, but for what is said here.

use serde_json::{Value, json};

use super::{Child, OperatorIdentity, child, selector};
use crate::cluster::Kind;
use crate::tenant::server::{INTERNAL_PORT, PORT};
use crate::tenant::validate::Validated;

pub(super) fn policies(tenant: &Validated, operator: Option<&OperatorIdentity>) -> Vec<Child> {
    let mut policies = vec![
        policy(tenant, "default-deny", &json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] })),
        policy(tenant, "name-service", &name_service()),
        policy(tenant, "operator", &from_operator(operator)),
        // Also where no route is made: somebody's own proxy may run there.
        policy(tenant, "gateway", &from_gateway(tenant)),
    ];
    if !tenant.isolation.egress.is_empty() {
        policies.push(policy(tenant, "egress", &to_outside(tenant)));
    }
    policies
}

fn policy(tenant: &Validated, name: &str, spec: &Value) -> Child {
    child(tenant, Kind::NetworkPolicy, name, &json!({ "spec": spec }))
}

fn name_service() -> Value {
    json!({
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{
            "to": [{
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "kube-system" } },
                "podSelector": { "matchLabels": { "k8s-app": "kube-dns" } },
            }],
            "ports": [{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }],
        }],
    })
}

/// The operator asks for the server's health; what measures runs beside it.
fn from_operator(operator: Option<&OperatorIdentity>) -> Value {
    let namespace = match operator {
        Some(operator) => json!({ "kubernetes.io/metadata.name": operator.namespace }),
        None => json!({ "cartera.dev/operator": "true" }),
    };
    json!({
        "podSelector": { "matchLabels": selector() },
        "policyTypes": ["Ingress"],
        "ingress": [{
            "from": [
                { "namespaceSelector": { "matchLabels": namespace } },
                { "namespaceSelector": { "matchLabels": { "cartera.dev/monitoring": "true" } } },
            ],
            "ports": [{ "port": INTERNAL_PORT, "protocol": "TCP" }],
        }],
    })
}

fn from_gateway(tenant: &Validated) -> Value {
    json!({
        "podSelector": { "matchLabels": selector() },
        "policyTypes": ["Ingress"],
        "ingress": [{
            "from": [{ "namespaceSelector": { "matchLabels": tenant.ingress_from } }],
            "ports": [{ "port": PORT, "protocol": "TCP" }],
        }],
    })
}

fn to_outside(tenant: &Validated) -> Value {
    let rules: Vec<Value> = tenant
        .isolation
        .egress
        .iter()
        .map(|egress| {
            let mut rule = json!({ "to": [{ "ipBlock": { "cidr": egress.cidr } }] });
            if !egress.ports.is_empty() {
                rule["ports"] = json!(egress.ports);
            }
            rule
        })
        .collect();
    json!({ "podSelector": { "matchLabels": selector() }, "policyTypes": ["Egress"], "egress": rules })
}
